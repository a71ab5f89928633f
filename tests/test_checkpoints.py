"""Weights in files: what is read, what is refused, and that nothing in a file is ever executed."""

from __future__ import annotations

import collections
import errno
import os
import pickle
import shutil
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="checkpoints need torch")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="checkpoints need safetensors")

from gpu_samplers import (  # noqa: E402
    Config,
    checkpoints,
    load_checkpoint,
    ncsnpp,
    read_checkpoint,
    save_checkpoint,
)
from gpu_samplers.configs import config_of  # noqa: E402
from tests.strategies import examples  # noqa: E402

TINY = Config(8, 8, (1, 2), 1, (4,), 0.5)


def network(seed=0):
    torch.manual_seed(seed)
    return ncsnpp(TINY).eval()


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def lightning(online=None, ema=None):
    """A checkpoint as Lightning writes it around the two networks."""
    weights: dict[str, object] = {}
    for prefix, module in (("score_fn.", online), ("ema_score_fn.", ema)):
        if module is not None:
            weights |= {prefix + key: value for key, value in module.state_dict().items()}
    return {
        "epoch": 2499,
        "global_step": 800_000,
        "pytorch-lightning_version": "1.7.7",
        "state_dict": collections.OrderedDict(weights),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 1}}}},
        "callbacks": {"EMAWeightUpdate": {"tau": 0.9999}},
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 2e-4}]}
        ],
        "lr_schedulers": [{"last_epoch": 3, "lr_lambdas": [None]}],
    }


@pytest.fixture
def file(tmp_path):
    def written(content, name="file.ckpt", **options):
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return written


def test_a_lightning_checkpoint_gives_its_averaged_weights_or_on_demand_the_trained_ones(file):
    online, ema = network(1), network(2)
    path = file(lightning(online, ema))
    assert same(load_checkpoint(path, TINY), ema)
    assert same(load_checkpoint(path, TINY, ema=False), online)
    assert read_checkpoint(path).prefix == "ema_score_fn."


def test_a_lightning_checkpoint_without_averages_gives_its_trained_weights(file):
    stored = read_checkpoint(file(lightning(online=network(1))))
    assert stored.prefix == "score_fn." and list(stored.weights) == list(network().state_dict())


def test_trained_weights_are_not_found_where_only_averages_are(file):
    with pytest.raises(ValueError, match=r"holds averaged weights \(ema_score_fn\.\) only"):
        read_checkpoint(file(lightning(ema=network())), ema=False)


@pytest.mark.parametrize(
    "options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"]
)
def test_a_plain_state_dict_is_loaded_ready_to_predict(file, options):
    path = file(network(3).state_dict(), "plain.pt", **options)
    loaded = load_checkpoint(path, TINY.as_dict())
    assert same(loaded, network(3)) and not loaded.training
    z, t = torch.randn(1, 6, 8, 8), torch.tensor(0.4)
    with torch.no_grad():
        assert torch.equal(loaded(z, t), network(3)(z, t))


def test_loaded_weights_no_longer_depend_on_the_file(file):
    path = file(network(3).state_dict())
    loaded = load_checkpoint(path, TINY)
    path.write_bytes(bytes(path.stat().st_size))
    assert same(loaded, network(3))


def test_what_can_be_trained_is_the_same_after_loading(file):
    loaded = load_checkpoint(file(network().state_dict()), TINY)
    frozen = [key for key, p in loaded.named_parameters() if not p.requires_grad]
    assert frozen == [key for key, p in network().named_parameters() if not p.requires_grad] != []


def test_a_saved_network_comes_back_with_its_configuration_and_its_record(tmp_path):
    path = tmp_path / "net.safetensors"
    record = {"data": "digits", "loss": [0.5, 0.25]}
    save_checkpoint(path, network(4), record)
    loaded = load_checkpoint(path)
    assert same(loaded, network(4)) and loaded.config == TINY
    assert read_checkpoint(path).record == record
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_files_load_in_float32_and_networks_in_the_precision_asked_for(tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, network().bfloat16())
    assert {p.dtype for p in load_checkpoint(path).parameters()} == {torch.float32}
    assert same(load_checkpoint(path), network().bfloat16().float())
    save_checkpoint(path, network().double())
    assert same(load_checkpoint(path, dtype=torch.float64), network().double())
    assert same(load_checkpoint(path, dtype=torch.bfloat16), network().bfloat16())


def test_a_configuration_that_contradicts_the_file_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, network())
    assert same(load_checkpoint(path, TINY), network())
    with pytest.raises(
        ValueError, match=r"another configuration .*: nf 8, not 4; dropout 0\.5, not 0$"
    ):
        load_checkpoint(path, {**TINY.as_dict(), "nf": 4, "dropout": 0})


def test_of_two_configurations_the_one_that_fits_is_named(file, monkeypatch):
    other = {**TINY.as_dict(), "nf": 4}
    monkeypatch.setattr(checkpoints, "CONFIGS", {"this": TINY, "other": config_of(other)})
    path = file(network().state_dict())
    with pytest.raises(ValueError, match=r"its configuration; give one of .* They fit this\.$"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match=r"weights do not fit(.|\n)* They fit this\.$"):
        load_checkpoint(path, other)


@pytest.mark.heavy
def test_a_file_without_configuration_names_those_that_fit_it(file):
    with pytest.raises(
        ValueError, match=r"does not say its configuration; .* They fit tiny_ablation\."
    ):
        load_checkpoint(file(ncsnpp("tiny_ablation").state_dict()))
    with pytest.raises(ValueError, match=r"weights do not fit(.|\n)* They fit tiny_sota\."):
        load_checkpoint(file(ncsnpp("tiny_sota").state_dict()), "tiny_ablation")


def test_every_entry_that_does_not_fit_is_listed_in_one_error(file):
    weights = network().state_dict()
    keys = list(weights)
    for key in keys[1:3]:
        del weights[key]
    weights[keys[3]] = torch.zeros(5, 7)
    weights[keys[4]] = weights[keys[4]].to(torch.complex64)
    weights[keys[5]] = weights[keys[5]] * float("nan")
    weights["head.bias"] = torch.zeros(2)
    with pytest.raises(ValueError, match="the weights do not fit") as error:
        load_checkpoint(file(weights), TINY)
    shape = list(network().state_dict()[keys[3]].shape)
    assert str(error.value).splitlines()[1:] == [
        f"  2 missing: {keys[1]}, {keys[2]}",
        "  1 not expected: head.bias",
        f"  1 of another shape: {keys[3]} [5, 7], not {shape}",
        f"  1 not dense real numbers: {keys[4]}",
        f"  1 nan or infinite: {keys[5]}",
    ]


def test_long_lists_of_entries_are_cut_and_counted(file):
    weights = network().state_dict()
    n = len(weights)
    with pytest.raises(ValueError, match=f"{n} missing: (.*)") as error:
        load_checkpoint(file({f"other.{key}": value for key, value in weights.items()}), TINY)
    assert str(error.value).count(f", and {n - checkpoints.SHOWN} more") == 2
    assert len(str(error.value)) < 1000


class Evil:
    """Asks the unpickler to create something named `mark`, by a call to the system or by a
    library.
    """

    def __init__(self, mark, function=shutil.copyfile):
        self.call = (function, (str(mark),) if function is os.mkdir else (__file__, str(mark)))

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, shutil.copyfile])
@pytest.mark.parametrize(
    "options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"]
)
def test_a_file_that_asks_for_code_to_be_run_is_refused_and_the_code_is_not_run(
    tmp_path, file, options, function
):
    mark = tmp_path / "executed"
    content = {**network().state_dict(), "extra": Evil(mark, function)}
    path = file(content, "evil.ckpt", **options)
    asked = (
        rf"evil\.ckpt: refused: reading it would run {function.__module__}\.{function.__name__};"
    )
    with pytest.raises(ValueError, match=asked) as error:
        load_checkpoint(path, TINY)
    assert "\n" not in str(error.value) and not mark.exists()
    torch.load(path, weights_only=False)  # what is refused would indeed have run
    assert mark.exists()


@pytest.mark.filterwarnings("always")  # of torch's, about the protocol: none may reach a user
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_torch_did_not_write_is_refused_as_such_and_not_run(
    tmp_path, recwarn, protocol
):
    path, mark = tmp_path / "evil.pt", tmp_path / "executed"
    for content in (Evil(mark), {"w": [1.5]}):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(
            ValueError, match=r"evil\.pt: refused: (a pickle that|reading it would run shutil)"
        ):
            load_checkpoint(path, TINY)
    assert not mark.exists() and not recwarn.list


@pytest.fixture
def trainer():
    """A package named as Lightning, there while a file is written and gone when it is read."""
    module = types.ModuleType("pytorch_lightning")
    module.calls = []  # type: ignore[attr-defined]

    class Callback:
        def __init__(self, *arguments):
            module.calls.append(arguments)

        def __reduce__(self):
            return Callback, (1, "two"), {"best": 0.3}

    Callback.__module__, Callback.__qualname__ = module.__name__, "Callback"
    module.Callback = Callback  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module
    sys.modules.pop(module.__name__, None)


def test_objects_of_lightning_beside_the_weights_are_skipped_without_running_it(file, trainer):
    content = lightning(ema=network(5))
    content["callbacks"] = {trainer.Callback: {"dirpath": Path("results")}, "x": trainer.Callback()}
    path = file(content)
    trainer.calls.clear()
    trusted = set(torch.serialization.get_safe_globals())
    assert same(load_checkpoint(path, TINY), network(5))
    del sys.modules["pytorch_lightning"]
    assert same(load_checkpoint(path, TINY), network(5))
    assert trainer.calls == []
    # no other file is read more freely
    assert set(torch.serialization.get_safe_globals()) == trusted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither safetensors nor a checkpoint of torch.save, or damaged"),
        (b"not a checkpoint", "neither safetensors nor"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither safetensors nor"),
        (b"PK\x05\x06" + bytes(18), "neither safetensors nor"),
        (b"\x80\x04" + bytes(30), "neither safetensors nor"),
        (bytes([50, 0, 0, 0, 0, 0, 0, 0]) + b"{" + b" " * 60, "damaged safetensors"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content, message):
    path = tmp_path / "some.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"some.bin: {message}"):
        load_checkpoint(path, TINY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state dict, but list"),
        (torch.zeros(3), "holds no state dict, but Tensor"),
        ({"state_dict": [torch.zeros(3)]}, "holds no state dict, but list"),
        ({1: torch.zeros(3)}, "holds no state dict, but dict"),
        ({"epoch": 3, "lr": 0.1}, "no tensors in epoch, lr"),
        ({}, "missing"),
    ],
)
def test_a_file_without_weights_is_refused(file, content, message):
    with pytest.raises(ValueError, match=message):
        load_checkpoint(file(content), TINY)


def test_a_place_that_cannot_be_read_or_written_is_named(tmp_path):
    for path in (tmp_path / "absent.ckpt", tmp_path):
        with pytest.raises(ValueError, match=f"{path}: cannot be read: "):
            load_checkpoint(path, TINY)
    with pytest.raises(
        ValueError, match=r"net\.safetensors: cannot be written: there is no folder \S+nowhere$"
    ):
        save_checkpoint(tmp_path / "nowhere" / "net.safetensors", network())


def test_foreign_metadata_is_named_where_it_is_wrong(tmp_path):
    path = tmp_path / "net.safetensors"
    for wrong in (
        "{",
        "[1]",
        "{}",
        '{"config": "tiny_sota", "record": {}}',
        '{"config": {}, "record": {}}',
    ):
        safetensors_torch.save_file(network().state_dict(), path, {checkpoints.METADATA: wrong})
        with pytest.raises(
            ValueError, match=r"net\.safetensors: damaged metadata 'splitting-analysis': "
        ):
            load_checkpoint(path)
    safetensors_torch.save_file(network().state_dict(), path, {"format": "pt"})
    assert same(load_checkpoint(path, TINY), network())


DAMAGED: dict[str, bytes] = {}
"""File contents by kind, written once."""


@examples(8)
@given(kind=st.sampled_from(["zip", "legacy", "safetensors"]), data=st.data())
def test_a_damaged_file_loads_or_is_refused_but_never_fails_otherwise(tmp_path_factory, kind, data):
    path = tmp_path_factory.getbasetemp() / f"damaged-{kind}"
    if kind not in DAMAGED:
        if kind == "safetensors":
            save_checkpoint(path, network())
        else:
            torch.save(network().state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
        DAMAGED[kind] = path.read_bytes()
    content = bytearray(DAMAGED[kind])
    at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 5000) | st.integers(-5000, -1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(content)
    try:
        load_checkpoint(path, TINY)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017 - damage in the numbers themselves loads


def test_an_interrupted_write_leaves_the_old_file_and_no_other_not_even_in_its_message(
    tmp_path, monkeypatch
):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, network(1))

    def half(_weights, target, _metadata):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "disk full", str(target))

    monkeypatch.setattr(checkpoints, "save_file", half)
    with pytest.raises(ValueError, match=r"net\.safetensors: cannot be written: disk full$"):
        save_checkpoint(path, network(2))
    assert same(load_checkpoint(path), network(1)) and list(tmp_path.iterdir()) == [path]
