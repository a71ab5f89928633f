"""How much a report computes, in one place: the quick report has the same pages on fewer points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Budgets and grids of one report."""

    quick: bool
    nfes: tuple[int, ...]
    lambda_nfes: tuple[int, ...]
    lambda_points: int
    order_steps: tuple[int, ...]

    @property
    def command(self) -> str:
        return "splitting-analysis report" + (" --quick" if self.quick else "")


QUICK = Settings(
    True, (20, 50, 100, 250, 500, 1000), (20, 50, 100, 200), 41, (64, 128, 256, 512, 1024)
)
FULL = Settings(
    False,
    (20, 50, 100, 250, 500, 1000, 2000, 5000),
    (20, 50, 100, 200),
    161,
    (64, 128, 256, 512, 1024, 2048, 4096),
)
