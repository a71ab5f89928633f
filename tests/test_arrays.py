"""Rows of numbers from files: what is not one is refused alike wherever a file is told."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytic_models.arrays import read_row
from analytic_models.grids import read_grid
from analytic_models.schedules import load_schedule
from analytic_models.targets import load_spectrum

READERS: Any = {"spectrum": load_spectrum, "schedule": load_schedule, "grid": read_grid}


def _saved(folder: Path) -> bytes:
    np.save(folder / "own.npy", np.array([0.9, 0.5, 0.1]))
    return (folder / "own.npy").read_bytes()


@pytest.mark.parametrize("told", READERS)
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("claims more than it holds", "is not a readable .npy array"),
        ("header cut in two", "is not a readable .npy array"),
        ("archive", "is an archive of arrays"),
        ("objects", "is not a readable .npy array"),
        ("words", "not real numbers"),
        ("table", r"shape \(2, 2\), not one row of numbers"),
    ],
)
def test_a_file_that_is_no_row_of_numbers_is_refused_with_one_sentence_by_all_that_read_one(
    told, kind, says, tmp_path
):
    path = tmp_path / "bad.npy"
    sound = _saved(tmp_path)
    contents = {
        # 8e11 bytes: what is claimed is not asked of the memory
        "claims more than it holds": sound.replace(b"(3,), }" + 11 * b" ", b"(100000000000,), }"),
        "header cut in two": sound.replace(b"}", b" "),
    }
    if kind in contents:
        assert contents[kind] != sound
        path.write_bytes(contents[kind])
    elif kind == "archive":
        np.savez(tmp_path / "more.npz", a=np.ones(2))
        (tmp_path / "more.npz").rename(path)
    else:
        arrays: Any = {"objects": [None, {}], "words": ["a", "b"], "table": np.ones((2, 2))}
        np.save(path, np.array(arrays[kind]))
    with pytest.raises(ValueError, match=says) as caught:
        READERS[told](str(path))
    said = str(caught.value)
    assert told in said and "bad.npy" in said and "\n" not in said and "unsafely" not in said


def test_damaged_files_are_a_row_of_numbers_or_a_value_error(tmp_path):
    draw = random.Random(1)
    path, sound = tmp_path / "damaged.npy", _saved(tmp_path)
    said = []
    with warnings.catch_warnings(action="error"):
        for _ in range(150):
            content = bytearray(sound)
            for _ in range(draw.randint(1, 4)):
                content[draw.randrange(72)] = draw.choice(b"0123456789(){},<>fiOSL'\x00\xff ")
            path.write_bytes(content)
            try:
                read_row(path, "grid")
            except ValueError as error:
                said.append(str(error))
    assert len(said) > 50 and all(text.startswith("grid: ") for text in said)


@pytest.mark.parametrize("text", ["0 0.5 0.9_1", "0\n0.5\n٠.٩", "0,0.5,nine", "# t\n0\n0.5"])
def test_a_grid_in_a_text_is_refused_at_what_is_no_number(text, tmp_path):
    path = tmp_path / "grid.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"grid .*: '.*' is not a number; times are numbers"):
        read_grid(str(path))


def test_a_grid_is_read_in_all_spellings_of_its_numbers_and_of_its_file(tmp_path):
    path = tmp_path / "grid.txt"
    path.write_text("0, 1/2\r\n9e-1", encoding="utf-8-sig")
    assert read_grid(str(path)) == read_grid("0,1/2,9e-1") == (0.0, 0.5, 0.9)


def test_a_grid_of_too_many_times_is_told_how_many_there_may_be():
    with pytest.raises(ValueError, match="2 to 1000000 reverse times, not 1000001"):
        read_grid(np.linspace(0, 1, 1_000_001).tolist())
