"""What the commands ask of the schemes that a user named."""

from __future__ import annotations

from splitting_analysis.schemes import Scheme


def check_lambda_s(option: str, *schemes: Scheme) -> None:
    """Raise ValueError for lambda_s, given by `option`, where it acts in none of the schemes."""
    if not any(scheme.has_tunable_noise for scheme in schemes):
        names = " or ".join(dict.fromkeys(scheme.name for scheme in schemes))
        raise ValueError(f"{option}: {names} has no letter O whose position noise it could scale")
