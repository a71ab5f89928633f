"""`splitting-analysis report`: the whole analysis as pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from reports.commands.endings import ends_with_a_sentence
from reports.render.progress import time_left

if TYPE_CHECKING:
    from reports.pages.site import Progress

SHOWN = 40


def report(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to (default: report); with --check, the copy to compare with."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The same pages on fewer points, under a minute.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing: compare with the committed copy and list what differs."
        ),
    ] = False,
) -> None:
    """Write the error analysis of every sampler as pages: HTML, JSON, LaTeX tables, Markdown.

    Open index.html in a browser; no network is needed. Numbers are exact, so two
    machines agree to the printed digits. --check exits with 1 when they do not.

    \b
    Examples:
      splitting-analysis report --quick
      splitting-analysis report --out analysis
      splitting-analysis report --quick --check
    """
    from reports.pages.site import COMMITTED, build_report, check_report

    kept = "files that were not written yet are as they were"
    with ends_with_a_sentence(lambda: kept, "close other programs"), _progress() as progress:
        if not check:
            folder = out or Path("report")
            written = build_report(folder, quick, progress)
        else:
            found = check_report(quick, out or COMMITTED, progress)
    if not check:
        size = sum(path.stat().st_size for path in written) / 1e6
        print(f"{len(written)} files, {size:.1f} MB; open {folder / 'index.html'}")
        return
    copy = out or COMMITTED
    for difference in found[:SHOWN]:
        print(difference)
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more")
    if found:
        how = f"splitting-analysis report{' --quick' if quick else ''} --out {copy}"
        print(
            f"{len(found)} differences from {copy}; if the new values are right: {how}",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    print(
        f"the documents in {copy / 'json'}, which pages and pictures show, agree to all printed "
        "digits"
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """The page that is made now and about how long all take: a bar for people, a line per page in a
    pipe.
    """
    from reports.pages.site import PAGES, SHARES

    shares = [SHARES.get(slug, 1) for slug in (*(slug for slug, _, _ in PAGES), "writing")]
    begun = monotonic()

    def left(done: int) -> str:
        return time_left(sum(shares[:done]), sum(shares[done:]), monotonic() - begun)

    if not sys.stderr.isatty():
        yield lambda what, done, total: print(
            f"[{done}/{total}] {what}{left(done)}", file=sys.stderr, flush=True
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting")
        yield lambda what, done, total: bar.update(
            task, description=f"{what}{left(done)}", completed=done, total=total
        )
