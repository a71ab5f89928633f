"""The guides: what they say that their commands print is what they print."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from markupsafe import escape

import splitting_analysis as sa
from reports.pages import guides
from reports.pages.settings import QUICK
from reports.render import html
from reports.render.document import Code, to_json
from tests.test_package import shell

PLUGINS = ["-p", "splitting_analysis.testing", "-p", "no:cacheprovider", "-p", "no:faulthandler"]


@pytest.mark.parametrize("slug", ["design", "adapter"])
def test_links_of_a_guide_lead_to_files_in_its_source_and_to_pages_in_the_report(slug):
    linked = re.findall(r"\]\(([^)#]+)\)", guides.read(slug))
    assert all((guides.FOLDER / name).is_file() for name in linked)
    page = html.render(getattr(guides, slug)(QUICK), [])
    for name in linked:
        assert f'href="{name.removesuffix(".md")}.html"' in page and f'"{name}"' not in page
    assert linked or slug != "design"


def commands(slug):
    blocks = re.findall(r"```console\n(.*?)```", guides.read(slug), re.DOTALL)
    return [command for block in blocks for command, _ in guides.sessions(block)]


def run(command):
    """A command of a guide, its program in this process where it is ours; what it prints."""
    line, _, file = command.partition(" > ")
    first, _, pipe = line.partition(" | ")
    if first.startswith("pytest "):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            pytest.main([*PLUGINS, "--capture=sys", *shlex.split(first)[1:]])
        shown = told.getvalue()
    else:
        shown = shell(first)
    if pipe:
        rest = ["bash", "-c", pipe]
        shown = subprocess.run(
            rest, input=shown, capture_output=True, text=True, check=False
        ).stdout
    if not file:
        return shown
    Path(file).write_text(shown, encoding="utf-8")
    return ""


@pytest.mark.heavy
@pytest.mark.parametrize("slug", ["design", "adapter"])
def test_every_command_of_a_guide_prints_what_is_stored(slug, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    stored = guides.read(slug)
    assert len(commands(slug)) >= 3
    assert guides.renewed(stored, tmp_path, run) == stored


def test_the_design_is_as_near_to_the_data_as_the_guide_says():
    table = sa.gaussian("O/2 S A/2 B A/2 O/2", "ROBA", nfe=20, grid="quadratic")
    own, other = (row["w2_x"] for row in table.rows)
    held = sa.gaussian("DPM++2M", model="vp", nfe=20, grid="quadratic").rows[0]["w2_x"]
    assert "three times nearer to the data than ROBA" in guides.read("design")
    assert 2.5 < other / own < 3.5 and held < own
    assert sa.find("ROBA").program.evaluations == 1


def test_the_adapter_has_the_lines_that_its_title_says():
    (adapter,) = re.findall(r"# adapter.py\n(.*?)```", guides.read("adapter"), re.DOTALL)
    assert "30 lines" in guides.adapter(QUICK).title
    assert sum(bool(line.strip()) for line in adapter.splitlines()) <= 30


@pytest.mark.parametrize("slug", ["design", "adapter"])
def test_a_guides_page_shows_all_of_it(slug):
    page = getattr(guides, slug)(QUICK)
    text = html.render(page, [(slug, "Title")])
    shown = [block for block in page.blocks if isinstance(block, Code)]
    blocks = re.findall(r"```console\n(.*?)```", guides.read(slug), re.DOTALL)
    assert [(block.source, block.output) for block in shown if block.source[0] == "$"] == [
        (f"$ {command}", printed.rstrip())
        for block in blocks
        for command, printed in guides.sessions(block)
    ]
    assert all(escape(block.source) in text and escape(block.output) in text for block in shown)
    words = re.sub(r"```.*?```", "", guides.read(slug), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", words, re.MULTILINE):
        assert f">{heading}</h" in text
    assert len(json.dumps(to_json(page))) > len(words)


def test_a_guide_that_prints_something_else_is_seen(tmp_path):
    source = "# T\n\nlead\n\n```python\n# a.py\nx = 1\n```\n\n```console\n$ cat a.py\nold\n```\n"
    told = guides.renewed(source, tmp_path, lambda command: f"new: {command}\n")
    assert told == source.replace("old", "new: cat a.py")
    assert (tmp_path / "a.py").read_text() == "# a.py\nx = 1\n"
