"""Page: the tutorial, a notebook with what its cells print; `python -m reports.pages.tutorial` runs
it anew.

The page shows what is stored in the notebook, so that it needs no torch; a test runs every cell.
"""

from __future__ import annotations

import ast
import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from gpu_samplers.files import write_whole
from reports.pages.settings import Settings
from reports.render.document import Block, Code, Heading, Page, text

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "tutorial.ipynb"


def build(_: Settings) -> Page:
    document = read()
    cells = document["cells"]
    title, *opening = cells[0]["source"].removeprefix("# ").split("\n\n")
    body: list[Block] = [text(paragraph) for paragraph in opening]
    for cell in cells[1:]:
        source = cell["source"]
        body += [Code(source, printed(cell))] if cell["cell_type"] == "code" else _told(source)
    made = sum(cell["cell_type"] == "code" for cell in cells)
    lead = (
        f"A notebook of {made} cells, from a word to its error, its exact distance to the data, "
        "its stability and samples. It comes with the package, as "
        "`reports/notebooks/tutorial.ipynb`."
    )
    return Page("tutorial", title, lead, tuple(body))


def read() -> dict[str, Any]:
    """The notebook as it is stored."""
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def printed(cell: dict[str, Any]) -> str:
    """What is stored of what a cell prints."""
    return "\n".join(output["text"] for output in cell["outputs"]).rstrip()


def run(source: str, names: dict[str, Any]) -> str:
    """What a cell prints, the value of a last expression included; `names` are those of the
    notebook.
    """
    tree, shown = ast.parse(source), StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(shown):
        exec(compile(tree, NOTEBOOK.name, "exec"), names)  # noqa: S102 - the notebook that comes with the package
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)  # noqa: S307
            if value is not None:
                print(repr(value))
    return shown.getvalue().rstrip()


def renew() -> None:
    """Run all cells, in order, and store what they print."""
    document, names = read(), dict[str, Any]()
    for number, cell in enumerate((c for c in document["cells"] if c["cell_type"] == "code"), 1):
        output = run(cell["source"], names)
        cell["execution_count"] = number
        stream = {"name": "stdout", "output_type": "stream", "text": output + "\n"}
        cell["outputs"] = [stream] if output else []
    write_whole(NOTEBOOK, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _told(source: str) -> list[Block]:
    """A cell of text: headings and paragraphs."""
    return [
        Heading(part.removeprefix("## "), "-".join(part.removeprefix("## ").lower().split()))
        if part.startswith("## ")
        else text(part)
        for part in source.split("\n\n")
    ]


if __name__ == "__main__":
    renew()
