"""What the functions of `sa` are told arrives where the work is done: it is caught there, as the
work itself takes seconds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import splitting_analysis as sa
from splitting_analysis.processes import PSLD, VP

TOLD: list[tuple[str, dict[str, Any]]] = [
    ("ROBA", {"lambda_s": "5/4"}),
    ("LDDIM-I", {"lambda_": "1/2", "factor": "upper", "skip": 2}),
    ("DPM++2M", {"model": "vp", "eta": "1/2", "clock": "rho"}),
]


class Caught(Exception):
    """Raised where work would begin."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__()
        self.given, self.options = given, options


def catch(*given: Any, **options: Any) -> None:
    raise Caught(*given, **options)


@pytest.mark.parametrize(("name", "told"), TOLD)
@pytest.mark.parametrize(
    ("ask", "work"),
    [
        (sa.order, "weak.order_of"),
        (sa.strong_error, "strong.strong_error"),
        (sa.local_error, "weak.local_error"),
        (sa.code, "step_code.step_code"),
    ],
)
def test_a_scheme_is_told_all_that_is_said_of_it(monkeypatch, ask, work, name, told):
    for place in (work, "held_results.held_local_error"):
        monkeypatch.setattr(f"splitting_analysis.{place}", catch)
    with pytest.raises(Caught) as caught:
        ask(name, **told)
    assert caught.value.given[0] == sa.scheme(name, **told) != sa.scheme(name, told.get("model"))


def test_code_is_told_that_the_last_steps_hold_less(monkeypatch):
    monkeypatch.setattr("splitting_analysis.step_code.step_code", catch)
    with pytest.raises(Caught) as caught:
        sa.code("DPM++2M", "torch", model="vp", lower_order_final=True)
    own, style = caught.value.given
    assert own.lower_final and style == "torch"


def test_a_validation_is_told_the_noise_of_the_letter_o_and_the_process(monkeypatch):
    monkeypatch.setattr("analytic_models.probing.validate.validate", catch)
    with pytest.raises(Caught) as caught:
        sa.validate("ROBA", lambda_s="5/4", nu=3)
    assert caught.value.options["lambda_s"] == 1.25
    assert caught.value.options["process"].nu == 3


@pytest.mark.parametrize(
    ("name", "model", "told", "wanted"),
    [
        ("ROBA", None, {"lambda_s": "5/4", "param": "nu=3"}, {"lambda_s": 1.25, "nu": 3}),
        ("LDDIM-I", None, {"param": "lambda=1/2,factor=upper,nu=3"}, {"nu": 3}),
        ("DPM++2M", "vp", {"eta": "1/2", "clock": "rho"}, {}),
    ],
)
def test_the_command_tells_a_validation_the_same(monkeypatch, name, model, told, wanted):
    pytest.importorskip("torch")
    from reports.commands import validation

    asked: list[Any] = []
    monkeypatch.setattr(validation, "validate", lambda *given, **more: asked.append((given, more)))
    monkeypatch.setattr(validation, "facts", catch)
    with pytest.raises(Caught) as caught:
        validation.judged(name, None, model, None, validation.Settings(**told), (), lambda _: None)
    (((subject, said, *_), options),) = asked
    own: dict[str, Any] = {"lambda_": "1/2", "factor": "upper"} if "factor" in str(told) else {}
    own |= {key: told[key] for key in ("eta", "clock") if key in told}
    assert subject == sa.scheme(name, model, **own) == said.scheme
    assert options["lambda_s"] == wanted.get("lambda_s")
    given = {"nu": 3} if "nu" in wanted else {}
    assert caught.value.given == (subject, said.scheme, given)
    assert options["process"] is None or options["process"].nu == 3
    assert (options["process"] is None) == (not given)


def test_the_page_of_a_validation_shows_what_else_is_known_of_a_word(monkeypatch):
    pytest.importorskip("torch")
    from reports.commands import validation

    class Known:
        def blocks(self) -> list[str]:
            return ["facts"]

    monkeypatch.setattr("reports.pages.validation.build", catch)
    for known, blocks in ((Known(), ["facts"]), (None, [])):
        with pytest.raises(Caught) as caught:
            validation.page(None, known, "ROBA")  # type: ignore[arg-type]
        assert caught.value.given == (None, "ROBA", blocks)


def test_samples_of_a_network_are_asked_for_with_every_option(monkeypatch):
    drawing = pytest.importorskip("gpu_samplers.drawing", reason="networks need torch")
    asked: list[Any] = []

    def network_and_process(*given: Any) -> Any:
        asked.append(given)
        return "network", PSLD(nu=3)

    monkeypatch.setattr(drawing, "network_and_process", network_and_process)
    monkeypatch.setattr(drawing, "write_samples", catch)
    job: dict[str, Any] = {"seed": 7, "grid": "quadratic", "eps": 0.01, "denoise": "data"}
    job |= {"merge_noise": True, "precision": "bf16", "state": "float32", "numerical_eps": 1e-9}
    running: dict[str, Any] = {"batch": 2, "device": "cuda", "compile": True}
    running |= {"channels_last": True, "graphs": True, "winograd": True}
    source: dict[str, Any] = {"checkpoint": "file", "config": "own"}
    with pytest.raises(Caught) as caught:
        sa.sample(
            "ROBA", 3, 20, **source, lambda_s="5/4", trained_factor="upper", nu=3, **job, **running
        )
    _, made, network = caught.value.given
    wanted = {"n": 3, "nfe": 20, "lambda_s": 1.25, "factor": "upper", "process": PSLD(nu=3), **job}
    assert {key: getattr(made, key) for key in wanted} == wanted
    assert made.scheme == sa.scheme("ROBA") and network == "network"
    assert caught.value.options == running
    assert asked == [("file", "psld", {"nu": 3}, "own", "bf16")]
    with pytest.raises(Caught) as caught:
        sa.sample("RK45 adaptive", 2, tol=0.1)
    assert caught.value.given[1].tol == 0.1 and caught.value.given[1].nfe is None


def test_samples_of_a_score_are_asked_for_with_every_option(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("gpu_samplers.engine.sample", catch)
    told: dict[str, Any] = {"seed": 7, "denoise": "data", "merge_noise": True, "batch": 2}
    with pytest.raises(Caught) as caught:
        sa.sample(
            "ROBA", 3, 21, score=abs, shape=(5,), grid="quadratic", eps=0.01, lambda_s="5/4",
            device="cuda", state="float32", nu=3, **told,
        )  # fmt: skip
    own, process, score, times, shape, indices, seed = caught.value.given
    assert (own, process) == (sa.scheme("ROBA"), PSLD(nu=3))
    assert (score, shape, seed) == (abs, (5,), 7)
    assert [*indices] == [0, 1, 2] and len(times) == 21 and times[-1] == pytest.approx(0.99)
    assert times[1] == pytest.approx(0.99 * (1 - 0.95**2))
    rest = {"device": "cuda", "state_dtype": torch.float32, "lambda_s": 1.25}
    assert caught.value.options == rest | {key: told[key] for key in told if key != "seed"}
    with pytest.raises(Caught) as caught:
        sa.sample("DDIM", 1, 9, model="vp", score=abs, shape=(1,), eta=1, beta_max=9)
    assert caught.value.given[:2] == (sa.scheme("DDIM", "vp", eta=1), VP(beta_max=9))


def test_numbers_are_spelled_as_people_do_wherever_one_is_told():
    half = (0.5, "1/2", Fraction(1, 2))
    tables = [
        [sa.gaussian("ROBA", steps=3, spectrum=1, Gamma=v, eps=v).rows for v in half],
        [sa.stability("ROBA", spectrum=1, tau=v, Gamma=v).rows for v in half],
        [sa.harmonic("BAOAB", h=v, omega=v, gamma=v).rows for v in half],
        [sa.harmonic("BAOAB-RESPA2", h=1, fast=v).rows for v in half],
    ]
    for one, *others in tables:
        assert others == [one, one]
    with pytest.raises(ValueError, match="no parameter 'grids'"):
        sa.gaussian("ROBA", steps=3, spectrum=1, grids="quadratic")
    with pytest.raises(ValueError, match="at least one forward time"):
        sa.stability("ROBA", spectrum=1, tau=[])
