"""Broken and hostile files: one sentence that names the file, never a traceback, a hang or a full
memory.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="checkpoints need torch")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="checkpoints need safetensors")

from gpu_samplers import checkpoints, memory  # noqa: E402
from gpu_samplers.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint  # noqa: E402
from gpu_samplers.configs import Config, config_of  # noqa: E402
from gpu_samplers.data import load_images  # noqa: E402
from gpu_samplers.embedded import recorded_settings  # noqa: E402
from gpu_samplers.processes import PSLD  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from reports.cli import main  # noqa: E402
from tests.sampled import JOB, files, network, run  # noqa: E402

ADVICE = ("weights_only", "arbitrary code", "trusted source")
"""What torch says of a file that it refuses: how to read it without protection."""


def one_sentence(capsys, *arguments):
    """The message of a command that refuses: exit status 2, and nothing else on standard error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    shown = capsys.readouterr()
    assert stopped.value.code == 2 and shown.out == ""
    assert shown.err.startswith("error: ") and "Traceback" not in shown.err
    assert not any(text in shown.err for text in ADVICE)
    return shown.err


@pytest.mark.parametrize("command", ["sample", "convert", "train"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_no_command_waits_for_a_pipe_a_folder_or_a_device(tmp_path, capsys, command, kind):
    path = {"pipe": tmp_path / "p.npz", "folder": tmp_path / "d", "device": "/dev/zero"}[kind]
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "folder":
        path.mkdir()
    out = tmp_path / "new.safetensors"
    arguments = {
        "sample": ("--sampler", "EM", "--nfe", 5, "-n", 1, "--out", out, "--checkpoint", path),
        "convert": (path, out),
        "train": ("--data", path, "--out", out, "--config", "tiny_sota"),
    }[command]
    assert str(path) in one_sentence(capsys, command, *arguments)
    assert not out.exists()


def test_a_configuration_may_be_a_pipe_no_more_than_a_checkpoint(tmp_path, capsys):
    os.mkfifo(tmp_path / "c.json")
    save_checkpoint(tmp_path / "net.safetensors", network())
    said = one_sentence(
        capsys,
        "convert",
        tmp_path / "net.safetensors",
        tmp_path / "x.safetensors",
        "--config",
        tmp_path / "c.json",
    )
    assert "c.json: cannot be read: it is a pipe or a device" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nf": 10**9}, "nf = 1000000000; it must be a positive multiple of 4, at most 8192"),
        ({"num_res_blocks": 10**9}, "at most 256"),
        ({"image_size": 2**40}, "at most 4096"),
        ({"in_ch": 10**12}, "at most 4096"),
        ({"ch_mult": [1] * 10**6}, "at most 16"),
        ({"ch_mult": [10**9]}, "up to 4096"),
        ({"attn_resolutions": list(range(1, 10**5))}, "at most 16"),
        ({"dropout": float("nan")}, "dropout = nan; it must be a number in"),
        ({"fourier_scale": 10**400}, "fourier_scale"),
        ({"x" * 10**6: 1}, "unknown settings"),
        ({"fir": [[[[[[[[[[1]]]]]]]]]]}, "fir"),
    ],
)
def test_an_enormous_configuration_is_refused_at_once_and_in_short(change, says):
    with pytest.raises(ValueError, match="network configuration: ") as error:
        config_of({**Config(8, 8, (1, 2), 1, (4,), 0.5).as_dict(), **change})
    assert says in str(error.value) and len(str(error.value)) < 1000


def test_a_network_larger_than_the_memory_is_refused_with_both_numbers(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "net.safetensors", network())
    monkeypatch.setattr(memory, "memory", lambda *_: 1000.0)
    with pytest.raises(
        ValueError, match=r"parameters needs at least \S+ kB of memory, cpu has 1 kB in all"
    ):
        load_checkpoint(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "told",
    [
        "[" * 10**5,
        '{"config": [1], "record": {}}',
        '{"config": {}, "record": 3}',
        '"text"',
        "1e999",
        json.dumps({"config": {"image_size": [[]]}, "record": {}}),
        '{"config":' * 10**5,
    ],
)
def test_metadata_of_a_checkpoint_that_is_none_is_named(tmp_path, told):
    path = tmp_path / "net.safetensors"
    safetensors_torch.save_file(network().state_dict(), path, {checkpoints.METADATA: told})
    with pytest.raises(ValueError, match=r"net\.safetensors: damaged metadata") as error:
        read_checkpoint(path)
    assert len(str(error.value)) < 600 + len(str(path))


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "process",
    [
        [],
        "text",
        {"Gamma": "0.01"},
        {"Gamma": None},
        {"Gamma": float("nan")},
        {"nu": 1e400},
        {"other": 1},
        {"Gamma": [1]},
        {"Gamma": True},
        {"Gamma": 10**400},
    ],
)
def test_a_record_that_says_no_process_is_refused_with_its_file(tmp_path, capsys, process):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, network(), {"process": process})
    with pytest.raises(ValueError, match=r"process|Gamma"):
        recorded_settings(read_checkpoint(path), PSLD)
    out = tmp_path / "out"
    said = one_sentence(
        capsys, "sample", "--sampler", "EM", "--nfe", 5, "-n", 1, "--out", out, "--checkpoint", path
    )
    assert str(path) in said and not out.exists()


def packed(path, name, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def test_a_checkpoint_that_unpacks_to_more_than_itself_is_refused_unread(tmp_path):
    packed(tmp_path / "bomb.pt", "bomb/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match=r"bomb\.pt: refused: an archive that unpacks to 10 MB"):
        read_checkpoint(tmp_path / "bomb.pt")


@pytest.mark.heavy
def test_a_tensor_that_claims_to_be_huge_is_refused_by_its_shape(tmp_path):
    weights = network().state_dict()
    key = next(iter(weights))
    weights[key] = torch.zeros(1).expand(10**6, 10**6)  # no memory, 4 TB if it is looked through
    torch.save(weights, tmp_path / "huge.pt")
    with pytest.raises(ValueError, match=rf"1 of another shape: {key} \[1000000, 1000000\]"):
        load_checkpoint(tmp_path / "huge.pt", network().config)


# Training data.


def png(width, height):
    """A picture of one colour, as small as a file as it is large in memory."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5000, 12_000, 60_000])
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_unpacked(
    tmp_path, recwarn, side
):
    (tmp_path / "bomb.png").write_bytes(png(side, side))
    with pytest.raises(ValueError, match=r"bomb\.png: (has|it has more) .*at most 4096 x 4096"):
        load_images(tmp_path)
    assert not recwarn.list


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
        png(8, 8)[:45],
        b"GIF89a" + bytes(99),
    ],
)
def test_a_picture_that_is_another_kind_of_file_is_named(tmp_path, content):
    (tmp_path / "some.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.png: cannot be read as a picture"):
        load_images(tmp_path)


def test_a_pipe_among_pictures_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png: cannot be read: it is a pipe"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "image 3 is NaN or infinite"),
        (-np.inf, "image 3 is NaN or infinite"),
        (7.0, "image 3 has some from 0 to 7"),
    ],
)
def test_an_image_with_numbers_that_are_none_is_named_with_its_place(tmp_path, value, says):
    arrays = np.zeros((6, 8, 8), np.float32)
    arrays[3, 2, 1] = value
    np.savez(tmp_path / "some.npz", images=arrays)
    with pytest.raises(ValueError, match=rf"some\.npz: .*{says}"):
        load_images(tmp_path / "some.npz")


def test_images_that_unpack_or_claim_to_more_than_the_memory_are_refused_with_numbers(
    tmp_path, monkeypatch
):
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((500, 64, 64), np.uint8))
    monkeypatch.setattr(memory, "memory", lambda *_: 1e6)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match=r"needs at least 16\.4 MB of memory, cpu has 1 MB in all"):
        load_images(tmp_path / "bomb.npz")
    monkeypatch.undo()
    claimed = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**14, 8, 8), }".replace(
        b"10**14", b"100000000000000"
    )
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(claimed) + 1) + claimed + b"\n"
    packed(tmp_path / "claim.npz", "images.npy", head)
    with pytest.raises(ValueError, match=r"claim\.npz: .* needs at least 51\.2 PB of memory"):
        load_images(tmp_path / "claim.npz")


# States of an interrupted training.


# Folders of samples.


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "told", ["[" * 10**5, "3", '{"n": ' * 10**5, "\x00", "", '{"mine": "keep"}', '{"n": 3}']
)
def test_a_record_that_is_none_is_refused_and_kept_whether_there_are_samples_or_not(tmp_path, told):
    run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/.mine.part").touch()
    for folder in (tmp_path / "a", tmp_path / "b"):
        (folder / "run.json").write_text(told)
        before = files(folder)
        with pytest.raises(
            ValueError, match=r"run\.json: .*no record of a run.* give another folder"
        ):
            run(folder)
        assert files(folder) == before


def test_a_pipe_a_folder_or_a_dangling_link_named_as_the_record_is_refused_and_kept(tmp_path):
    for name, make in (
        ("pipe", os.mkfifo),
        ("folder", os.mkdir),
        ("link", lambda p: p.symlink_to("gone")),
    ):
        record = tmp_path / name / "run.json"
        record.parent.mkdir()
        make(record)
        mode = record.lstat().st_mode
        with pytest.raises(ValueError, match=r"run\.json: cannot be read: .* give another folder"):
            run(record.parent)
        assert record.lstat().st_mode == mode


def test_the_record_of_a_run_without_samples_makes_room_for_another_run(tmp_path):
    whole = files(run(tmp_path / "a"))
    run(tmp_path / "b", replace(JOB, seed=JOB.seed + 1))
    for path in (tmp_path / "b").glob("*.npz"):
        path.unlink()
    assert files(run(tmp_path / "b")) == whole


def test_what_is_no_file_where_a_shard_belongs_is_named_before_the_work(tmp_path, monkeypatch):
    run(tmp_path, replace(JOB, n=4))
    os.mkfifo(tmp_path / "00000004-00000007.npz")
    broken = network()
    broken.forward = None
    with pytest.raises(ValueError, match=r"00000004-00000007\.npz: is no file"):
        write_samples(tmp_path, JOB, broken, batch=2)


def test_a_shard_that_unpacks_to_more_than_its_samples_is_made_again(tmp_path):
    whole = files(run(tmp_path))
    packed(tmp_path / "00000004-00000007.npz", "images.npy", bytes(10**6))
    assert files(run(tmp_path)) == whole
