"""The distribution: what a user installs, reads and cites."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from reports import cli
from splitting_analysis import CATALOGUE
from splitting_analysis.catalogue import samplers

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGES = ("splitting_analysis", "analytic_models", "gpu_samplers", "reports")
MOST_LINES = 400
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def packages():
    """Every package that is there, as the build finds them: folders of the list that are
    packages.
    """
    return [
        path.parent for path in sorted(ROOT.glob("*/__init__.py")) if path.parent.name != "tests"
    ]


def test_every_package_is_part_of_the_distribution_and_typed():
    names = {path.name for path in packages()}
    assert {"splitting_analysis", "analytic_models", "reports"} <= names
    assert names <= {"splitting_analysis", "analytic_models", "gpu_samplers", "reports"}
    assert [path.name for path in packages() if not (path / "py.typed").exists()] == []


def test_the_installed_version_is_that_of_the_project():
    try:
        installed = metadata.distribution(PROJECT["name"])
    except metadata.PackageNotFoundError:
        pytest.skip("not installed: run through `make test`")
    assert installed.version == PROJECT["version"]
    found = {each.group: each for each in installed.entry_points}
    assert len(installed.entry_points) == len(found) == 2
    script, plugin = found["console_scripts"], found["pytest11"]
    assert (script.name, script.value) == ("splitting-analysis", "reports.cli:main")
    assert callable(script.load())
    assert plugin.name == plugin.value == "splitting_analysis.testing"


def test_no_file_is_longer_than_a_reader_keeps_in_mind():
    sources = [p for part in (*PACKAGES, "tests") for p in (ROOT / part).rglob("*.py")]
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text().splitlines()) for p in sources}
    assert len(lines) > 300
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("page", PAGES)
def test_a_pages_links_lead_to_files_that_exist(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
        if "://" not in link:
            assert (ROOT / link).exists(), link


def test_the_files_that_contributing_names_exist():
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_make_targets_that_exist(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / page).read_text()
    named = re.findall(r"(?:^    |`)(?:[A-Z_]+=\w+ )?make ([a-z ]*[a-z])", text, re.MULTILINE)
    assert {target for names in named for target in names.split("  ")[0].split()} <= set(targets)


def test_the_python_sessions_of_the_readme_are_true():
    blocks = re.findall(r"```pycon\n(.*?)```", README, re.DOTALL)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", None, 0)
    result = doctest.DocTestRunner().run(session)
    assert result.attempted >= 3
    assert result.failed == 0


def shell(line):
    """What a line of a session prints; the command itself runs in this process."""
    first, *pipe = line.split(" | ")
    if not first.startswith("splitting-analysis "):
        first, pipe, shown = "", [line], ""
    else:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            cli.main(shlex.split(first)[1:])
        shown = out.getvalue()
    if not pipe:
        return shown
    rest = ["bash", "-c", " | ".join(pipe)]
    return subprocess.run(
        rest, input=shown, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.heavy
def test_the_shell_sessions_of_the_readme_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        _, *sessions = re.split(r"^\$ ", block, flags=re.MULTILINE)
        for session in sessions:
            line, _, shown = session.partition("\n")
            assert shell(line) == shown, line


def test_every_block_of_the_readme_is_one_that_these_tests_run():
    kinds = re.findall(r"^```(\w*)$", README, re.MULTILINE)
    assert set(kinds[::2]) == {"console", "pycon"} and set(kinds[1::2]) == {""}


def test_the_readme_says_where_the_command_is_before_it_is_used():
    session = README.index("```console")
    assert (
        ".venv/bin" in README[:session] and "\n    source .venv/bin/activate\n" in README[:session]
    )


def test_commands_that_the_readme_only_names_have_the_options_it_gives_them(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL).replace("\\\n", " ")
    named = re.findall(r"(?:^    |`)splitting-analysis ([a-z]+)([^`\n]*)", text, re.MULTILINE)
    assert {"sample", "train", "convert", "gaussian"} <= {command for command, _ in named}
    for command, options in named:
        known = shell(f"splitting-analysis {command} --help")
        for option in re.findall(r"--[a-z-]+", options):
            assert re.search(rf"(?<!\S){option}\b", known), (command, option)


def test_the_citation_names_the_papers_that_the_catalogue_cites():
    cited = (ROOT / "CITATION.cff").read_text()
    for number in ("2402.07211", "2310.07894", "2303.01748", "2112.07068", "2405.14250"):
        assert f'"arXiv:{number}"' in cited
        assert f'"https://arxiv.org/abs/{number}"' in cited
    assert "10.1093/amrx/abs010" in cited
    assert f"version: {PROJECT['version']}" in cited
    in_catalogue = {
        n for s in CATALOGUE for n in re.findall(r"arXiv (\d{4}\.\d{5})", s.source.citation)
    }
    assert {"2402.07211", "2310.07894", "2405.14250"} <= in_catalogue


@pytest.mark.heavy
def test_the_wheel_works_outside_the_checkout(tmp_path):
    # a checkout on the path would count as installed already
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command):
        return subprocess.run(
            command, cwd=tmp_path, env=outside, capture_output=True, text=True, check=True
        ).stdout

    # through the sdist, so that nothing stale in build/ can get in
    run(sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    weights = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "gpu_samplers/weights").glob("*.safetensors")
    }
    assert len(weights) == 3 and weights <= inside
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python, script = tmp_path / "venv/bin/python", tmp_path / "venv/bin/splitting-analysis"
    run(str(python), "-m", "pip", "install", "--quiet", str(wheel))
    assert len(run(str(script), "list").splitlines()) == len(samplers()) + 1
    where = run(str(python), "-c", "import splitting_analysis as s; print(s.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path)
    run(str(script), "report", "--quick", "--out", str(tmp_path / "report"))
    assert (tmp_path / "report" / "index.html").exists()
