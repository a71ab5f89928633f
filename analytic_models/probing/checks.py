"""What a validation says: checks with verdicts, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, inf, log10
from typing import Any, Literal

Verdict = Literal["pass", "fail", "inconclusive"]
MOST_DIGITS = 16


def apart(value: float, other: float, least: int = 6) -> str:
    """A number in so many digits, at least, that it shows by two digits how it differs."""
    size = max(abs(value), abs(other))
    gap = abs(value - other)
    needed = ceil(log10(size / gap)) + 2 if 0 < gap < size < inf else 0
    return f"{value:.{min(max(least, needed), MOST_DIGITS)}g}"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its name is the sentence that holds if it passes."""

    name: str
    verdict: Verdict
    expected: str = ""
    seen: str = ""
    where: str = ""

    def __str__(self) -> str:
        text = f"{self.verdict:>12}  {self.name}"
        if self.verdict == "pass":
            return text + (f": {self.seen}" if self.seen else "")
        text += f"\n{'':14}expected {self.expected}\n{'':14}seen     {self.seen}"
        return text + (f"\n{'':14}where    {self.where}" if self.where else "")


@dataclass(frozen=True)
class Validation:
    """All checks of one sampler. `holds` is true only if every one passes."""

    name: str
    model: str
    claims: str
    checks: tuple[Check, ...]
    deduced: str = ""
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.verdict == "pass" for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.verdict == "fail")

    def as_dict(self) -> dict[str, Any]:
        """What the command prints as JSON."""
        return {
            "sampler": self.name,
            "model": self.model,
            "claims": self.claims,
            "holds": self.holds,
            "deduced": self.deduced,
            "notes": list(self.notes),
            "checks": [asdict(check) for check in self.checks],
        }

    def __str__(self) -> str:
        head = f"{self.name} ({self.model}), said to be {self.claims}"
        lines = [head, *map(str, self.checks)]
        if self.deduced:
            lines.append(f"{'':14}deduced  {self.deduced}")
        lines += [f"{'':14}note     {note}" for note in self.notes]
        bad = sum(check.verdict == "fail" for check in self.checks)
        open_ = sum(check.verdict == "inconclusive" for check in self.checks)
        verdict = "every claim holds" if self.holds else f"{bad} failed, {open_} inconclusive"
        return "\n".join([*lines, f"{verdict}, of {len(self.checks)} checks"])
