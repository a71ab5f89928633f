"""Page: the networks that come with the package, beside the data they were trained on."""

from __future__ import annotations

from typing import Any

from reports.experiments.store import stored
from reports.pages.absent import absent, told
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Column,
    Figure,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    printed,
    text,
)

SOURCE = "stored results, crossval_network.json"
TITLE = "The digits network"
WITHIN = 3
"""Times the distance of held-out images: beyond it samples would not be a model's of these data."""


def build(_: Settings) -> Page:
    data = stored("network")
    if data is None:
        return absent("network", "network", TITLE)
    return Page(
        "network",
        TITLE,
        _lead(data),
        (
            text(
                f"NCSN++ with {data['bytes'] / 1e6:.1f} MB of weights, position and momentum of "
                "one grey channel,"
                f" trained by hybrid score matching on {data['taught']:,} of scikit-learn’s 1,797 "
                "digits; every fifth image was held out. It is what `splitting-analysis sample` "
                "runs when no checkpoint is given, and what the cross-validation of this report "
                "runs on."
            ),
            Heading("Samples", "samples"),
            _pictures(data),
            _table(data),
            Heading("Training", "training"),
            _curve(data),
            _training(data),
            Heading("The patches network", "patches"),
            *_patches(stored("patches")),
        ),
    )


def _patches(data: dict[str, Any] | None) -> tuple[Block, ...]:
    """What was found of samples of the second network."""
    about = (
        "NCSN++ for 32 × 32 colour patches of the two photographs that scikit-learn ships, as "
        "large as CIFAR’s images: a patch at every fifth pixel of the left halves, and its mirror "
        "image, to train on; of the right halves every sixteenth is held out. Samples pass if in "
        "each of 16 bands of frequency and each of three opponent colours their power is within "
        "10 % of that of the patches trained on, and their Fréchet distance to these, in the "
        "features of a scattering transform, at most three times that of held-out patches."
    )
    if data is None:
        return text(about), text(told("patches"))
    distances = data["frechet"]
    drawn, bands, does = data["samples"], data["bands"], "pass" if data["passes"] else "do not pass"
    found = (
        f"{data['number']:,} samples ({drawn['sampler']}, {drawn['grid']} grid, {drawn['nfe']} "
        f"evaluations) **{does}**: their power is off by at most "
        f"{printed(100 * data['largest_power_off'], '2g')} % in a band (surely within the "
        f"tolerance in {bands['within']} bands, surely beyond it in {bands['beyond']}); their "
        f"Fréchet distance is {printed(distances['samples'])}, that of as many held-out patches "
        f"{printed(distances['held-out patches'])}, and that of patches drawn from those trained "
        f"on {printed(distances['chance'])}."
    )
    cycles = tuple(map(float, range(1, len(data["power"]["samples"]["ratio"][0]) + 1)))
    panels = tuple(
        Panel(
            channel,
            tuple(
                Line(name, cycles, tuple(power["ratio"][k]))
                for name, power in data["power"].items()
            ),
            "cycles along a patch",
            "power over that of patches trained on",
            x_scale="linear",
        )
        for k, channel in enumerate(data["channels"])
    )
    caption = (
        "**Power by frequency**, averaged over directions: 1 is that of the patches trained on."
    )
    source = "stored results, patches_network.json"
    return (
        text(about),
        text(found),
        Figure("network-power", caption, panels, source),
        _colours(data, source),
    )


def _colours(data: dict[str, Any], source: str) -> Figure:
    titles = {"data": "patches trained on", "samples": "samples"}
    panels = tuple(
        Panel(title, (), "", "", pixels=tuple(map(bytes.fromhex, data["pictures"][key])))
        for key, title in titles.items()
    )
    caption = "**Luminance of patches trained on, and of the first samples**, not selected."
    return Figure("network-patches", caption, panels, source)


def ratio(data: dict[str, Any]) -> float:
    """Fréchet distance of samples over that of held-out images, both to the images trained on."""
    judged = data["judged"]
    return float(judged["samples"]["frechet"] / judged["held-out images"]["frechet"])


def _lead(data: dict[str, Any]) -> str:
    ours, floor = (
        printed(data["judged"][name]["frechet"]) for name in ("samples", "held-out images")
    )
    found = ratio(data)
    return (
        f"{data['sampler']} with {data['nfe']} evaluations makes digits whose Fréchet distance to "
        "the images"
        f" trained on is {ours}, {printed(found, '2g')} times that of as many held-out images "
        f"({floor}): "
        + (
            "a model to compare samplers on."
            if found < WITHIN
            else "**too far to be a model of them.**"
        )
    )


def _pictures(data: dict[str, Any]) -> Figure:
    titles = {
        "data": "images trained on",
        "samples": f"samples, {data['sampler']}, NFE {data['nfe']}",
    }
    panels = tuple(
        Panel(title, (), "", "", pixels=tuple(map(bytes.fromhex, data["pictures"][key])))
        for key, title in titles.items()
    )
    caption = (
        "**Images drawn from the training set, and the first samples**, not selected, "
        f"{data['grid']} grid, seed {data['seed']}, 8 × 8 pixels each."
    )
    return Figure("network-samples", caption, panels, SOURCE)


def _table(data: dict[str, Any]) -> Table:
    columns = (
        Column("set", "set"),
        Column("number", "images", "", "d"),
        Column("frechet", "Fréchet distance"),
        Column("residual", "squared distance to the nearest", "per pixel"),
        Column("still", "noise at still pixels", "per pixel"),
    )
    rows = tuple(
        (name, data["number"], v["frechet"], v["residual"], v["still"])
        for name, v in data["judged"].items()
    )
    caption = (
        f"**Against the {data['taught']:,} images trained on.** A memorised image would be at "
        "distance 0 from its nearest; the held-out images say how far new ones are. Pixels are "
        "in [−1, 1]."
    )
    return Table("network-judged", caption, columns, rows, SOURCE)


def _curve(data: dict[str, Any]) -> Figure:
    steps, taught, held = zip(*data["curve"], strict=True)
    lines = (
        Line("training images", steps, taught),
        Line("held-out images, averaged weights", steps, held),
    )
    panel = Panel("", lines, "training steps", "loss per component", x_scale="linear")
    caption = "**Loss**: mean squared error of the predicted normals, over forward times."
    return Figure("network-loss", caption, (panel,), SOURCE)


def _training(data: dict[str, Any]) -> Table:
    told = data["training"]
    minutes = told["seconds"] / 60
    columns = (
        Column("steps", "steps", "", "d"),
        Column("batch", "images per step", "", "d"),
        Column("rate", "Adam’s step size"),
        Column("ema", "decay of the average", "", "4g"),
        Column("minutes", "time", "minutes", "2g"),
        Column("threads", "CPU threads", "", "d"),
        Column("torch", "torch"),
    )
    row = (
        told["steps"],
        told["batch"],
        told["rate"],
        told["ema"],
        minutes,
        told["threads"],
        told["torch"],
    )
    command = "`splitting-analysis train --data digits --out digits.safetensors`"
    return Table("network-training", "**How it was trained**", columns, (row,), command)
