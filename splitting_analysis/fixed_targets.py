"""The processes of a fixed target: kinetic Langevin dynamics, and the same with two forces.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

from splitting_analysis.parameters import check_numbers, half


@dataclass(frozen=True)
class Langevin:
    """Kinetic Langevin dynamics, unit mass and temperature, friction gamma, run over time T.

    Raises ValueError for negative gamma, T <= 0, what is not finite, and what overflows.
    """

    gamma: Any = 1.0
    T: Any = 10.0
    model_name: ClassVar[str] = "langevin"

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def stationary(self) -> tuple[Any, ...]:
        """Start law of a run: a unit Gaussian in position and momentum."""
        return (1, 1)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=half(self), gamma=self.gamma)

    @property
    def shares(self) -> tuple[Any, Any]:
        """Which parts of a harmonic target's force the two places of a score hold."""
        return 0, 1

    def beta(self, tau: Any) -> Any:
        """1: the clock of a fixed target is time itself."""
        return 1 + 0 * tau

    def integral(self, tau: Any) -> Any:
        return tau

    def clock(self, t: Any, length: Any) -> Any:  # noqa: ARG002
        return length


@dataclass(frozen=True)
class Respa(Langevin):
    """Kinetic Langevin dynamics with a fast and a slow force, for multiple time steps.

    fast   the part of a harmonic target's force that the fast force is; the slow one is the rest
    Raises ValueError as Langevin does, and for a part beyond 0 to 1.
    """

    fast: Any = 0.9
    model_name: ClassVar[str] = "respa"

    @property
    def shares(self) -> tuple[Any, Any]:
        return self.fast, 1 - self.fast

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.fast, "free_symbols") and self.fast > 1:
            raise ValueError(f"fast = {self.fast}: the part of the force that is fast is at most 1")
