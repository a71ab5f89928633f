"""A claimed word beside what was seen, on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytic_models.probing.signature import Signature
from splitting_analysis.processes import Process
from splitting_analysis.program import Program
from splitting_analysis.schemes import Scheme


@dataclass(frozen=True)
class Comparison:
    """What is compared, and which call belongs to which step."""

    scheme: Scheme
    program: Program
    process: Process
    times: Sequence[float]
    seen: Signature
    claimed: Signature

    @property
    def carried(self) -> int:
        """Calls before the first step: 1 for a word that carries its score."""
        return int(self.scheme.carries_score and self.program.evaluations == self.scheme.nfe)

    def step_of(self, call: int) -> int:
        """The step, from 0, in which the claimed word makes this call."""
        later = max(call - self.carried, 0)
        return min(later // self.program.evaluations, len(self.times) - 2)

    def number_in_step(self, call: int) -> int:
        """Which call of its step it is, from 1."""
        return max(call - self.carried, 0) % self.program.evaluations + 1
