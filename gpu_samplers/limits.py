"""How many samples a run may be asked for, and in how many files."""

from __future__ import annotations

MOST_SAMPLES = 2**32
"""A seed has so many streams of noise."""
MOST_FILES = 10**6
"""In one folder; more are slow to list on every file system."""


def check_counts(n: int, shard: int, form: str) -> None:
    """Raise ValueError unless n samples, in shards of `shard` and files of that form, can be
    made.
    """
    if n < 1 or shard < 1:
        raise ValueError(f"n = {n}, shard = {shard}: both count samples, from 1")
    if n > MOST_SAMPLES:
        raise ValueError(f"n = {n}: a seed has {MOST_SAMPLES} samples; give more seeds, and n each")
    per_file = shard if form == "npz" else 1
    if n > MOST_FILES * per_file:
        other = f"; give shard >= {-(-n // MOST_FILES)}" if form == "npz" else ", or npz"
        raise ValueError(
            f"n = {n}: files of {per_file} sample(s) are more than {MOST_FILES} in one "
            f"folder{other}"
        )
