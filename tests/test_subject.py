"""What may be validated: functions, methods, modules of torch; and what is said of the rest."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from functools import wraps

import pytest

from analytic_models.probing.subject import load, subject_of
from analytic_models.probing.validate import validate


def em(z, t, h, score, noise, model):
    rate = h * model.beta(model.T - t)
    return z + rate * (z / 2 + score(z, model.T - t)) + rate**0.5 * noise()


class Stepper:
    def step(self, z, t, h, score, noise, model):
        return em(z, t, h, score, noise, model)


def loose(*arguments, **named):
    return em(*arguments, **named)


def test_a_function_a_method_and_a_wrapper_that_keeps_names_are_steps():
    @wraps(em)
    def kept(*arguments, **named):
        return em(*arguments, **named)

    for call in (em, Stepper().step, kept):
        assert subject_of(call).kind == "step"
    assert subject_of(lambda score, z, grid, noise, model: z).kind == "sample"


def test_a_module_of_torch_is_what_its_forward_is_and_is_given_tensors():
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, z, t, h, score, noise, model):
            return em(z, t, h, score, noise, model)

    found = subject_of(Module())
    assert found.kind == "step" and found.torch


def test_what_is_no_sampler_is_refused_with_what_would_be_right():
    with pytest.raises(ValueError, match=r"must be step\(z, t, .*; its method is Stepper\.step"):
        subject_of(Stepper())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"takes \(\*arguments, \*\*named\).*functools\.wraps"):
        subject_of(loose)
    with pytest.raises(ValueError, match=r"takes \(x\); it must be step"):
        subject_of(lambda x: x)
    with pytest.raises(ValueError, match=r"takes \(score, z\); it must be step"):
        subject_of(lambda score, z: z)
    with pytest.raises(ValueError, match=r"takes \(score, z, \*, grid, noise, model\).*by place"):
        subject_of(lambda score, z, *, grid, noise, model: z)


def test_a_run_that_is_cut_short_leaves_the_garbage_collector_as_it_was():
    def endless(z, t, h, score, noise, model):
        assert not gc.isenabled()  # an exception within a collection would be lost
        while True:
            pass

    for collecting in (True, False):
        (gc.enable if collecting else gc.disable)()
        try:
            found = validate(replace(subject_of(endless), limit=0.1), "order=1", "flow")
            assert gc.isenabled() is collecting
        finally:
            gc.enable()
        assert "still running" in found.checks[-1].seen


def test_a_file_that_was_edited_within_a_second_at_the_same_size_is_read_again(tmp_path):
    file, found = tmp_path / "own.py", []
    for number in (1, 2):
        file.write_text(f"def step():\n    return {number}\n", encoding="utf-8")
        os.utime(file, (1e9, 1e9))
        found.append(load(file, "step")())
    assert found == [1, 2]


@pytest.mark.parametrize("code", [0, 3])
def test_a_file_that_ends_the_program_is_refused_and_nobody_is_told_that_it_passed(tmp_path, code):
    file = tmp_path / "own.py"
    file.write_text(f"import sys\nsys.exit({code})\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"own.py cannot be loaded: SystemExit: {code}"):
        load(file, "step")
