"""The code that `derive --format python` writes of a word is that word: `validate` says so."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

import splitting_analysis as sa
from analytic_models.probing.law import output_law
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.subject import load, subject_of
from analytic_models.probing.validate import PROCESSES, validate
from reports import cli
from splitting_analysis.catalogue import CATALOGUE, samplers
from splitting_analysis.lookup import as_scheme
from splitting_analysis.schemes import LambdaS, Scheme
from splitting_analysis.step_code import step_code
from tests import strategies

WRITTEN = [s for s in samplers() if not (s.program.holds or s.program.conjugates)]
WORDS = [
    ("S E", "ve"),
    ("O/2 S B/3 A S@1/2 B/3 S@1 B/3 O/2", "psld"),
    ("S E:exp", "psld"),
    ("B/2 A S@1 B/2", "psld"),
    ("L/3 S K/2 L/3 S@1/2 K/2 L/3", "vp"),
]
"""What the catalogue lacks: another model, thirds, a coupled flow with its score, a carried one."""


def written(scheme, folder, style="python", lambda_s=None):
    """The function that the code defines."""
    file = folder / "written.py"
    file.write_text(step_code(scheme, style, lambda_s))
    return load(file, "sample" if scheme.carries_score else "step")


def agrees(scheme, call):
    """Whether the code weighs states, scores and normals as the word: orders follow from that."""
    found = validate(call, scheme)
    assert found.holds, str(found)
    assert found.deduced.endswith(str(scheme.word))


def named(scheme: Scheme) -> str:
    return f"{scheme.model_name} {scheme.dynamics} {scheme.name}"


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", WRITTEN, ids=named)
@pytest.mark.share(17)
def test_the_code_of_a_catalogue_sampler_is_validated_as_that_sampler(scheme, tmp_path):
    agrees(scheme, written(scheme, tmp_path))


@pytest.mark.parametrize(("word", "model"), WORDS)
@pytest.mark.share(11)
def test_the_code_of_any_other_word_is_validated_as_that_word(word, model, tmp_path):
    scheme = as_scheme(word, model)
    agrees(scheme, written(scheme, tmp_path))


def test_every_sampler_of_the_catalogue_that_the_closed_forms_are_about_has_its_code():
    assert set(CATALOGUE) <= set(WRITTEN)


@pytest.mark.heavy
def test_code_of_another_word_is_not_validated(tmp_path):
    found = validate(written(as_scheme("O S B A"), tmp_path), "RBAO")
    assert not found.holds and found.deduced.startswith("ROBA = O S B A")


@pytest.mark.parametrize("name", ["ROBA", "SSCS"])
def test_the_torch_code_gives_the_numbers_of_the_numpy_code(name, tmp_path):
    torch = pytest.importorskip("torch")
    scheme = as_scheme(name)
    from splitting_analysis.processes import PSLD

    rng = np.random.default_rng(3)
    z, xi = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    model = PSLD(Gamma=0.3, nu=2.1)
    step = written(scheme, tmp_path)
    one = step(z, 0.2, 0.1, lambda y, tau: -y * tau, lambda: xi, model)
    step = written(scheme, tmp_path, "torch")
    tensor = torch.as_tensor
    two = step(tensor(z), 0.2, 0.1, lambda y, tau: -y * tau, lambda: tensor(xi), model)
    assert isinstance(two, torch.Tensor)
    assert np.max(np.abs(two.numpy() - one)) < 1e-13  # a library may fuse products


@pytest.mark.heavy
@pytest.mark.parametrize("value", [Fraction(0), Fraction(6, 5)])
def test_lambda_s_scales_the_noise_of_the_code(value, tmp_path):
    scheme = as_scheme("O S B A")
    call = written(scheme, tmp_path, lambda_s=value)
    assert validate(call, scheme, lambda_s=float(value)).holds
    assert not validate(call, scheme).holds


@pytest.mark.parametrize("value", [0, Fraction(3, 2)])
@pytest.mark.parametrize("rule", ["variance", "exponent"])
def test_lambda_s_scales_the_noise_that_the_code_draws_by_its_rule(rule, value, tmp_path):
    """From 0, without a score: what O, the last, adds to the position."""
    own = replace(as_scheme("S B A O"), lambda_s=LambdaS(rule, Fraction(value)))
    step, zero = written(own, tmp_path), np.zeros((1, 2))
    model: Any = PROCESSES["psld"]
    moved = step(zero, 0.2, 0.1, lambda *_: zero, lambda: np.array([[1.0, 0.0]]), model)
    clock = model.Gamma * model.clock(0.2, 0.1)
    wanted = -np.expm1(-value * clock) if rule == "exponent" else -value * np.expm1(-clock)
    assert moved[0, 0] ** 2 == pytest.approx(float(wanted), rel=1e-12, abs=1e-15)


def test_derive_prints_the_code_and_nothing_else(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["derive", "O S B A", "--format", "python"])
    assert not ended.value.code
    assert capsys.readouterr().out == step_code(as_scheme("O S B A"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ExpAdams2", "--format", "python"], "on psld it holds the score or its eps"),
        (["COBA", "--format", "torch"], "takes conjugate steps"),
        (["ROBA", "--format", "python", "--minus", "NOBA"], "--minus"),
        (["ROBA", "--format", "torch", "--order", "2"], "--order"),
        (["NSE", "--format", "python", "--lambda-s", "1.2"], "--lambda-s"),
        (["ROBA", "--format", "fortran"], "python, torch"),
    ],
)
def test_what_has_no_code_is_refused_in_a_sentence(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["derive", *arguments])
    shown = capsys.readouterr()
    assert ended.value.code == 2 and said in shown.err and not shown.out


def compiled(scheme: Scheme, style: str = "python") -> Any:
    """The function that the code defines, without a file."""
    named: dict[str, Any] = {"__name__": "written"}
    exec(compile(step_code(scheme, style), "written.py", "exec"), named)  # noqa: S102 - the test
    return named["sample" if scheme.carries_score else "step"]


@pytest.mark.parametrize(
    ("word", "model"),
    [
        ("S B[1/2] S@1/2 B[0,1] A", "psld"),  # moves m alone
        ("S B S A[1/2] S@1/2 A[0,1]", "psld"),  # moves x alone
        ("S B[1/2] S@1/2 B[0,1] S A[1/3] S@2/3 A[1/4,3/4]", "psld"),  # two runs
        ("A/2 S B[1/2] S B[0,1/2] A/2 S B[1/4] S B[0,1/2]", "langevin"),
        ("L/2 S K[1/2] S@1/2 K[0,1] L/2", "psld"),
        ("S E[1/2] S@1/2 E[0,1]", "langevin"),
        ("S K[1/4] S@1/4 K[0,1/2] L S@1/2 K[1/2]", "vp"),
        ("L/2 S K[1/2] S@1/2 K[0,1] L/2", "flow"),
    ],
)
def test_the_code_of_rows_moves_what_its_piece_moves_from_where_its_own_run_began(word, model):
    scheme = as_scheme(word, model)
    process = PROCESSES[model]
    has_its_law(scheme, [process.T * part for part in (0.2, 0.3, 0.45)])
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(4).normal(size=(3, 2 * len(scheme.model.components)))
    one, two = (
        compiled(scheme, style)(
            make(z), 0.2, 0.1, lambda y, _: -y, lambda make=make: make(z), process
        )
        for style, make in (("python", np.array), ("torch", torch.as_tensor))
    )
    assert np.max(np.abs(two.numpy() - one)) < 1e-14 < np.max(np.abs(one - z))


@pytest.mark.parametrize(
    ("word", "model", "eta"),
    [
        ("L/3 S K/2 L/3 S@1/2 K/2 L/3", "flow", None),
        ("S L/3 K L*2/3", "flow", Fraction(2, 3)),
        ("K/2 L S@1 K/2", "flow", Fraction(5, 3)),
        ("L/2 S@1/2 K[1/2] S@1/2 K[0,1] L/2", "flow", Fraction(0)),
        ("S E/3 S@1/3 E*2/3", "flow", Fraction(1, 2)),
        ("C/2 B/3 A S C/2 B*2/3", "respa", None),
        ("S E", "respa", None),
        ("S E:exp/2 S E:exp/2", "respa", None),
        ("S C[1/2] S C[0,1] S B/2 A S B/2", "respa", None),
        ("U/2 S B C/2 S C/2 U/2", "respa", None),
        ("S B C O:mid A", "respa", None),
    ],
)
def test_the_code_of_what_fades_and_of_two_forces_is_the_word(word, model, eta):
    parts = (0.2, 0.3, 0.45, 0.9)
    dynamics = "sde" if "E" in word else None
    own = sa.scheme(word, model, dynamics, eta=eta)
    has_its_law(own, [PROCESSES[model].T * part for part in parts])


@given(strategies.schemes(max_parts=2))
@strategies.examples(25)
def test_the_code_of_a_random_word_has_its_exact_law(scheme):
    process = PROCESSES[scheme.model_name]
    has_its_law(scheme, [process.T * part for part in (0.2, 0.3, 0.45)])


def has_its_law(scheme: Scheme, times: list[float]) -> None:
    """Against the word carried out instruction by instruction, on a Gaussian, from step to step."""
    process = PROCESSES[scheme.model_name]
    code = subject_of(compiled(scheme))
    try:
        told = output_law(subject_for(scheme), process, times)
    except (Trouble, ValueError):  # an ancestral step may be too long
        assume(False)
    seen = output_law(code, process, times)
    assert seen.calls == told.calls
    for one, other in ((seen.mean, told.mean), (seen.covariance, told.covariance)):
        assert np.max(np.abs(one - other)) <= 1e-11 * max(1, np.max(np.abs(other)))
