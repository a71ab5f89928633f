"""Page: what was measured on a GPU, and what was not."""

from __future__ import annotations

from typing import Any

from reports.experiments.store import KEPT, stored
from reports.pages.absent import absent
from reports.pages.settings import Settings
from reports.render.document import Block, Cell, Column, Heading, Page, Table, printed, text
from reports.render.spelling import share

SLUG, TITLE = "gpu", "On a GPU"
SOURCE = f"stored results, `{KEPT['gpu'].command}`"
GOAL = 1.02
"""What a run may take, in units of its evaluations times the network's time."""
FASTER = 3.0
"""How much faster than the straightforward forward the fastest should be."""
STRAIGHT = "float32"
PARITY = (
    "**The card beside a CPU.** Outputs: absolutely. Runs: twelve steps on the digits network with "
    "everything in float64, relative to the largest entry."
)
RUNS = (
    "**Largest difference in any pixel of 96 samples** of the digits network, ROBA at 40 "
    "evaluations. A batch of another size is multiplied by other kernels, which round otherwise; "
    "nothing else may change a bit."
)


def build(_: Settings) -> Page:
    data = stored("gpu")
    if data is None:
        return absent("gpu", SLUG, TITLE)
    parts: dict[str, dict[str, Any]] = {
        name: data["parts"].get(name, {}) for name in data["wanted"]
    }
    body: list[Block] = [
        text(
            "The network is the full-size one of the released CIFAR-10 checkpoints "
            "(`cifar10_sota`, 97.6 million parameters) with random weights; the digits network "
            f"stands in where numbers, not speed, are compared. {_machine(data['machine'])}"
        ),
        Heading("What sampling costs beyond the network", "overhead"),
        _overhead(parts["overhead"]),
        Heading("A faster forward", "forward"),
        _forward(parts["forward"]),
        Heading("The same numbers as on a CPU", "parity"),
        _checks("gpu-parity", PARITY, parts["parity"], "largest error"),
        _rounding(parts["parity"]),
        Heading("The same samples, however a run is cut", "runs"),
        _checks("gpu-runs", RUNS, parts["runs"], "largest difference"),
    ]
    if training := parts.get("training"):
        body += [Heading("A network trained on the card", "training"), _training(training)]
    body += [Heading("Not measured", "missing"), _missing(data)]
    return Page(SLUG, TITLE, lead(data["machine"], parts), tuple(body))


def lead(machine: dict[str, str], parts: dict[str, dict[str, Any]]) -> str:
    """What was found, in two or three sentences."""
    said = [f"On an {machine['card']},"]
    ratios = [row["ratio"] for row in parts["overhead"].values()]
    if ratios:
        within = sum(ratio <= GOAL for ratio in ratios)
        said.append(
            f"a whole run takes {printed(min(ratios), '4g')} to {printed(max(ratios), '4g')} "
            f"times as long as its evaluations of the network alone ({share(within, len(ratios))} "
            f"runs within {GOAL:g})."
        )
    if gains := gain(parts["forward"]):
        form, batch, factor = gains
        said.append(
            f"The network runs up to {printed(factor, '2g')} times as fast as in plain eager "
            f"float32 ({form}, batch {batch}; the goal was {FASTER:g})."
        )
    checks = [row for name in ("parity", "runs") for row in parts[name].values() if "limit" in row]
    good = sum(row["error"] <= row["limit"] for row in checks)
    said.append(f"Comparisons with a CPU, or with another run: {share(good, len(checks))} hold.")
    return " ".join(said)


def gain(rows: dict[str, Any]) -> tuple[str, int, float] | None:
    """The form, batch and factor of the largest gain over the straightforward forward."""
    plain = {row["batch"]: row["seconds"] for row in rows.values() if row["form"] == STRAIGHT}
    found = [
        (row["form"], row["batch"], plain[row["batch"]] / row["seconds"])
        for row in rows.values()
        if row["batch"] in plain and row["form"] != STRAIGHT
    ]
    return max(found, key=lambda each: each[2], default=None)


def _machine(machine: dict[str, str]) -> str:
    return (
        f"Measured on one {machine['card']}, driver {machine['driver']}, torch "
        f"{machine['torch']}, CUDA {machine['cuda']}, cuDNN {machine['cudnn']}. float32 is "
        "float32 throughout: torch’s own default, TF32 in convolutions, is the form called tf32."
    )


def _overhead(rows: dict[str, Any]) -> Table:
    columns = (
        Column("sampler", "sampler"),
        Column("form", "network"),
        Column("batch", "batch", "", "d"),
        Column("nfe", "evaluations", "", "d"),
        Column("seconds", "run", "s"),
        Column("ratio", "run / (evaluations × network)", "", "4g"),
    )
    caption = (
        "**Time of a run over that of its evaluations.** From the seed to the samples: drawing "
        "noise, planning and the last wait included. Medians of three runs of one batch, and as "
        "many forwards in turn. What a run takes beyond is mostly its plan, 16 to 37 ms on the "
        "host before the first evaluation, whatever the network; step-size control (RK45 "
        "adaptive) waits for the device."
    )
    cells = tuple(tuple(row[column.key] for column in columns) for row in rows.values())
    return Table("gpu-overhead", caption, columns, cells, SOURCE)


def _forward(rows: dict[str, Any]) -> Table:
    plain = {row["batch"]: row["seconds"] for row in rows.values() if row["form"] == STRAIGHT}
    columns = (
        Column("batch", "batch", "", "d"),
        Column("form", "network"),
        Column("ms", "forward", "ms"),
        Column("gain", "times as fast", "", "2g"),
        Column("memory", "memory at most", "GB", "2g"),
        Column("images", "ROBA, NFE 50", "images/s"),
    )
    cells: list[tuple[Cell, ...]] = []
    for row in sorted(rows.values(), key=lambda row: (row["batch"], -row["seconds"])):
        batch, seconds, memory = row["batch"], row["seconds"], row.get("peak_bytes")
        faster = plain[batch] / seconds if batch in plain else None
        cells.append(
            (
                batch,
                row["form"],
                1e3 * seconds,
                faster,
                memory and memory / 1e9,
                row.get("images_per_second"),
            )
        )
    caption = (
        "**One forward of the full-size network.** Times as fast: as plain eager float32 in the "
        "same batch. Graph: launched as one CUDA graph. Compiled: torch.compile."
    )
    return Table("gpu-forward", caption, columns, tuple(cells), SOURCE)


def _checks(key: str, caption: str, rows: dict[str, Any], error: str) -> Table:
    """What was compared, how far it is off, how far it may be."""
    columns = (
        Column("what", "what"),
        Column("error", error, "", "2g"),
        Column("limit", "limit", "", "2g"),
        Column("holds", "holds"),
    )
    cells: list[tuple[Cell, ...]] = []
    for name, row in rows.items():
        if "same" in row:
            cells.append((name, None, None, "yes" if row["same"] else "NO"))
        elif "limit" in row:
            holds = "yes" if row["error"] <= row["limit"] else "NO"
            cells.append((name, row["error"], row["limit"], holds))
    return Table(key, caption, columns, tuple(cells), SOURCE)


def _rounding(rows: dict[str, Any]) -> Table:
    keys = ("float32", "float32_cpu", "tf32", "bfloat16", "bfloat16_cpu", "truncation")
    titles = ("float32", "float32, CPU", "TF32", "bfloat16", "bfloat16, CPU", "truncation")
    columns = (
        Column("sampler", "sampler"),
        Column("steps", "steps", "", "d"),
        *(Column(key, title, "", "2g") for key, title in zip(keys, titles, strict=True)),
    )
    cells = tuple(
        (name.partition(",")[0], row["steps"], *(row.get(key) for key in keys))
        for name, row in rows.items()
        if "steps" in row
    )
    caption = (
        "**Rounding of the network at the end of a run**, root mean square, beside the same on a "
        "CPU and the sampler’s own error, both from [Rounding](crossval-rounding.html). TF32 "
        "rounds like a number of three digits, bfloat16 like one of two."
    )
    return Table("gpu-rounding", caption, columns, cells, SOURCE)


def _training(rows: dict[str, Any]) -> Block:
    (row,) = rows.values()
    verdict = "pass as patches" if row["passes"] else "**do not pass as patches**"
    return text(
        f"In {row['seconds']} s the network of the patches saw {row['steps']:,} batches of "
        f"{row['batch']} ({printed(row['steps_per_second'], '3g')} steps/s). Its "
        f"{row['number']:,} samples {verdict}: their Fréchet distance is "
        f"{printed(row['times_the_floor'], '2g')} times that of held-out patches, their power off "
        f"by at most {printed(100 * row['largest_power_off'], '2g')} %."
    )


def _missing(data: dict[str, Any]) -> Block:
    left = [
        f"{part}: {name}"
        for part, names in data["wanted"].items()
        for name in names
        if name not in data["parts"].get(part, {})
    ]
    if not left:
        return text("Everything that the script asks for was measured.")
    return text(
        f"For {len(left)} rows there was no time on a card; `make gpu` measures them: "
        f"{'; '.join(left)}."
    )
