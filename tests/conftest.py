"""Settings shared by all tests. Shared strategies are in strategies.py: `from tests.strategies import ...`.

Hypothesis draws the same examples on every run, so that a red test is red for everyone;
HYPOTHESIS_PROFILE=explore draws fresh and more numerous ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

# Before numpy and torch start theirs: pytest's processes share the cores, threads of each would only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")  # figures are files; no test opens a window

settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
