"""What a GPU alone can tell: sampling time over network time, faster forwards, parity,
repeatability.

    python -m reports.experiments.gpu [parity | runs | forward | overhead | training ...]

measures the named parts (all by default) on the card that torch finds, in at most `--minutes`, and
stores every number in `data/gpu.json` as it comes: a run that is cut off keeps what it has, and the
next one goes on. What there was no time for is left out. `--toy` goes through all of it on a CPU,
with a small network: its numbers say nothing, and go to another file.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from reports.experiments import gpu_parity, gpu_runs, gpu_speed, gpu_training, store
from reports.experiments.gpu_card import Card, Row
from reports.experiments.runner import Part, Watch, chosen, run

PARTS: dict[str, Callable[[Card], Iterator[Row]]] = {
    "parity": gpu_parity.rows,
    "runs": gpu_runs.rows,
    "forward": gpu_speed.forward_rows,
    "overhead": gpu_speed.overhead_rows,
    "training": gpu_training.rows,
}
"""What each part measures, the most important first."""


def machine() -> dict[str, str]:
    """The card, its driver and the versions that bear on speed."""
    told = {"torch": torch.__version__, "cuda": str(torch.version.cuda), "cudnn": str(_cudnn())}
    if not torch.cuda.is_available():
        return {"card": "none: a CPU at toy size", "driver": "none", **told}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = "unknown"
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - fixed words
        driver = answer.stdout.split()[0]
    return {"card": torch.cuda.get_device_name(), "driver": driver, **told}


def _cudnn() -> int | None:
    return torch.backends.cudnn.version() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]


def keep(name: str, card: Card, out: Path | None, watch: Watch) -> None:
    """Measure what is not stored of a part, row by row; rows of another card or torch are
    dropped.
    """
    here, path = machine(), out or store.path_of("gpu")
    wanted = {part: [row.name for row in rows(card)] for part, rows in PARTS.items()}
    for row in watch(tuple(PARTS[name](card)), "row"):
        stored = store.read(path) or {"machine": {}}
        same = all(stored["machine"].get(key) == here[key] for key in ("card", "torch"))
        parts = stored["parts"] if same else {}
        if row.name in parts.get(name, {}) or not card.has(row.seconds):
            continue
        values = row.measure()
        rows = parts.get(name, {}) | {row.name: store.rounded(values, 4)}
        ordered = {each: rows[each] for each in wanted[name] if each in rows}
        parts = parts | {name: ordered}
        store.save("gpu", {"machine": here, "wanted": wanted, "parts": parts}, out)
        print(f"{row.name}: {_short(values)}", file=sys.stderr, flush=True)


def _short(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )


def arguments(words: Iterable[str] | None = None) -> Namespace:
    """The command line, read."""
    command = store.KEPT["gpu"].command
    parser = ArgumentParser(prog=command, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", help=f"what to measure, by default all: {', '.join(PARTS)}"
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="when to stop (default: 8)")
    parser.add_argument(
        "--toy", action="store_true", help="a CPU at toy size: to try it; needs --out"
    )
    parser.add_argument("--out", type=Path, help="file to write, in place of the stored one")
    parser.add_argument(
        "--reference", type=Path, help="a folder with the outputs of the released network"
    )
    return parser.parse_args(None if words is None else list(words))


def asked(given: Namespace) -> dict[str, Part]:
    """The parts asked for. Raises ValueError where they cannot be measured here, or not stored
    there.
    """
    until = monotonic() + 60 * given.minutes
    card = Card(given.toy, until, given.reference, (given.out or store.path_of("gpu")).parent)
    parts = chosen(given.parts, {name: partial(keep, name, card, given.out) for name in PARTS})
    if given.toy and given.out is None:
        raise ValueError(
            "--toy: its numbers are no measurements and are not stored; give --out FILE"
        )
    if not given.toy and not torch.cuda.is_available():
        remedy = "give --toy --out FILE to try the script"
        raise ValueError(f"torch {torch.__version__} finds no GPU here; {remedy}")
    return parts


def command() -> None:
    """The command line."""
    given = arguments()
    run(store.KEPT["gpu"].command, lambda: asked(given))


if __name__ == "__main__":
    command()
