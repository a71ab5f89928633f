"""The report: build all pages, write them in one go, compare with a committed copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_samplers.files import check_file, check_folder, is_folder, is_there, write_whole
from reports.pages import (
    catalogue,
    conjugate,
    crossval_global,
    crossval_local,
    crossval_reuse,
    crossval_rounding,
    data_held,
    exact,
    family,
    foreign,
    gpu,
    guides,
    harmonic_well,
    network,
    orders,
    overview,
    position_noise,
    position_only,
    published,
    quality,
    questions,
    ranking,
    reproduce,
    reuse,
    stability,
    tutorial,
    validation_proof,
    vp_splitting,
)
from reports.pages.settings import FULL, QUICK, Settings
from reports.render import html, latex, markdown
from reports.render.document import Page, tables, to_json

COMMITTED = Path(__file__).parents[1] / "output"
"""The committed copy of the quick report, in a source checkout."""
PAGES: tuple[tuple[str, str, Callable[[Settings], Page]], ...] = (
    ("tutorial", "Tutorial", tutorial.build),
    ("design", "Design a sampler", guides.design),
    ("adapter", "An adapter", guides.adapter),
    ("catalogue", "Catalogue", catalogue.build),
    ("reuse", "Naive and reduced", reuse.build),
    ("orders", "Orders", orders.build),
    ("exact", "Exact errors", exact.build),
    ("position-noise", "λ_{s}", position_noise.build),
    ("position-only", "Position-only samplers", position_only.build),
    ("vp-splitting", "Splitting VP", vp_splitting.build),
    ("data-held", "Data held on PSLD", data_held.build),
    ("conjugate", "Conjugate integrators", conjugate.build),
    ("stability", "Stability", stability.build),
    ("harmonic-well", "Harmonic well", harmonic_well.build),
    ("published", "Published tables", published.build),
    ("network", "Digits network", network.build),
    ("crossval-local", "One step, on networks", crossval_local.build),
    ("crossval-global", "Whole runs, on networks", crossval_global.build),
    ("crossval-reuse", "What reuse assumes", crossval_reuse.build),
    ("crossval-rounding", "Rounding", crossval_rounding.build),
    ("quality", "Sample quality", quality.build),
    ("family", "PSLD at one budget", family.build),
    ("ranking", "What ranks samplers", ranking.build),
    ("foreign", "Toolboxes, judged", foreign.build),
    ("gpu", "On a GPU", gpu.build),
    ("validation-proof", "Bugs it finds", validation_proof.build),
    ("reproduce", "Reproduce", reproduce.build),
)
"""Slug, short title and builder of every page, in reading order."""
SHARES = {
    "catalogue": 12,
    "reuse": 2,
    "orders": 67,
    "exact": 13,
    "position-noise": 9,
    "data-held": 3,
    "stability": 17,
    "harmonic-well": 6,
    "writing": 25,
}
"""About how long the pages take, relative to each other; what is not here counts 1. For the time
left.
"""
NEEDED = 5 * 10**6
"""Bytes that a report takes, about: they must be free before it is computed."""
Progress = Callable[[str, int, int], None]
"""Called with what comes next, how many pages are done, and how many there are."""


@dataclass(frozen=True)
class Difference:
    """One place where a copy differs from what the code now says."""

    where: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.where}: {self.old} -> {self.new}"


def build_pages(quick: bool, progress: Progress = lambda *_: None) -> list[Page]:
    """All pages as data, the overview first."""
    settings = QUICK if quick else FULL
    pages = []
    for done, (slug, title, build) in enumerate(PAGES):
        progress(html.bare(title), done, len(PAGES) + 1)
        page = build(settings)
        if page.slug != slug:
            raise ValueError(f"page {page.slug!r} is registered as {slug!r}")
        pages.append(page)
    pages.insert(0, questions.build(pages))
    return [overview.build(pages), *pages]


def render(pages: list[Page]) -> dict[str, str]:
    """Every file of the report by its path: HTML, JSON, LaTeX, and the overview as Markdown."""
    short = {"index": "Overview", "questions": "Open questions"}
    short |= {slug: title for slug, title, _ in PAGES}
    site = [(page.slug, short[page.slug]) for page in pages]
    files: dict[str, str] = {}
    for page in pages:
        files[f"{page.slug}.html"] = html.render(page, site)
        files[f"json/{page.slug}.json"] = (
            json.dumps(to_json(page), indent=1, ensure_ascii=False) + "\n"
        )
        if any(tables(page)):
            files[f"latex/{page.slug}.tex"] = latex.render(page)
    files["SUMMARY.md"] = markdown.render(pages[0])
    return files | markdown.pictures(pages[0])


def build_report(out: Path, quick: bool, progress: Progress = lambda *_: None) -> list[Path]:
    """Write the report to the folder `out`; returns the files written.

    Everything is computed first, then each file replaces its predecessor in one step: an
    interrupted run leaves the old report. Other files in `out` are left alone. Raises ValueError
    where `out` cannot be written, before anything is computed.
    """
    _check_places(out)
    pages = build_pages(quick, progress)
    progress("writing", len(PAGES), len(PAGES) + 1)
    files = render(pages)
    written = [write_whole(out / name, content) for name, content in files.items()]
    progress("done", len(PAGES) + 1, len(PAGES) + 1)
    return written


def _check_places(out: Path) -> None:
    """Raise ValueError unless the report's folders and files can be written."""
    if is_there(out) and not is_folder(out):
        raise ValueError(f"--out {out} is a file; give a folder")
    for folder in (out, out / "json", out / "latex", out / markdown.PICTURES):
        check_folder(folder, NEEDED)
    slugs = ["index", *(slug for slug, _, _ in PAGES)]
    names = [
        name
        for slug in slugs
        for name in (f"{slug}.html", f"json/{slug}.json", f"latex/{slug}.tex")
    ]
    for path in (out / name for name in ("SUMMARY.md", *names)):
        if path.exists():
            check_file(path)


def check_report(
    quick: bool, committed: Path = COMMITTED, progress: Progress = lambda *_: None
) -> list[Difference]:
    """What differs between the report in the folder `committed` and the one the code makes now.

    Compares the JSON documents, numbers at their printed digits; tables that name software versions
    are left out. Raises ValueError where there is no copy, saying how to make one.
    """
    if not (committed / "json").is_dir():
        command = f"splitting-analysis report{' --quick' if quick else ''} --out"
        if committed == COMMITTED:  # an installed package has none, and is no place to write to
            raise ValueError(
                "the copy to compare with is part of a source checkout, and this is none that "
                f"has it; make one with: {command} FOLDER, then compare with: --check --out FOLDER"
            )
        raise ValueError(
            f"there is no report in {committed} to compare with; make one with: {command} "
            f"{committed}"
        )
    return compare({page.slug: to_json(page) for page in build_pages(quick, progress)}, committed)


def compare(documents: dict[str, Any], committed: Path) -> list[Difference]:
    """The new documents against the JSON files of a report."""
    found: list[Difference] = []
    old_files = {path.stem: path for path in sorted((committed / "json").glob("*.json"))}
    gone = [slug for slug in old_files if slug not in documents]
    found += [
        Difference(f"json/{slug}.json", "in the copy", "no such page any more") for slug in gone
    ]
    for slug, new in documents.items():
        if slug not in old_files:
            found.append(Difference(f"json/{slug}.json", "missing from the copy", "a new page"))
            continue
        try:
            old = json.loads(old_files[slug].read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            found.append(Difference(f"json/{slug}.json", f"not readable ({error})", "a page"))
            continue
        found += [Difference(f"{slug}: {where}", a, b) for where, a, b in _differ(old, new)]
    return found


def _differ(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Paths at which two JSON values differ, named by block, row and column."""
    if isinstance(new, dict) and new.get("compared") is False:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            if key in old and key in new:
                name = "" if key in ("blocks", "rows", "items", "panels", "lines") else str(key)
                yield from _differ(old[key], new[key], ", ".join(filter(None, [where, name])))
            else:
                yield (
                    ", ".join(filter(None, [where, str(key)])),
                    _short(old.get(key)),
                    _short(new.get(key)),
                )
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{where}, length", str(len(old)), str(len(new))
        for i, (a, b) in enumerate(zip(old, new, strict=False)):
            yield from _differ(a, b, ", ".join(filter(None, [where, _name(b, i)])))
    elif old != new:
        yield where, _short(old), _short(new)


def _name(value: Any, index: int) -> str:
    """How a block, row or curve is called in a message."""
    if isinstance(value, dict):
        for key in ("table", "figure", "formulas", "heading"):
            if key in value:
                return f"{key} {value[key]}"
        if "label" in value:
            return str(value["label"])
        first = next(iter(value.values()), None)
        if isinstance(first, str) and "paragraph" not in value:
            return f"row {index + 1} ({html.bare(first)})"
    return f"no. {index + 1}"


def _short(value: Any) -> str:
    shown = "nothing" if value is None else str(value)
    return shown if len(shown) <= 160 else shown[:157] + "..."
