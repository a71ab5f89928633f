"""How experiments are run: part by part, with progress, ended by one sentence whatever stops
them.
"""

from __future__ import annotations

import runpy
import sys
from functools import partial
from typing import Any

import pytest
import torch

from gpu_samplers.data import digits
from reports.experiments import comparisons, global_orders, quality, reuse, rounding, runner, store
from reports.render import progress

MODULES = sorted({kept.module for kept in store.KEPT.values()})
BAD = {
    "quality": (["--target", "nothing"], "invalid choice: 'nothing'"),
    "vp_splitting": (["--target", "nothing"], "invalid choice: 'nothing'"),
    "cifar10": (["nothing.npy"], "nothing.npy"),
    "judge": (["nothing", "--weights", "no.safetensors", "--out", "no.json"], "no.safetensors"),
}
"""Bad arguments of the experiments whose arguments are no parts, and what is said of them."""


def made(kept, name, watch):
    """A part of three items that are kept as soon as they are made."""
    for item in watch((1, 2, 3), "item"):
        kept.append((name, item))


def test_parts_are_run_in_order_with_what_is_done_on_standard_error(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SILENCE", 0.0)  # every step says a line
    kept: list[tuple[str, int]] = []
    parts = {name: partial(made, kept, name) for name in ("first", "second")}
    runner.run("command", lambda: parts)
    assert kept == [(name, i) for name in parts for i in (1, 2, 3)]
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[0] == "first (1 of 2)" and "second (2 of 2)" in lines
    assert "[0/3] item, 1" in lines and "[3/3] item" in lines
    assert any(
        line.startswith("[2/3] item, 3, about ") and line.endswith(" left") for line in lines
    )
    assert (
        sum(line.startswith(("first: stored after", "second: stored after")) for line in lines) == 2
    )


def test_a_run_that_was_stopped_says_what_is_left_and_keeps_what_is_done(capsys):
    kept: list[tuple[str, int]] = []

    def stops(watch):
        raise KeyboardInterrupt

    parts: dict[str, Any] = {name: partial(made, kept, name) for name in ("done", "later")}
    parts = {"done": parts["done"], "stops": stops, "later": parts["later"]}
    with pytest.raises(SystemExit) as stop:
        runner.run("python -m it", lambda: parts)
    assert stop.value.code == 130 and [name for name, _ in kept] == ["done"] * 3
    assert capsys.readouterr().err.endswith(
        "stopped; python -m it was not done with: stops, later\n"
    )


def test_a_part_with_nothing_left_to_do_ends_at_once(capsys, monkeypatch):
    """The stored comparisons are whole: none is made again, and the file stays what it is."""
    monkeypatch.setattr(comparisons, "comparison", lambda *_: pytest.fail("it was stored"))
    monkeypatch.setattr(store, "save", lambda *_: pytest.fail("it was written again"))
    runner.run("command", lambda: {"dataset": partial(comparisons.keep, "dataset")})
    assert capsys.readouterr().err.startswith("dataset (1 of 1)\ndataset: stored after ")


def test_named_parts_alone_are_run_and_no_others_are_known():
    parts = {name: lambda _: None for name in ("a", "b", "c")}
    assert [*runner.chosen([], parts)] == ["a", "b", "c"]
    assert [*runner.chosen(["c", "a"], parts)] == ["c", "a"]
    with pytest.raises(ValueError, match="no part 'd'; there are: a, b, c"):
        runner.chosen(["a", "d"], parts)


@pytest.mark.parametrize("module", MODULES)
def test_every_experiment_refuses_a_bad_argument_with_one_message_and_status_two(
    module, monkeypatch, capsys
):
    arguments, said = BAD.get(module, (["nothing"], "error: no part 'nothing'; there are: "))
    monkeypatch.setattr(sys, "argv", ["it", *arguments])
    path = store.DATA.parent / "experiments" / f"{module}.py"
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("module", "part", "compute", "key"),
    [
        (reuse, "mixture", "compute_target", "targets"),
        (rounding, "network", "compute_target", "targets"),
        (global_orders, "slow-network", "compute_target", "ode"),
    ],
)
def test_a_part_replaces_itself_in_the_store_and_leaves_the_others(
    module, part, compute, key, monkeypatch, tmp_path
):
    name = module.__name__.rpartition(".")[2].removesuffix("_orders")
    before = store.stored(name)
    assert before is not None
    monkeypatch.setattr(store, "DATA", tmp_path)
    store.save(name, before)
    monkeypatch.setattr(module, compute, lambda *_, **__: {"rows": [0.5]})
    module.keep(part)
    after = store.stored(name)
    assert after is not None and after["settings"] == before["settings"]
    assert after[key] == before[key] | {part: {"rows": [0.5]}} and [*after[key]] == [*before[key]]
    assert after["_command"] == store.KEPT[name].command


@pytest.mark.parametrize("name", ["dataset", "network"])
def test_both_spellings_of_the_score_of_a_target_say_the_same(name):
    """In float64; the one that is differentiated, and the one that the engine runs on."""
    target = quality.target(name)
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(2, 3, *target.shape, generator=generator, dtype=torch.float64)
    one = target.smooth(z, torch.tensor(0.4, dtype=torch.float64))
    torch.testing.assert_close(one, target.machine(torch.float64)(z, 0.4), rtol=1e-9, atol=1e-11)
    assert float(one.norm()) > 1
    assert len(target.data) == (1797 if name == "dataset" else len(digits().split()[0]))
    assert bool(target.weights) == (name == "network")
