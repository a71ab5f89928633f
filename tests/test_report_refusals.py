"""What keeps a report from being written or compared is noticed first; and what is said while it is
made.
"""

from __future__ import annotations

import re

import pytest

from reports.commands import report as command
from reports.pages import site


def test_checking_without_a_copy_says_how_to_make_one(tmp_path):
    with pytest.raises(
        ValueError, match=r"no report in .* splitting-analysis report --quick --out"
    ):
        site.check_report(True, tmp_path / "nowhere")


def in_the_way(out, kind):
    """Something that keeps the report from being written to `out`."""
    if kind == "a file for a folder":
        out.mkdir()
        (out / "json").write_text("mine")
    elif kind == "a file above":
        out.parent.write_text("mine")
    elif kind == "a folder for a page":
        (out / "exact.html").mkdir(parents=True)
    elif kind == "a folder for a summary":
        (out / "SUMMARY.md").mkdir(parents=True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("a file for a folder", "r"),
        ("a file above", "f/r"),
        ("a folder for a page", "r"),
        ("a folder for a summary", "r"),
        ("a name too long", "r" * 300),
        ("a device above", "/dev/full/r"),
        ("no place for files", "/proc/r"),
    ],
)
def test_what_cannot_be_written_is_noticed_before_anything_is_computed(
    tmp_path, monkeypatch, kind, name
):
    in_the_way(tmp_path / name, kind)
    there = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(site, "build_pages", lambda *_: pytest.fail("it was computed first"))
    with pytest.raises(ValueError, match="cannot be written"):
        site.build_report(tmp_path / name, quick=True)
    assert sorted(tmp_path.rglob("*")) == there


def test_a_disk_that_is_too_small_is_noticed_first_and_both_sizes_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "NEEDED", 10**18)
    monkeypatch.setattr(site, "build_pages", lambda *_: pytest.fail("it was computed first"))
    with pytest.raises(ValueError, match=r"1e\+03 PB are needed there, \S+ .B are free"):
        site.build_report(tmp_path / "r", quick=True)
    assert not list(tmp_path.iterdir())


def test_an_installed_package_is_no_place_for_the_copy_to_compare_with(monkeypatch, tmp_path):
    monkeypatch.setattr(site, "COMMITTED", tmp_path / "site-packages/reports/output")
    with pytest.raises(
        ValueError, match=r"part of a source checkout.* report --quick --out FOLDER"
    ) as error:
        site.check_report(True, site.COMMITTED)
    assert "site-packages" not in str(error.value)


def test_a_line_per_page_names_the_page_and_the_time_left(capsys):
    with command._progress() as progress:
        for done, what in enumerate(["Catalogue", "Orders"]):
            progress(what, done, 6)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "[0/6] Catalogue"
    assert re.fullmatch(r"\[1/6\] Orders, about \d+ s left", second)


def test_writing_into_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        site.build_report(tmp_path / "taken", quick=True)
