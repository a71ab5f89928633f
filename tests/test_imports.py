"""The import arrows, read from the source; and what a plain import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("splitting_analysis", "analytic_models", "gpu_samplers", "reports")
WORD_LEVEL = {
    "lookup", "notation", "spelling", "scheme", "catalogue", "models", "symbols", "program", "reduction",
}  # fmt: skip
"""The modules of splitting_analysis that say what a sampler is; they hold no expansion."""


def imported(path: Path) -> set[str]:
    """Absolute names of everything a file imports, at any depth of its code."""
    here = path.relative_to(ROOT).with_suffix("").parts
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def in_package(package: str) -> pytest.MarkDecorator:
    paths = modules(package)
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


@in_package("splitting_analysis")
def test_the_core_imports_no_other_package_of_the_project(path):
    assert not tops(imported(path)) & {"analytic_models", "gpu_samplers", "reports", "tests", "torch"}


@pytest.mark.parametrize("name", sorted(WORD_LEVEL))
def test_what_a_sampler_is_needs_the_standard_library_only(name):
    names = imported(ROOT / "splitting_analysis" / f"{name}.py")
    ours = {n for n in names if n.startswith("splitting_analysis.")}
    assert tops(names - ours) <= sys.stdlib_module_names
    assert {n.split(".")[1] for n in ours} <= WORD_LEVEL


@in_package("analytic_models")
def test_the_exact_oracle_knows_the_word_but_not_the_expansion(path):
    names = imported(path)
    assert not tops(names) & {"gpu_samplers", "reports", "tests", "torch"}
    ours = {n.split(".")[1] for n in names if n.startswith("splitting_analysis.")}
    assert ours <= WORD_LEVEL | {"order"}


def test_the_judge_of_observed_orders_knows_no_scheme_and_no_expansion():
    names = imported(ROOT / "splitting_analysis" / "order.py")
    assert "splitting_analysis" not in tops(names)


@in_package("gpu_samplers")
def test_the_machine_knows_the_word_but_not_the_expansion(path):
    names = imported(path)
    assert not tops(names) & {"reports", "tests", "sympy"}
    assert {n.split(".")[1] for n in names if n.startswith("splitting_analysis.")} <= WORD_LEVEL


@pytest.mark.parametrize("package", ["splitting_analysis", "analytic_models", "gpu_samplers"])
def test_nothing_imports_the_reports_or_the_tests(package):
    for path in modules(package):
        assert not tops(imported(path)) & {"reports", "tests"}, path


@in_package("reports")
def test_the_reports_do_not_lean_on_the_tests(path):
    assert "tests" not in tops(imported(path))


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs `code`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*{{m.partition('.')[0] for m in sys.modules}})"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(shown.stdout.split())


def test_a_plain_import_loads_neither_torch_nor_any_numerical_package():
    loaded = modules_after("import splitting_analysis")
    assert "splitting_analysis" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "sympy", "mpmath", "matplotlib", "typer", "reports"}


def test_the_help_of_the_command_line_loads_no_numerical_package():
    loaded = modules_after("import reports.cli")
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "sympy", "mpmath", "matplotlib", "sklearn"}
