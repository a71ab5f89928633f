"""`splitting-analysis convert`: a checkpoint as safetensors that knows its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpu_samplers.files import check_file, is_there
from reports.commands.endings import ends_with_a_sentence


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A Lightning .ckpt, a state dict (.pt, .pth) or safetensors.", metavar="IN"
        ),
    ],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.", metavar="OUT")],
    config: Annotated[
        str | None,
        typer.Option(help="A named configuration, or a .json file; not needed if IN holds it."),
    ] = None,
    online: Annotated[
        bool,
        typer.Option("--online", help="The trained weights of a .ckpt, not their running average."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write OUT even if it exists.")] = False,
) -> None:
    """Turn a checkpoint into safetensors with its configuration inside.

    Nothing in IN is executed. Every entry is checked against the
    configuration; OUT appears complete or not at all.

    \b
    Examples:
      splitting-analysis convert psld.ckpt psld.safetensors --config cifar10_sota
      splitting-analysis convert mine.pt mine.safetensors --config mine.json
    """
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: the file to write must be named *.safetensors")
    if is_there(target) and not force:
        raise ValueError(f"{target}: exists already; --force replaces it")
    try:
        from gpu_samplers.checkpoints import network_of, read_checkpoint, save_checkpoint
    except ModuleNotFoundError as error:
        raise ValueError(
            f"convert needs {error.name}, which is not installed: pip install "
            "'splitting-analysis[torch]'"
        ) from None
    with ends_with_a_sentence(lambda: f"{target} is not written", "convert it where there is more"):
        check_file(target)
        stored = read_checkpoint(source, ema=not online)
        network = network_of(source, stored, config)
        save_checkpoint(target, network, stored.record)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{target}: {len(stored.weights)} entries, {parameters:,} parameters", end="")
    print(f", from {stored.prefix}*" if stored.prefix else "")
