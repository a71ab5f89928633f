"""Validation inside pytest: every check of a sampler is a test whose name is the check's sentence.

    pytest --sampler path/to/my_sampler.py:my_step --claims ROBAB

    from splitting_analysis.testing import SamplerTests      # or in a test suite of one's own

    class TestMyStep(SamplerTests):
        sampler, claims = my_step, "ROBAB"

    def test_both(validate_sampler):                         # or as a fixture
        validate_sampler(my_step, claims="ROBAB")

What a sampler and its claims may be: `splitting_analysis.validate`. This module is the plugin that
pytest loads where the package is installed: it imports nothing that computes until a sampler is
given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from analytic_models.probing.checks import Check, Validation

OPTIONS = {
    "--sampler": "Validate this sampler: path/to/file.py:function, a library's "
    "(diffusers:DDIMScheduler), a name or a word in quotes; may be repeated. Without paths nothing "
    "else is collected.",
    "--claims": "What it is said to be: ROBAB, 'O S B A', order=2, evaluations=1, several with "
    "commas; once for all samplers, or once for each.",
    "--sampler-model": "psld, vp, ve, flow, langevin or respa (default: that of the claimed name).",
    "--sampler-dynamics": "ode or sde, where a claimed word may be either.",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("splitting-analysis", "samplers of diffusion models")
    for option, told in OPTIONS.items():
        kind = "append" if option in ("--sampler", "--claims") else "store"
        group.addoption(option, action=kind, default=None, metavar="TEXT", help=told)


def pytest_configure(config: pytest.Config) -> None:
    given = {option: _given(config, option) for option in OPTIONS}
    samplers, claims = given.pop("--sampler") or [], given["--claims"] or []
    for option, value in given.items():
        if value and not samplers:
            raise pytest.UsageError(f"{option} is said of a sampler: give --sampler, too")
    if samplers and len(claims) not in (0, 1, len(samplers)):
        raise pytest.UsageError(
            f"--claims {len(claims)} times for {len(samplers)} samplers: once for all, or once for "
            "each, in their order"
        )
    if samplers and config.args_source is not config.ArgsSource.ARGS:
        config.args[:] = []  # no path was given: only the samplers are asked for


def _given(config: pytest.Config, option: str) -> Any:
    return config.getoption(option.lstrip("-").replace("-", "_"))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The samplers of the command line join what the session collects."""
    report = yield
    samplers = _given(collector.config, "--sampler") or []
    if isinstance(collector, pytest.Session) and samplers:
        claims = _given(collector.config, "--claims") or [None]
        claims = claims * len(samplers) if len(claims) == 1 else claims
        report.result = [*(report.result or []), *_files(collector, samplers, claims)]
    return report


def _files(
    session: pytest.Session, samplers: Iterable[str], claims: Iterable[str | None]
) -> Iterator[SamplerFile]:
    for sampler, claim in zip(samplers, claims, strict=True):
        yield SamplerFile.from_parent(
            session, name=sampler, nodeid=sampler, sampler=sampler, claims=claim
        )


class SamplerFile(pytest.Collector):
    """A sampler of the command line; collecting it validates it, once."""

    def __init__(self, *, sampler: str, claims: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.sampler, self.claims = sampler, claims

    def collect(self) -> Iterator[CheckItem]:
        found = _validated(
            self.sampler,
            self.claims,
            model=_given(self.config, "--sampler-model"),
            dynamics=_given(self.config, "--sampler-dynamics"),
        )
        for check in found.checks:
            yield CheckItem.from_parent(self, name=check.name, check=check, found=found)


class CheckItem(pytest.Item):
    """One check of a sampler of the command line."""

    def __init__(self, *, check: Check, found: Validation, **rest: Any) -> None:
        super().__init__(**rest)
        self.check, self.found = check, found

    def runtest(self) -> None:
        _judge(self.check, self.found)

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        return Path(self.found.name), None, self.name


class SamplerTests:
    """A sampler's checks as the tests of a class: set `sampler` and `claims` in a subclass whose
    name pytest collects.

    The sampler is validated once per class, as its tests are collected.
    """

    sampler: ClassVar[Any] = None
    claims: ClassVar[Any] = None
    model: ClassVar[str | None] = None
    dynamics: ClassVar[str | None] = None
    lambda_s: ClassVar[Any] = None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "check" not in metafunc.fixturenames:
            return
        cls = type(self)
        own = inspect.getattr_static(cls, "sampler")
        sampler = getattr(own, "__func__", own)  # a staticmethod holds the function itself
        if sampler is None:
            raise pytest.Collector.CollectError(
                f"{cls.__name__}: set sampler = my_step and claims = 'ROBAB' in the class"
            )
        rest = {"model": cls.model, "dynamics": cls.dynamics, "lambda_s": cls.lambda_s}
        found = _validated(sampler, cls.claims, **rest)
        checks = [(check, found) for check in found.checks]
        metafunc.parametrize("check", checks, ids=[check.name for check, _ in checks])

    def test_sampler(self, check: Any) -> None:
        _judge(*check)


@pytest.fixture(scope="session")
def validate_sampler() -> Callable[..., Validation]:
    """`splitting_analysis.validate` that fails the test with the checks that do not hold."""

    def judged(sampler: Any, claims: Any = None, model: str | None = None, **rest: Any) -> Any:
        import splitting_analysis as sa

        found = sa.validate(sampler, claims, model, **rest)
        if not found.holds:
            pytest.fail(str(found), pytrace=False)
        return found

    return judged


def _validated(sampler: Any, claims: Any, **rest: Any) -> Validation:
    """The validation; what cannot be read is an error of the collection, in a sentence."""
    import splitting_analysis as sa

    try:
        return sa.validate(sampler, claims, **rest)
    except ValueError as error:
        raise pytest.Collector.CollectError(str(error)) from None


def _judge(check: Check, found: Validation) -> None:
    """Fail with what was expected, seen and where, and nothing of how this was run."""
    if check.verdict == "pass":
        return
    lines = [f"{check.verdict}: {check.name}", f"  expected  {check.expected}"]
    lines += [f"  seen      {check.seen}"]
    lines += [f"  where     {check.where}"] if check.where else []
    lines += [f"  it is     {found.deduced}"] if found.deduced else []
    pytest.fail("\n".join(lines), pytrace=False)
