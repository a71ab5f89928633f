"""Pages: guides that are text with commands, code and what they print; `python -m
reports.pages.guides` runs them anew.

A guide is a Markdown file of `reports/notebooks`: paragraphs, headings, ```console blocks (commands
after "$ ", each with what it prints) and ```python blocks, the first line of which names the file
that they are. A page shows what is stored; a test runs every command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from gpu_samplers.files import write_whole
from reports.pages.settings import Settings
from reports.render.document import Block, Code, Heading, Page, text

FOLDER = Path(__file__).parents[1] / "notebooks"
_FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
Run = Callable[[str], str]
"""What a command prints."""


def design(_: Settings) -> Page:
    return _page("design")


def adapter(_: Settings) -> Page:
    return _page("adapter")


def _page(slug: str) -> Page:
    title, lead, *rest = read(slug).strip().split("\n\n", 2)
    return Page(slug, title.removeprefix("# "), _line(lead), tuple(_blocks("\n\n".join(rest))))


def read(slug: str) -> str:
    """A guide as it is stored."""
    return (FOLDER / f"{slug}.md").read_text(encoding="utf-8")


def _blocks(source: str) -> Iterator[Block]:
    position = 0
    for fence in _FENCE.finditer(source):
        yield from _told(source[position : fence.start()])
        position = fence.end()
        kind, inside = fence.groups()
        if kind == "console":
            for command, printed in sessions(inside):
                yield Code(f"$ {command}", printed.rstrip())
        else:
            yield Code(inside.rstrip())
    yield from _told(source[position:])


def _told(source: str) -> Iterator[Block]:
    for part in source.strip().split("\n\n"):
        if part.startswith("## "):
            name = part.removeprefix("## ")
            yield Heading(name, "-".join(re.findall(r"\w+", name.lower())))
        elif part:
            yield text(_line(part))


def _line(paragraph: str) -> str:
    """One line, its links to other guides as links to their pages."""
    return re.sub(r"\]\(([\w-]+)\.md\)", r"](\1.html)", " ".join(paragraph.split("\n")))


def sessions(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    _, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    pairs = [part.partition("\n") for part in parts]
    return [(command, printed) for command, _, printed in pairs]


def renewed(source: str, folder: Path, run: Run) -> str:
    """The guide with what its commands print now; its files are written to `folder`, in order."""

    def again(fence: re.Match[str]) -> str:
        kind, inside = fence.groups()
        if kind == "python":
            first = inside.split("\n", 1)[0]
            (folder / first.removeprefix("# ")).write_text(inside, encoding="utf-8")
            return fence[0]
        shown = "".join(f"$ {command}\n{run(command)}" for command, _ in sessions(inside))
        return f"```{kind}\n{shown}```"

    return _FENCE.sub(again, source)


def renew(slug: str) -> None:
    """Run a guide's commands in a shell, in a folder of its own, and store what they print."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:

        def run(command: str) -> str:
            found = subprocess.run(  # noqa: S603 - the commands of the guide
                ["/bin/bash", "-c", command],
                cwd=folder,
                env={**os.environ, "PATH": here, "COLUMNS": "80"},
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            return found.stdout

        write_whole(FOLDER / f"{slug}.md", renewed(read(slug), Path(folder), run))


if __name__ == "__main__":
    for guide in ("design", "adapter"):
        renew(guide)
