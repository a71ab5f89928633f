"""The report: self-contained, the same numbers everywhere, reproducible, and checked against a
copy.
"""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
import typer

from reports.commands import report as command
from reports.experiments.store import DATA
from reports.pages import overview, site
from reports.pages.settings import Settings
from reports.render import figures, html, markdown
from reports.render.document import Figure, Formula, Paragraph, plain, tables, to_json
from splitting_analysis.catalogue import CATALOGUE, samplers
from tests.browser import MATHML, Reader, number, xml

TINY = Settings(True, (50, 100), (50, 100), 5, (8, 16, 32))
SLUGS = ("catalogue", "reuse", "orders", "exact", "gpu", "reproduce")
"""Pages cheap enough to build here; `make check-report` builds them all."""
ALL = [slug for slug, *_ in site.PAGES]


@pytest.fixture(scope="module", autouse=True)
def small():
    """Every build of this module makes the cheap pages with tiny budgets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "PAGES", tuple(entry for entry in site.PAGES if entry[0] in SLUGS))
        patch.setattr(site, "QUICK", TINY)
        yield


@pytest.fixture(scope="module")
def pages(small):
    return site.build_pages(quick=True)


@pytest.fixture(scope="module")
def files(pages):
    return site.render(pages)


@pytest.fixture
def copy(files, tmp_path):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def seen(files):
    return {name: Reader(source) for name, source in files.items() if name.endswith(".html")}


def test_a_page_loads_nothing_from_anywhere(seen, files):
    assert len(seen) == len(SLUGS) + 2
    for name, page in seen.items():
        assert page.loads == [], name
        outside = re.findall(r"(?:url\(|@import|https?://)[^\s\"']*", files[name])
        assert [u for u in outside if not u.startswith(("url(#", "http://www.w3.org/"))] == [], name


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(seen, files):
    links = [(name, link) for name, page in seen.items() for link in page.links]
    assert len(links) > 100
    registered = {f"{slug}.html" for slug in ALL}  # pages that are not built here
    for name, link in links:
        target, _, anchor = link.partition("#")
        assert (target or name) in files or target in registered, (name, link)
        if anchor and (target or name) in files:
            assert anchor in seen[target or name].ids, (name, link)


def test_json_holds_exactly_the_numbers_that_html_shows(seen, files, pages):
    compared = 0
    for page in pages:
        document = json.loads(files[f"json/{page.slug}.json"])
        for block in document["blocks"]:
            if "table" not in block:
                continue
            shown = seen[f"{page.slug}.html"].tables[block["table"]]
            assert len(shown) == len(block["rows"])
            for html_row, json_row in zip(shown, block["rows"], strict=True):
                for cell, value in zip(html_row, json_row.values(), strict=True):
                    if isinstance(value, int | float):
                        assert number(cell) == value, (page.slug, block["table"], cell, value)
                        compared += 1
                    elif value is None:
                        assert cell == "–"
    assert compared > 300


def test_latex_tables_are_plain_ascii_and_hold_the_same_numbers(files, pages):
    for page in pages:
        source = files[f"latex/{page.slug}.tex"]
        assert source.isascii()
        assert source.count(r"\begin{tabular}") == len(list(tables(page)))
        bodies = re.findall(r"\\midrule\n(.*?)\n\\bottomrule", source, re.DOTALL)
        for table, body in zip(tables(page), bodies, strict=True):
            rows = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in body.split("\n")]
            assert [len(row) for row in rows] == [len(table.columns)] * len(table.rows)
            for cells, row in zip(rows, table.rows, strict=True):
                for cell, value, column in zip(cells, row, table.columns, strict=True):
                    if isinstance(value, int | float) and isinstance(
                        plain(value, column.digits), float | int
                    ):
                        bare = re.sub(r"\\(?:textbf|boldsymbol)\{(.*)\}", r"\1", cell.strip(" $"))
                        bare = re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", bare)
                        assert float(bare) == plain(value, column.digits)


def test_formulas_in_latex_are_read_by_another_latex_reader(pages):
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    formulas = {
        item.latex
        for page in pages
        for block in page.blocks
        for item in getattr(block, "items", ())
    }
    short = [source for source in formulas if len(source) < 400]
    assert len(short) > 50
    for source in sorted(short)[::4]:
        parser.parse(f"${source}$")


def test_every_formula_is_wellformed_mathml_of_known_elements(files):
    found = re.findall(
        r"<math>.*?</math>", "".join(s for n, s in files.items() if n.endswith(".html"))
    )
    assert len(found) > 500
    for source in set(found):
        tags = {element.tag for element in xml(source).iter()}
        assert tags <= MATHML, tags - MATHML


def test_breaking_a_formula_loses_nothing_and_leaves_no_term_that_is_too_long(pages):
    broken = 0
    for page in pages:
        for block in page.blocks:
            for item in getattr(block, "items", ()):
                pieces = html.breakable(item.mathml)
                whole = "".join(xml(f"<mrow>{item.mathml}</mrow>").itertext())
                parts = ["".join(xml(f"<mrow>{piece}</mrow>").itertext()) for piece in pieces]
                assert "".join(parts) == whole
                assert max(map(len, parts)) < 90
                broken += len(parts) > 1
    assert broken > 50


SAMPLE = """
from reports.render.document import *
from reports.render import html, figures
lines = tuple(Line(f"curve {i}", (1.0, 2.0, 4.0), (0.1 / (i + 1), 0.2, 0.4)) for i in range(3))
figure = Figure("f", "**A**. b", (Panel("p", lines, "x", "y_{1}"), Panel("q", lines[:2], "x", "y")))
columns = (Column("a", "a"), Column("b", "b", smallest=True))
table = Table("t", "c", columns, (("r", 1e-9), ("s", 2.5)))
page = Page("p", "A page", "A lead", (figure, table))
"""


@pytest.mark.heavy
def test_another_process_with_other_hashes_makes_the_same_bytes():
    names: dict[str, Any] = {}
    exec(SAMPLE, names)  # noqa: S102 - our own lines
    here = html.render(names["page"], [("p", "P")])
    # Words are hashed another way in every process but where the seed is given.
    there = subprocess.run(
        [sys.executable, "-c", SAMPLE + "print(html.render(page, [('p', 'P')]), end='')"],
        env={"PYTHONHASHSEED": "1", "MPLBACKEND": "Agg"},
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
    ).stdout
    assert here == there
    assert "<svg" in here and "<metadata" not in here and "dc:date" not in here


def test_a_copy_of_what_the_code_makes_has_no_differences(copy, pages, monkeypatch):
    monkeypatch.setattr(site, "build_pages", lambda *_, **__: pages)
    assert site.check_report(True, copy) == []


def test_one_changed_digit_is_reported_with_its_page_table_row_and_column(copy, pages):
    path = copy / "json" / "reuse.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    table = next(block for block in document["blocks"] if block.get("table") == "reuse-budget")
    old = table["rows"][1]["naive50"]
    new = float(Decimal(str(old)) + Decimal("0.001"))
    table["rows"][1]["naive50"] = new
    path.write_text(json.dumps(document), encoding="utf-8")
    (found,) = site.compare({page.slug: to_json(page) for page in pages}, copy)
    assert (found.old, found.new) == (str(new), str(old))
    for part in ("reuse", "table reuse-budget", "row 2", "NVV / RVV", "naive50"):
        assert part in found.where
    assert str(found).endswith(f"{new} -> {old}")


def test_a_changed_sentence_curve_or_formula_is_reported(copy, pages):
    documents = {page.slug: to_json(page) for page in pages}
    for slug, pattern, replacement in (
        ("exact", r'"lead": "[^"]*"', '"lead": "Something else."'),
        ("exact", r'"y": \[\n\s*[\d.e-]+', '"y": [\n 123.25'),
        ("catalogue", r"\\\\frac\{1\}\{8\}", r"\\\\frac{1}{9}"),
    ):
        path = copy / "json" / f"{slug}.json"
        source = path.read_text(encoding="utf-8")
        changed = re.sub(pattern, replacement, source, count=1)
        assert changed != source
        path.write_text(changed, encoding="utf-8")
        found = site.compare(documents, copy)
        assert len(found) == 1 and found[0].where.startswith(slug)
        path.write_text(source, encoding="utf-8")


def test_missing_extra_and_unreadable_pages_are_reported(copy, pages):
    documents = {page.slug: to_json(page) for page in pages}
    (copy / "json" / "exact.json").rename(copy / "json" / "extra.json")
    (copy / "json" / "reuse.json").write_text("{", encoding="utf-8")
    found = {d.where: d for d in site.compare(documents, copy)}
    assert found.keys() == {"json/extra.json", "json/exact.json", "json/reuse.json"}
    assert "not readable" in found["json/reuse.json"].old


def test_versions_of_software_are_not_compared(copy, pages):
    path = copy / "json" / "reproduce.json"
    source = path.read_text(encoding="utf-8")
    python = sys.version.split()[0]
    assert python in source
    path.write_text(source.replace(python, "2.7"), encoding="utf-8")
    assert site.compare({page.slug: to_json(page) for page in pages}, copy) == []


def test_an_interrupted_build_leaves_the_old_report_and_no_fragments(tmp_path, pages, monkeypatch):
    few = pages[:2]
    monkeypatch.setattr(site, "build_pages", lambda *_, **__: few)
    site.build_report(tmp_path / "out", quick=True)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {p.relative_to(tmp_path / "out").as_posix() for p in before} == site.render(few).keys()

    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "disk full")

    for owner, name in (
        (markdown, "render"),
        (type(tmp_path), "write_text"),
        (type(tmp_path), "replace"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fails)
            with pytest.raises((OSError, ValueError), match="disk full"):
                site.build_report(tmp_path / "out", quick=True)
        after = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
        assert after == before


def test_the_command_writes_checks_and_exits_with_one_on_a_difference(
    tmp_path, pages, capsys, monkeypatch
):
    monkeypatch.setattr(site, "build_pages", lambda *_, **__: pages[:2])
    out = tmp_path / "r"
    command.report(out, quick=True, check=False)
    assert "index.html" in capsys.readouterr().out
    command.report(out, quick=True, check=True)
    assert "agree to all" in capsys.readouterr().out
    path = out / "json" / "index.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["lead"] += " And more."
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(typer.Exit) as stop:
        command.report(out, quick=True, check=True)
    assert stop.value.exit_code == 1
    shown = capsys.readouterr()
    assert "index: lead" in shown.out and "1 differences" in shown.err


def test_the_page_on_reproduction_names_every_stored_file_with_its_command(pages):
    page = next(page for page in pages if page.slug == "reproduce")
    rows = page.find("reproduce-stored").rows
    assert {row[0].strip("`") for row in rows} == {path.name for path in DATA.glob("*.json")} - {
        "published.json"
    }
    assert all(row[1].startswith("`python -m reports.") for row in rows)
    said = " ".join(str(getattr(block, "parts", "")) for block in page.blocks)
    measured = (DATA / "gpu.json").exists()
    assert measured == ("[On a GPU](gpu.html) was measured on an NVIDIA" in said)
    assert measured != ("nothing in this report was measured on a GPU" in said)


def test_the_summary_shows_its_pictures_and_tables(files):
    summary = files["SUMMARY.md"]
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", summary)
    assert pictures and all(name in files for name in pictures)
    for name in pictures:
        assert xml(files[name]).get("width")
    assert "_{" not in summary
    blocks = [b.split("\n") for b in summary.split("\n\n") if b.startswith("|")]
    assert len(blocks) >= 3
    for lines in blocks:
        assert len({line.count("|") for line in lines}) == 1


def test_every_page_opens_with_a_sentence_that_says_a_number(pages):
    for page in pages[1:]:
        sentence = overview.first_sentence(page.lead)
        assert sentence.endswith(".") and len(html.bare(sentence)) < 320, page.slug
        assert re.search(r"\d", sentence) or page.slug == "reproduce", page.slug
        assert page.lead.startswith(sentence)


def test_pages_of_the_catalogue_say_of_how_many_named_samplers_they_are(pages):
    by_slug = {page.slug: str(page.lead) + str(page.blocks[:2]) for page in pages}
    for slug in ("index", "catalogue", "orders"):
        assert f"{len(CATALOGUE)} of the {len(samplers())} named samplers" in by_slug[slug], slug
        for other in ("position-only", "data-held", "conjugate"):
            assert f"{other}.html" in by_slug[slug], (slug, other)


def test_the_overview_opens_with_a_picture_and_three_sentences_and_lists_all_pages(pages):
    picture, told, _, chosen, _, findings, *_ = pages[0].blocks
    assert pages[0].find("index-choice") is chosen
    assert isinstance(picture, Figure) and isinstance(told, Paragraph)
    parts = [overview.first_sentence(page.lead) for page in pages if page.slug in overview.TOLD]
    assert set(overview.TOLD) - {page.slug for page in pages} == {"quality"}  # not built here
    assert "".join(map(str, told.parts)) == " ".join(sorted(parts, key=str(told).index))
    assert [row[0] for row in findings.rows] == [f"[{p.title}]({p.slug}.html)" for p in pages[1:]]


def test_rows_with_sentences_become_blocks_whose_cells_say_their_column(files, pages):
    kinds = set()
    for page in pages:
        source = files[f"{page.slug}.html"]
        opening = r'<figure id="([^"]+)"><div class="scroll"[^>]*><table( class="blocks")?>'
        shown = dict(re.findall(opening, source))
        for key, blocks in shown.items():
            table = page.find(key)
            text = source[source.index(f'id="{key}"') :].split("</table>")[0]
            long = any(
                isinstance(c, Formula) or (isinstance(c, str) and len(html.bare(c)) > html.PROSE)
                for row in table.rows
                for c in row[1:]
            )
            assert bool(blocks) == long, key
            titles = [
                html.bare(f"{c.title}, {c.unit}" if c.unit else c.title) for c in table.columns[1:]
            ]
            found = [unescape(t) for t in re.findall(r'data-title="([^"]*)"', text)]
            assert found == (titles * len(table.rows) if long else []), key
            kinds.add(long)
    assert kinds == {True, False}


def test_panels_are_drawn_one_by_one_and_carry_a_description(files):
    source = files["exact.html"]
    panels = re.findall(r'<div class="panel"><svg[^>]*aria-label="([^"]+)"', source)
    assert len(panels) == 6 and len(set(panels)) == 6


# Last, as they forget the figures that the others share.


def forget_figures():
    figures.draw.cache_clear()
    figures.draw_panel.cache_clear()


@pytest.mark.heavy
def test_two_pages_made_again_are_the_same_byte_for_byte(files, pages):
    forget_figures()
    short = {slug: title for slug, title, _ in site.PAGES}
    short |= {"index": "Overview", "questions": "Open questions"}
    shown = [(page.slug, short[page.slug]) for page in pages]
    for slug, _, build in site.PAGES:
        if slug in ("reuse", "orders"):
            page = build(TINY)
            assert html.render(page, shown) == files[f"{slug}.html"]
            assert json.loads(files[f"json/{slug}.json"]) == json.loads(json.dumps(to_json(page)))


@pytest.mark.heavy
def test_a_report_made_again_is_the_same_byte_for_byte(files):
    forget_figures()
    again = site.render(site.build_pages(quick=True))
    assert again.keys() == files.keys()
    assert [name for name in files if files[name] != again[name]] == []
