"""The import arrows, read from the source; and what a plain import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("splitting_analysis", "analytic_models", "gpu_samplers", "reports")
WORD_LEVEL = {
    "churn",
    "lookup",
    "notation",
    "spelling",
    "schemes",
    "settings",
    "kin",
    "told",
    "splitting_catalogue",
    "pieces",
    "catalogue",
    "models",
    "processes",
    "symbols",
    "program",
    "reduction",
    "word_classes",
    "clocks",
    "checking",
    "families",
    "grids",
    "predictions",
    "histories",
    "position_catalogue",
    "conjugate_catalogue",
    "bends",
    "retuned",
    "data_catalogue",
    "kinetic_catalogue",
    "fixed_targets",
    "parameters",
    "exponential_catalogue",
}
"""The modules of splitting_analysis that say what a sampler is; they hold no expansion."""


@cache
def imported(path: Path, root: Path = ROOT) -> frozenset[str]:
    """Absolute names of everything a file imports, at any depth of its code."""
    here = path.relative_to(root).with_suffix("").parts
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def tops(names: Collection[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_core_imports_no_other_package_of_the_project():
    others = {"analytic_models", "gpu_samplers", "reports", "tests", "torch"}
    here = ROOT / "splitting_analysis"
    found = {path: tops(imported(path)) & others for path in modules("splitting_analysis")}
    assert {path: known for path, known in found.items() if known} == {
        here / "door_tables.py": {"analytic_models"},
        here / "door_runs.py": {"analytic_models", "gpu_samplers"},
        here / "testing.py": {"analytic_models"},
    }


def test_only_the_package_itself_knows_its_door_and_the_door_opens_late():
    """The door is the one exception: the packages above are loaded by the functions that need
    them.
    """
    arrows = imports(packages=("splitting_analysis", "analytic_models", "gpu_samplers"))
    for door in ("door", "door_tables", "door_runs"):
        own = f"splitting_analysis.{door}"
        assert {n for n, others in arrows.items() if own in others} == {"splitting_analysis"}
        tree = ast.parse((ROOT / "splitting_analysis" / f"{door}.py").read_text(encoding="utf-8"))
        early = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert "splitting_analysis.lookup" in early and not tops(set(early)) & {
            "analytic_models",
            "gpu_samplers",
        }


@pytest.mark.parametrize("name", sorted(WORD_LEVEL))
def test_what_a_sampler_is_needs_the_standard_library_only(name):
    names = imported(ROOT / "splitting_analysis" / f"{name}.py")
    ours = {n for n in names if n.startswith("splitting_analysis.")}
    assert tops(names - ours) <= sys.stdlib_module_names
    assert {n.split(".")[1] for n in ours} <= WORD_LEVEL


def test_the_exact_oracle_knows_the_word_but_not_the_expansion():
    for path in modules("analytic_models"):
        names = imported(path)
        assert not tops(names) & {"gpu_samplers", "reports", "tests", "torch"}, path
        ours = {n.split(".")[1] for n in names if n.startswith("splitting_analysis.")}
        assert ours <= WORD_LEVEL | {"observed"}, path


def test_the_judge_of_observed_orders_knows_no_scheme_and_no_expansion():
    names = imported(ROOT / "splitting_analysis" / "observed.py")
    assert "splitting_analysis" not in tops(names)


def test_the_machine_knows_the_word_but_not_the_expansion():
    for path in modules("gpu_samplers"):
        names = imported(path)
        assert not tops(names) & {"reports", "tests", "sympy"}, path
        ours = {n.split(".")[1] for n in names if n.startswith("splitting_analysis.")}
        assert ours <= WORD_LEVEL, path


@pytest.mark.parametrize("package", ["splitting_analysis", "analytic_models", "gpu_samplers"])
def test_nothing_imports_the_reports_or_the_tests(package):
    for path in modules(package):
        assert not tops(imported(path)) & {"reports", "tests"}, path


def test_the_reports_do_not_lean_on_the_tests():
    assert not [path for path in modules("reports") if "tests" in tops(imported(path))]


ROOMS = {
    "commands": {"commands", "pages", "render", "experiments"},
    "pages": {"pages", "render", "experiments"},
    "render": {"render"},
    "experiments": {"experiments", "render"},
}
"""The rooms of the reports, and which rooms each may import."""


def imports(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> dict[str, set[str]]:
    """Every module of the packages and the modules among them that it imports, at any depth of its
    code.

    An import of a package counts for its `__init__`; one of a name in a package for the module that
    it is, where it is one.
    """
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    files = {
        ".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p
        for p in paths
    }

    def module(name: str) -> str:
        return name if name in files else name.rpartition(".")[0]

    return {
        name: {module(n) for n in imported(path, root) if module(n) in files} - {name}
        for name, path in files.items()
    }


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; [] where there is
    none.
    """
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for after in sorted(arrows[name]):
            if found := walk(after, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := walk(name, []))), [])


def room(name: str) -> str:
    """The room of a module of the reports, "" outside all of them."""
    return (name.split(".")[1:2] or [""])[0] if name.startswith("reports.") else ""


def wrong_arrows(arrows: dict[str, set[str]]) -> list[str]:
    """The imports from one room of the reports into one that it must not know; of the door, into
    any.
    """
    return [
        f"{name} imports {other}"
        for name, others in arrows.items()
        if (here := room(name)) in ROOMS
        for other in sorted(others)
        if (other == "reports" or other.startswith("reports.")) and room(other) not in ROOMS[here]
    ]


def test_no_modules_import_each_other_in_a_circle():
    assert " -> ".join(circle(imports())) == ""


def test_the_rooms_of_the_reports_know_only_those_below_them():
    arrows = imports()
    assert wrong_arrows(arrows) == []
    assert {room(name) for name in arrows if room(name)} == {*ROOMS, "cli", "__main__"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import a.x", True),
        ("from a import x", True),
        ("from . import x", True),
        ("from .x import f", True),
        ("def f():\n    from a.x import f", True),
        ("if TYPE_CHECKING:\n    import a.x", True),
        ("import a.z", False),
        ("import sys", False),
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(line, found, tmp_path):
    (tmp_path / "a").mkdir()
    sources = {"__init__": "", "x": "from a.y import g", "y": line, "z": ""}
    for name, text in sources.items():
        (tmp_path / "a" / f"{name}.py").write_text(text)
    way = circle(imports(tmp_path, ("a",)))
    assert way == (["a.x", "a.y", "a.x"] if found else [])


@pytest.mark.parametrize(
    ("name", "other", "wrong"),
    [
        ("experiments", "pages.exact", True),
        ("render", "commands.terminal", True),
        ("pages", "commands", True),
        ("render", "experiments.store", True),
        ("render", "cli", True),
        ("pages", "experiments.store", False),
        ("commands", "pages.site", False),
    ],
)
def test_an_arrow_that_points_up_is_found(name, other, wrong):
    arrows = {f"reports.{name}.here": {f"reports.{other}"}}
    said = [f"reports.{name}.here imports reports.{other}"]
    assert wrong_arrows(arrows) == (said if wrong else [])


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs `code`."""
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; import sys; print(*{{m.partition('.')[0] for m in sys.modules}})",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(shown.stdout.split())


def test_a_plain_import_loads_neither_torch_nor_any_numerical_package():
    loaded = modules_after("import splitting_analysis")
    assert "splitting_analysis" in loaded
    assert not loaded & {
        "torch",
        "numpy",
        "scipy",
        "sympy",
        "mpmath",
        "matplotlib",
        "typer",
        "reports",
    }


def test_the_plugin_that_every_pytest_run_loads_loads_nothing_that_computes():
    loaded = modules_after("import splitting_analysis.testing")
    assert "pytest" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "sympy", "mpmath", "matplotlib", "typer"}
    assert not loaded & {"analytic_models", "gpu_samplers", "reports"}


def test_the_help_of_the_command_line_loads_no_numerical_package():
    loaded = modules_after("import reports.cli")
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "sympy", "mpmath", "matplotlib", "sklearn"}


def test_formulas_are_derived_without_the_exact_world_and_the_machine():
    """Which load SciPy and torch: twice the time that an error takes."""
    arrows, reached, left = imports(), set[str](), ["reports.commands.derive"]
    while left:
        reached |= (new := arrows[left.pop()] - reached)
        left += new
    assert "splitting_analysis.weak" in reached
    assert not tops(reached) & {"analytic_models", "gpu_samplers"}


@pytest.mark.heavy
def test_samples_of_a_word_are_made_without_torchs_compiler_and_sympy(tmp_path):
    pytest.importorskip("torch")
    made = f'["sample", "--sampler", "ROBA", "--nfe", "5", "-n", "1", "--out", "{tmp_path / "a"}"]'
    code = f"from reports.cli import main\ntry:\n    main({made})\nexcept SystemExit: pass\n"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}import sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(found.stdout.splitlines()[-1].split())
    assert "torch" in loaded and not loaded & {"torch._dynamo", "sympy"}
