"""The tutorial: what its notebook says that cells print is what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest
from markupsafe import escape

from reports.pages import tutorial
from reports.pages.settings import QUICK
from reports.render import html, markdown
from reports.render.document import Code, to_json
from splitting_analysis import catalogue

CELLS = [cell for cell in tutorial.read()["cells"] if cell["cell_type"] == "code"]


def test_every_cell_of_the_tutorial_prints_what_is_stored(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(catalogue, "_registered", [])
    names: dict[str, Any] = {}
    for cell in CELLS:
        assert tutorial.run(cell["source"], names) == tutorial.printed(cell)


def test_a_cell_prints_its_last_value_as_a_notebook_does_and_names_stay():
    names: dict[str, Any] = {}
    assert tutorial.run("a = 1\nprint(a)\na + 1", names) == "1\n2"
    assert (
        tutorial.run("a", names) == "1"
        and tutorial.run("None", names) == tutorial.run("b = 2", names) == ""
    )


def test_the_notebook_is_one_that_jupyter_opens_and_runs_in_order():
    document = tutorial.read()
    assert (document["nbformat"], document["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])
    for cell in document["cells"]:
        assert {"cell_type", "id", "metadata", "source"} <= set(cell)


def test_the_page_shows_every_cell_with_what_it_prints():
    page = tutorial.build(QUICK)
    shown = [block for block in page.blocks if isinstance(block, Code)]
    assert [(block.source, block.output) for block in shown] == [
        (cell["source"], tutorial.printed(cell)) for cell in CELLS
    ]
    assert f"{len(shown)} cells" in page.lead
    text, plain = html.render(page, [("tutorial", "Tutorial")]), markdown.render(page)
    for block in shown:
        first = block.source.split("\n")[0]
        assert f"    {first}" in plain and escape(first) in text
    assert {"code": ["import splitting_analysis as sa"], "output": [""]} in to_json(page)["blocks"]


def test_running_the_notebook_anew_changes_nothing(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setattr(catalogue, "_registered", [])
    before = json.loads(tutorial.NOTEBOOK.read_text())
    light = [cell for cell in before["cells"] if "sample" not in cell["source"]]
    stale = [{**cell, "outputs": []} if cell["cell_type"] == "code" else cell for cell in light]
    monkeypatch.setattr(tutorial, "NOTEBOOK", tmp_path / "tutorial.ipynb")
    tutorial.NOTEBOOK.write_text(json.dumps({**before, "cells": stale}))
    tutorial.renew()
    assert [cell.get("outputs") for cell in tutorial.read()["cells"]] == [
        cell.get("outputs") for cell in light
    ]
