"""Settings shared by all tests. Shared strategies are in strategies.py: `from tests.strategies
import ...`.

Hypothesis draws the same examples on every run, so that a red test is red for everyone;
HYPOTHESIS_PROFILE=explore draws fresh and more numerous ones.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator

import pluggy
import pytest
from hypothesis import settings

# Before numpy and torch start theirs: pytest's processes share the cores, threads of each would
# only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")  # figures are files; no test opens a window

# What the imports make stays to the end: half a million objects that the collector would look at
# again and again, a fifth of the time that they take.
gc.disable()

settings.register_profile("fixed", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test marked `share(n)` every n-th set of parameters runs by default; the others are
    heavy.
    """
    seen: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("share")
        if mark is not None:
            name = item.nodeid.partition("[")[0]
            if seen[name] % mark.args[0]:
                item.add_marker("heavy")
            seen[name] += 1


# What the tests cost is shown after each run, so that a dear one is seen when it is added. It is
# processor time, as a loaded machine stretches the other; no test fails by it.

SHOWN = 10
spent: Counter[str] = Counter()
since = [0.0]
"""Processor time at the last report."""


def processor_time() -> float:
    """Seconds of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """In the process that runs the test: the time since the last report goes with this one."""
    outcome = yield
    now = processor_time()
    outcome.get_result().processor_time = now - since[0]  # type: ignore[attr-defined]
    since[0] = now


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # formulas are many small objects, few of them in circles
    gc.enable()
    since[0] = processor_time()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the process that shows the results, which may be another."""
    # a crashed worker sends none
    spent[report.nodeid.partition("::")[0]] += getattr(report, "processor_time", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total = processor_time()  # of pytest-xdist's workers too: they have ended by now
    rest = total - sum(spent.values())
    terminalreporter.write_sep("=", f"processor time: {total:.0f} s, {rest:.0f} s of them imports")
    for name, seconds in spent.most_common(SHOWN):
        terminalreporter.write_line(f"{seconds:6.1f} s {name}")
