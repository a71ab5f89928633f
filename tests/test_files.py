"""Files appear whole or not at all, with the permissions of the umask; a place is tried before the
work.
"""

from __future__ import annotations

import errno
import os
import stat

import pytest

from gpu_samplers.files import (
    check_file,
    check_folder,
    check_readable,
    read_json,
    size,
    whole,
    write_whole,
)

FULL = OSError(errno.ENOSPC, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_file_has_the_permissions_that_the_umask_leaves_whoever_wrote_it(tmp_path, umask):
    def as_private_file(part):
        part.unlink()
        os.close(os.open(part, os.O_CREAT, 0o600))

    for i, writes in enumerate([as_private_file, lambda part: part.write_text("text")]):
        with whole(tmp_path / str(i)) as part:
            writes(part)
        assert stat.S_IMODE((tmp_path / str(i)).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(write_whole(tmp_path / "text", "x").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), RuntimeError("other")], ids=repr)
def test_what_stops_a_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with whole(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(ValueError if error is FULL else type(error)) as raised:
        write()
    if error is FULL:
        assert str(raised.value) == f"{path}: cannot be written: No space left on device"
    assert names(tmp_path) == ["file"] and path.read_text() == "old"


def test_what_a_killed_run_has_left_is_written_over_even_a_link_elsewhere(tmp_path):
    (tmp_path / "other").write_text("mine")
    (tmp_path / ".file.part").symlink_to(tmp_path / "other")
    write_whole(tmp_path / "file", "new")
    assert names(tmp_path) == ["file", "other"] and (tmp_path / "other").read_text() == "mine"


@pytest.mark.parametrize(
    "place", ["f/file", "folder", "x" * 300, "none/file", "/proc/f", "/dev/full/f"]
)
def test_a_file_that_cannot_be_written_is_known_before_and_nothing_is_made(tmp_path, place):
    (tmp_path / "f").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"cannot be written"):
        check_file(tmp_path / place)
    assert names(tmp_path) == ["f", "folder"]
    check_file(tmp_path / "fine")
    assert names(tmp_path) == ["f", "folder"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path, linked):
    os.mkfifo(tmp_path / "pipe")
    place = tmp_path / "pipe"
    if linked:  # as /dev/stdout is
        place = tmp_path / "link"
        place.symlink_to("pipe")
    before = names(tmp_path)
    for write in (check_file, lambda path: write_whole(path, "text")):
        with pytest.raises(ValueError, match="it is a pipe or a device; give a file in a folder"):
            write(place)
        assert stat.S_ISFIFO(place.stat().st_mode) and names(tmp_path) == before


@pytest.mark.parametrize(
    "place", ["f", "f/g/h", "x" * 300, "new/" + "x" * 300, "/proc/new", "/dev/full/x"]
)
def test_a_folder_that_cannot_be_written_to_is_known_before_and_nothing_is_made(tmp_path, place):
    (tmp_path / "f").touch()
    with pytest.raises(ValueError, match=r"cannot be written to: .*; give another folder"):
        check_folder(tmp_path / place)
    check_folder(tmp_path / "a/b/c")
    assert names(tmp_path) == ["f"]


def test_space_that_is_not_there_is_refused_with_both_numbers(tmp_path):
    for check, place in ((check_file, tmp_path / "a"), (check_folder, tmp_path)):
        with pytest.raises(ValueError, match=r"1e\+06 PB are needed there, \S+ .B are free"):
            check(place, 10**21)
    assert [size(n) for n in (0, 999, 1500, 2.5e9)] == ["0 bytes", "999 bytes", "1.5 kB", "2.5 GB"]


def test_a_pipe_a_device_and_a_folder_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, what in ((tmp_path / "pipe", "a pipe or a device"), (tmp_path, "a folder")):
        with pytest.raises(ValueError, match=rf"cannot be read: it is {what}, give a file"):
            check_readable(place)
    with pytest.raises(ValueError, match=r"/dev/zero: cannot be read: it is a pipe or a device"):
        read_json(type(tmp_path)("/dev/zero"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 10_000, "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ('"' + "x" * 2**24 + '"', "at most 16.8 MB are read as JSON"),
    ],
    ids=["lists", "objects", "digits", "cut", "long"],
)
def test_json_that_is_hostile_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"some\.json: .*{says}") as error:
        read_json(path)
    assert len(str(error.value)) < 300 + len(str(path))
