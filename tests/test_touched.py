"""What a new model touches: CONTRIBUTING.md says it, and the source holds that it is all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from splitting_analysis.families import FAMILIES
from splitting_analysis.processes import ScheduledVP

ROOT = Path(__file__).parents[1]
PACKAGES = ("splitting_analysis", "analytic_models", "gpu_samplers", "reports")
KINDS = {family.process.__name__ for family in FAMILIES.values()} | {ScheduledVP.__name__}
ALWAYS = {f"splitting_analysis/{name}.py" for name in ("models", "symbols", "catalogue")}
"""Tables that ask for no model: a new one adds its lines."""
MOST = 8


def row(of: str) -> tuple[set[str], str]:
    """The files of a line of the table of what is touched, and its last column."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    line = next(line for line in text.split("\n") if line.startswith(f"| {of}"))
    return set(re.findall(r"`([\w/]+(?:\.py|/))`", line)), line.rsplit("|", 2)[1].strip()


def named(node: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(n, ast.Constant) and n.value in names)
        or (isinstance(n, ast.Name) and n.id in names)
        for n in ast.walk(node)
    )


def asks(node: ast.AST) -> bool:
    """Whether code asks which model it has: by class, by name, or in a table of models."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
            return named(kinds, KINDS)
        case ast.MatchClass(cls=kind):
            return named(kind, KINDS)
        case ast.Compare(left=left, comparators=others):
            about = left.id if isinstance(left, ast.Name) else getattr(left, "attr", "")
            return about in ("model", "model_name") and any(
                named(other, set(FAMILIES)) for other in others
            )
        case ast.Dict(keys=keys):
            return sum(key is not None and named(key, set(FAMILIES)) for key in keys) > 1
    return False


def asking(source: str) -> bool:
    return any(asks(node) for node in ast.walk(ast.parse(source)))


@pytest.mark.heavy
def test_a_new_model_touches_the_files_that_are_listed_and_no_others_ask_for_it():
    files, count = row("model |")
    extras, none = row("model's extras")
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "experiments" not in path.parts and asking(path.read_text(encoding="utf-8"))
    }
    folders = tuple(name for name in extras if name.endswith("/"))
    assert {name for name in found - ALWAYS if not name.startswith(folders)} | {
        name for name in files if name.startswith(folders)
    } == (files - ALWAYS) | (extras - set(folders))
    assert all(any(name.startswith(folder) for name in found) for folder in folders)
    assert files >= ALWAYS and not files & extras
    assert (count, none) == (str(len(files)), "none") and len(files) <= MOST


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("isinstance(p, VP)", True),
        ("isinstance(p, PSLD | VP)", True),
        ("isinstance(p, (int, Flow))", True),
        ("s.model_name == 'psld'", True),
        ("model in ('vp', 've')", True),
        ("{'psld': 1, 'vp': 2}", True),
        ("{('psld', 'ode'): 1, ('psld', 'sde'): 2}", True),
        ("match p:\n    case Langevin(): pass", True),
        ("isinstance(p, PositionOnly)", False),
        ("find('EM', 'vp')", False),
        ("a.model_name == b.model_name", False),
        ("{'flow': 1, 'other': 2}", False),
        ("factor == 'flow'", False),
    ],
)
def test_code_that_asks_for_a_model_is_seen(line, found):
    assert asking(line) == found
