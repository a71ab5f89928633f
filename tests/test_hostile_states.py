"""States of a training run that are damaged, or something else: refused in one sentence."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch", reason="checkpoints need torch")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="checkpoints need safetensors")

from gpu_samplers.training import train  # noqa: E402
from tests.test_hostile_files import (  # noqa: E402
    ADVICE,
)
from tests.trained import images, settings  # noqa: E402


def interrupted(path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings(steps=200, batch=2), images(), path, beat=stop)
    return torch.load(path.with_name(path.name + ".partial"))


def damaged(state, how):
    first = next(iter(state["network"]))
    if how == "nan":
        state["network"][first] = state["network"][first] * float("nan")
    elif how == "shape":
        state["average"][first] = torch.zeros(3, 3)
    elif how == "no tensor":
        state["network"][first] = 3
    elif how == "optimizer shape":
        state["optimizer"]["state"][min(state["optimizer"]["state"])]["exp_avg"] = torch.zeros(2, 7)
    elif how == "optimizer nan":
        state["optimizer"]["state"][min(state["optimizer"]["state"])]["exp_avg_sq"].fill_(
            float("inf")
        )
    elif how == "optimizer text":
        state["optimizer"] = "Adam"
    elif how == "told":
        state["told"] = "[" * 10**5
    else:
        key, value = how
        state[key] = value
    return state


@pytest.mark.share(6)
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("nan", "its network has 1 nan or infinite"),
        ("shape", "its average has 1 of another shape"),
        ("no tensor", "its network is no set of weights"),
        ("optimizer shape", "another shape for parameter"),
        ("optimizer nan", "NaN or infinite for parameter"),
        ("optimizer text", "no state of Adam"),
        ("told", "its settings cannot be read"),
        (("step", 10**9), "step 1000000000 of 200"),
        (("step", "three"), "step 'three'"),
        (("seconds", float("nan")), "its seconds is nan"),
        (("curve", [(1, 2)]), "its curve is no list"),
        (("curve", 7), "its curve is no list"),
        (("network", []), "its network is no set of weights"),
    ],
)
def test_a_damaged_state_is_one_sentence_and_training_does_not_begin(tmp_path, how, says):
    path = tmp_path / "net.safetensors"
    torch.save(damaged(interrupted(path), how), tmp_path / "net.safetensors.partial")
    with pytest.raises(
        ValueError, match=r"partial: no interrupted training, or damaged: "
    ) as error:
        train(settings(steps=200, batch=2), images(), path, beat=lambda *_: pytest.fail("it began"))
    assert says in str(error.value) and "\n" not in str(error.value)


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_a_state_that_asks_for_code_is_refused_without_the_advice_to_run_it(tmp_path, capsys):
    path = tmp_path / "net.safetensors"
    torch.save(interrupted(path) | {"more": Code()}, tmp_path / "net.safetensors.partial")
    with pytest.raises(ValueError, match="reading it would run") as error:
        train(settings(steps=200, batch=2), images(), path)
    assert not any(text in str(error.value) for text in ADVICE) and capsys.readouterr().out == ""


def test_a_state_that_is_a_pipe_or_a_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors.partial")
    (tmp_path / "b.safetensors.partial").mkdir()
    for name in "ab":
        says = r"partial: (no interrupted .* pipe|cannot be written: .* folder)"
        with pytest.raises(ValueError, match=says):
            train(settings(), images(), tmp_path / f"{name}.safetensors")
