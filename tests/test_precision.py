"""What a validation says of the types that code computes in, and of where its tensors live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytic_models.probing.checks import Check
from analytic_models.probing.elsewhere import LIVES, located
from analytic_models.probing.manners import manners
from analytic_models.probing.precision import GRAINS, KEEPS, precision
from analytic_models.probing.subject import subject_of
from analytic_models.probing.validate import PROCESSES, validate
from splitting_analysis.processes import VP

TIMES = (0.1, 0.3, 0.6, 0.9)
PROCESS = PROCESSES["vp"]


def em(z, t, h, score, noise, model):
    b = model.beta(model.T - t)
    return z + h * b * (z / 2 + score(z, model.T - t)) + (h * b) ** 0.5 * noise()


def rounded(what, kind, only=None):
    """`em`, one of its inputs rounded to a type, and back, everywhere or where states are `only`"""

    def step(z, t, h, score, noise, model):
        def cut(value):
            return value.astype(kind).astype(z.dtype) if only in (None, z.dtype) else value

        shown = cut(z) if what == "state" else z
        asked = (lambda y, tau: cut(score(y, tau))) if what == "score" else score
        drawn = (lambda: cut(noise())) if what == "noise" else noise
        return em(shown, t, h, asked, drawn, model)

    return step


def judged(call, process=PROCESS):
    """The checks of its precision that do not pass, with what is said."""
    subject = subject_of(call)
    found = precision(subject, process, TIMES, manners(subject, process, TIMES).first)
    return {c.name: f"{c.seen} | {c.where}" for c in found if c.verdict != "pass"}


@pytest.mark.parametrize("what", ["state", "score", "noise"])
def test_float16_inside_does_not_pass_for_the_rounding_of_float32(what):
    assert "float16 rounds to 1e-3" in judged(rounded(what, np.float16))[GRAINS]
    assert not judged(rounded(what, np.float32))


def test_float16_for_float32_states_alone_is_seen_there():
    found = judged(rounded("score", np.float16, only=np.float32))
    assert list(found) == [KEEPS]
    assert "apart from it by" in found[KEEPS]


def wide_torch(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) * torch.ones(1, dtype=torch.float64)


def mixed_torch(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) @ torch.eye(z.shape[1], dtype=torch.float64)


def right_torch(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) * torch.tensor(1.0, dtype=torch.float64)


def bfloat_torch(z, t, h, score, noise, model):
    torch.is_tensor(z)
    return em(z, t, h, lambda y, tau: score(y, tau).bfloat16().to(z), noise, model)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda z, *rest: em(z.astype(float), *rest), "float64 comes back | the state given to"),
        (lambda z, *rest: em(z, *rest) * np.ones(z.shape), "comes back | the result of step 1"),
        (lambda z, *rest: em(z, *rest).astype(np.float16), "float16 comes back"),
        (wide_torch, "float64 comes back | the result of step 1"),
        (mixed_torch, "raises RuntimeError"),
    ],
)
def test_states_that_do_not_stay_float32_are_named_with_their_place(call, said):
    def step(z, t, h, score, noise, model):
        return call(z, t, h, score, noise, model)

    assert said in judged(call if call.__module__ and "torch" in call.__name__ else step)[KEEPS]


def test_scalars_of_numpy_that_widen_an_array_are_said_and_not_failed():
    def step(z, t, h, score, noise, model):
        return np.asarray(np.float64(1.0) * em(z, t, h, score, noise, model))

    subject = subject_of(step)
    first = manners(subject, PROCESS, TIMES).first
    assert "float64 scalars" in precision(subject, PROCESS, TIMES, first)[0].seen
    assert "float64" not in precision(subject_of(em), PROCESS, TIMES, first)[0].seen


def test_tensors_of_numbers_widen_nothing_and_bfloat16_is_seen():
    assert not judged(right_torch)
    assert "bfloat16" in judged(bfloat_torch)[GRAINS]


def test_what_bends_is_not_taken_for_rounding():
    def bent(z, t, h, score, noise, model):
        return em(z, t, h, score, noise, model) + 0.02 * np.sin(60 * z)

    assert not judged(bent, VP(0.4, 2.0))


@pytest.mark.heavy
def test_a_validation_says_it():
    assert KEEPS in {c.name for c in validate(em, "EM", "vp").checks}
    assert not validate(rounded("noise", np.float16), "EM", "vp").holds


# Devices.


def on_the_cpu(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) * torch.ones(z.shape[1], dtype=z.dtype)


def own_noise(z, t, h, score, noise, model):
    return em(z, t, h, score, lambda: torch.randn(z.shape, dtype=z.dtype), model)


def from_numpy(z, t, h, score, noise, model):
    weights = torch.from_numpy(np.ones(z.shape[1]))
    return em(z, t, h, score, noise, model) * weights.to(z.dtype)


def state_moved(z, t, h, score, noise, model):
    return em(z, t, h, lambda y, tau: score(y.cpu(), tau).to(z.device), noise, model)


def times_on_the_cpu(z, t, h, score, noise, model):
    return em(z, t, h, lambda y, tau: score(y, torch.full((len(z),), tau)), noise, model)


def back_on_the_cpu(z, t, h, score, noise, model):
    torch.is_tensor(z)
    return em(z, t, h, score, noise, model).cpu()


def through_numpy(z, t, h, score, noise, model):
    return em(torch.tensor(z.numpy()), t, h, score, noise, model)


def as_array(z, t, h, score, noise, model):
    return em(torch.from_numpy(np.asarray(z)).to(z.device), t, h, score, noise, model)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (on_the_cpu, "(3,) on the CPU meets one of z's device in mul"),
        (own_noise, "(5, 3) on the CPU"),
        (from_numpy, "(3,) on the CPU"),
        (state_moved, "the state given to the score is on the CPU"),
        (times_on_the_cpu, "the time given to the score is on the CPU"),
        (back_on_the_cpu, "the result is on the CPU"),
        (through_numpy, ".numpy() of a tensor on z's device: .cpu() first"),
        (as_array, "NumPy's array of a tensor on z's device: .cpu() first"),
    ],
)
def test_a_tensor_that_is_made_on_the_cpu_is_seen_without_a_card(call, said):
    found = located(replace(subject_of(call), torch=True), PROCESS, TIMES)
    assert isinstance(found, Check)
    assert found.verdict == "fail"
    assert said in found.seen
    own = em if call is own_noise else call  # where the two meet
    lines = [own.__code__.co_firstlineno + k for k in (1, 2)]
    named = any(f"line {n} of test_precision.py" in found.where for n in lines)
    assert named if "result" not in said else found.where == "step 1"  # and no line of ours


def right_device(z, t, h, score, noise, model):
    tau = torch.tensor(model.T - t)
    ones = torch.ones(z.shape[1], dtype=z.dtype, device=z.device) * z.new_tensor([1.0, 1.0, 1.0])
    table = torch.tensor([1.0, 2.0], device=z.device, dtype=z.dtype)
    table[0] += 1.0
    xi = torch.empty_like(z).copy_(noise())
    picked = table[torch.tensor([0])] / 2
    for_all = torch.full((len(z),), float(tau), device=z.device, dtype=z.dtype)
    z = em(z, t, h, lambda y, _: score(y, for_all), lambda: xi, model)
    return torch.where(z > 0, z, z) * ones * picked * torch.as_tensor(1.0).to(z)


def right_run(score, z, grid, noise, model):
    steps = torch.diff(grid)
    for k in range(len(steps)):
        z = em(z, float(grid[k]), steps[k].item(), score, noise, model)
    return torch.cat(z.chunk(3, 1), 1)


def padded_run(score, z, grid, noise, model):
    grid = torch.cat([grid, torch.zeros(1, dtype=z.dtype, device=z.device)])
    return right_run(score, z, grid[:-1], noise, model)


def default_device(z, t, h, score, noise, model):
    with torch.device(z.device):
        return em(z, t, h, score, noise, model) * torch.tensor([1.0]) * torch.ones(3)


@torch.inference_mode()
def inferring(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model)


def by_its_own_means(z, t, h, score, noise, model):
    drawn = torch.Generator(device=z.device).manual_seed(0)
    xi = torch.randn(z.shape, generator=drawn, device=z.device, dtype=z.dtype)
    with torch.autocast(device_type=z.device.type, enabled=False), torch.inference_mode():
        (one,) = torch.ones(1, device=z.device).tolist()
        z = em(z, t, h, score, noise, model) * one + 0 * xi
    assert len(z.numpy(force=True)) == len(z)
    return torch.from_numpy(z.cpu().numpy()).to(z.device)


@pytest.mark.parametrize(
    "call",
    [
        right_device,
        right_run,
        padded_run,
        right_torch,
        default_device,
        inferring,
        by_its_own_means,
    ],
)
def test_code_that_makes_tensors_where_z_is_is_right(call):
    assert located(subject_of(call), PROCESS, TIMES) == Check(LIVES, "pass")


def shared_memory(z, t, h, score, noise, model):
    return em(torch.utils.dlpack.from_dlpack(z), t, h, score, noise, model)


def test_of_what_could_not_be_looked_at_it_is_said_why():
    told = located(subject_of(shared_memory), PROCESS, TIMES)
    assert isinstance(told, str)
    assert told.startswith(f"whether {LIVES} could not be looked at: it raises ")


@pytest.mark.heavy
def test_what_could_not_be_looked_at_is_a_note_and_no_failure():
    found = validate(shared_memory, "EM", "vp")
    assert LIVES not in {c.name for c in found.checks}
    assert any("could not be looked at: it raises" in note for note in found.notes)
    assert found.holds


def test_arrays_have_no_device_and_a_validation_says_it_of_tensors():
    assert located(subject_of(em), PROCESS, TIMES) == ""
    checks = validate(right_torch, "EM", "vp").checks
    assert [c.verdict for c in checks if c.name == LIVES] == ["pass"]
    assert all(c.verdict == "pass" for c in checks)
