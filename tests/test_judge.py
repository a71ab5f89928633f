"""Samples pass as patches where they are like them, and in no other case; what is written says
so.
"""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from gpu_samplers.checkpoints import save_checkpoint  # noqa: E402
from gpu_samplers.configs import Config  # noqa: E402
from gpu_samplers.data import Images, patches  # noqa: E402
from gpu_samplers.job import digest_of  # noqa: E402
from gpu_samplers.network import ncsnpp  # noqa: E402
from gpu_samplers.shards import write_shard  # noqa: E402
from reports.experiments import judge, store  # noqa: E402
from tests.test_patch_features import spoiled  # noqa: E402

SMALL = Config(32, 4, (1,), 1, (), 0.0, fir=False, progressive_input="none")


@pytest.fixture(scope="module")
def few():
    """Patches trained on, others like them (each between two of the first), and held-out ones."""
    images = patches()
    assert images.held is not None
    start = len(images.pixels) - int(images.held.sum())
    taught, held = images.pixels[:start], images.pixels[start:]
    return taught[::26].clone(), taught[13::26].clone(), held[::5].clone()


@pytest.mark.heavy
def test_patches_between_those_trained_on_pass(few):
    found = judge.judged(few[1], few[0], few[2])
    assert found["passes"] and found["times_the_floor"] < 0.1 and found["largest_power_off"] < 0.1
    assert found["frechet"]["samples"] < 5 * found["frechet"]["chance"]
    assert found["bands"]["beyond"] == 0


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["blur", "noise", "contrast"])
def test_spoiled_patches_do_not_pass(few, how):
    found = judge.judged(spoiled(few[1], how), few[0], few[2])
    assert not found["passes"] and found["bands"]["beyond"] > 0


@pytest.mark.heavy
def test_held_out_patches_show_another_half_and_have_another_spectrum(few):
    """The floor of the distance is theirs; their power is not within the tolerance, and need not
    be.
    """
    found = judge.judged(few[2], few[0], few[2])
    assert found["times_the_floor"] == pytest.approx(1, rel=0.01)
    assert not found["passes"] and found["power"]["samples"] == found["power"]["held-out patches"]


def test_each_criterion_alone_can_fail():
    assert judge.passes(0.1, 3.0)
    assert not judge.passes(0.101, 0.5) and not judge.passes(0.01, 3.01)


def test_a_band_counts_for_what_two_standard_errors_do_not_change():
    found = np.array([1.0, 1.05, 1.05, 0.85, 1.15, 1.3])
    error = np.array([0.04, 0.02, 0.03, 0.02, 0.03, 0.05])
    assert judge.verdict(found, error) == {"within": 2, "beyond": 2, "undecided": 2}


def test_the_standard_error_is_how_far_means_of_as_many_samples_spread():
    rng = np.random.default_rng(0)
    power = rng.exponential(2.0, (400, 50, 3))
    means, errors = zip(*(judge.ratio(x, np.full((9, 3), 2.0)) for x in power), strict=True)
    assert np.std(means) == pytest.approx(np.mean(errors), rel=0.05)
    assert np.mean(means) == pytest.approx(1, abs=0.01)


def test_the_pictures_are_the_first_images_side_by_side_in_grey():
    images = torch.linspace(-1, 1, 32)[:, None, None, None].expand(32, 3, 32, 32)
    rows = np.array([list(bytes.fromhex(row)) for row in judge.mosaic(images)])
    assert rows.shape == (4 * 33, 8 * 33)
    assert rows[:-1:33, :-1:33].flatten().tolist() == pytest.approx(np.linspace(0, 255, 32), abs=1)
    assert rows[32].max() == 0


@pytest.fixture
def folder(tmp_path, few, monkeypatch):
    """Samples of a small network, as `sample` writes them: here they are patches."""
    taught, others, held = few
    mask = torch.arange(len(taught) + len(held)) >= len(taught)
    monkeypatch.setattr(judge, "patches", lambda: Images("few", torch.cat([taught, held]), mask))
    torch.manual_seed(0)
    network = ncsnpp(SMALL).eval()
    save_checkpoint(tmp_path / "net.safetensors", network, {"steps": 7, "curve": [[7, 0.5, 0.25]]})
    there = tmp_path / "samples"
    there.mkdir()
    told = {"word": "O S B A", "nfe": 3, "weights sha256": digest_of(network)}
    (there / "run.json").write_text(json.dumps(told))
    for part in (range(400), range(400, len(others))):
        write_shard(there, "npz", part, others[part.start : part.stop].numpy(), [3] * len(part))
    return there


def told_to_judge(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["judge", *map(str, arguments)])
    judge.command()


@pytest.mark.heavy
def test_the_command_writes_what_it_found_of_other_weights_and_says_it(
    folder, monkeypatch, capsys, few
):
    weights, out = folder.parent / "net.safetensors", folder.parent / "found.json"
    told_to_judge(monkeypatch, folder, "--weights", weights, "--out", out)
    assert f"{len(few[1])} samples pass as patches: power off by at most" in capsys.readouterr().out
    found = store.read(out)
    assert (
        found is not None and found["passes"] and found["weights_sha256"] == store.digest(weights)
    )
    assert found["number"] == len(few[1]) and found["samples"] == {
        "sampler": "ROBA",
        "word": "O S B A",
        "nfe": 3,
    }
    assert found["training"] == {"steps": 7} and found["curve"] == [[7, 0.5, 0.25]]
    assert found["compared"] == len(few[2]) and found["taught"] == len(few[0])
    assert found["pictures"]["samples"] == judge.mosaic(few[1])


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda f: (f / "run.json").write_text('{"weights sha256": "0"}'),
            "are not those of the network",
        ),
        (lambda f: (f / "run.json").write_text("[]"), "are not those of the network"),
        (lambda f: (f / "00000400-00000713.npz").write_bytes(b"PK"), "cannot be read as samples"),
        (
            lambda f: [p.unlink() for p in f.glob("*.npz")],
            r"0 samples as \.npz; to be judged it takes 32",
        ),
        (lambda f: (f / "run.json").unlink(), r"run\.json"),
    ],
    ids=["other weights", "no record", "damaged", "empty", "unrecorded"],
)
def test_what_cannot_be_judged_is_one_message_and_nothing_is_written(
    folder, monkeypatch, capsys, spoil, says
):
    assert (folder / "00000400-00000713.npz").exists()
    spoil(folder)
    out = folder.parent / "found.json"
    with pytest.raises(SystemExit) as exit_:
        told_to_judge(
            monkeypatch, folder, "--weights", folder.parent / "net.safetensors", "--out", out
        )
    assert exit_.value.code == 2 and not out.exists()
    error = capsys.readouterr().err
    assert re.search(says, error) and error.count("error:") == 1


@pytest.mark.parametrize("given", [["--weights", "net.safetensors"], ["--out", "found.json"]])
def test_other_weights_do_not_take_the_place_of_the_bundled_ones_by_half_a_command(
    monkeypatch, capsys, given
):
    with pytest.raises(SystemExit) as exit_:
        told_to_judge(monkeypatch, "folder", *given)
    assert exit_.value.code == 2 and "--weights and --out go together" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said(monkeypatch, capsys, folder):
    weights, out = folder.parent / "net.safetensors", folder.parent / "found.json"
    with pytest.raises(SystemExit):
        told_to_judge(monkeypatch, folder.parent / "none", "--weights", weights, "--out", out)
    assert "there is no such folder; `sample` makes it" in capsys.readouterr().err
