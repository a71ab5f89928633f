"""`splitting-analysis train`: a network of PSLD or VP from images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_samplers.files import check_file, is_there
from reports.commands.endings import ends_with_a_sentence
from reports.commands.terminal import a_float, an_int
from reports.render.progress import shown
from splitting_analysis.expressions import parse_settings

if TYPE_CHECKING:
    from gpu_samplers.configs import Config
    from gpu_samplers.processes import PSLD, VP
    from gpu_samplers.training import Beat, Progress


def train(
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    data: Annotated[
        str,
        typer.Option(
            help="digits, patches (of photographs), a folder of .png or .jpg, or an .npz: `images` "
            "(N, H, W, C) in [-1, 1]."
        ),
    ] = "digits",
    config: Annotated[
        str | None,
        typer.Option(
            help="The network: a named configuration or a .json file; digits and patches have "
            "their own."
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(parser=an_int, metavar="<int>", help="Training steps.")
    ] = 7000,
    batch: Annotated[
        int, typer.Option(parser=an_int, metavar="<int>", help="Images per step.")
    ] = 128,
    rate: Annotated[
        float,
        typer.Option(
            parser=a_float, metavar="<float>", help="Step size of Adam; falls to 0 as a cosine."
        ),
    ] = 1e-3,
    ema: Annotated[
        float,
        typer.Option(
            parser=a_float,
            metavar="<float>",
            help="Decay of the averaged weights, which are saved.",
        ),
    ] = 0.999,
    seed: Annotated[
        int, typer.Option(parser=an_int, metavar="<int>", help="Of everything that is random.")
    ] = 0,
    process: Annotated[
        str, typer.Option(help="What the network is trained for: psld or vp.")
    ] = "psld",
    param: Annotated[
        str,
        typer.Option(help="Parameters of the process: Gamma=0.01,nu=4.01; of vp beta_max=20."),
    ] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="float32 or bf16: of the network's products; weights stay float32.")
    ] = "float32",
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write OUT even if it exists.")] = False,
) -> None:
    """Train a network of PSLD or VP: (hybrid) score matching, averaged weights.

    Every fifth image is held out; of the patches, one half of each
    photograph. OUT holds the averaged weights, the
    configuration and a record of the training with both loss curves. An
    interrupted training is resumed by the same command from OUT.partial, and
    ends with the weights of one that was never stopped.

    \b
    Examples:
      splitting-analysis train --data digits --out digits.safetensors
      splitting-analysis train --data digits --process vp \\
          --out digits-vp.safetensors
      splitting-analysis train --data photos/ --config cifar10_ablation \\
          --steps 100000 --device cuda --out photos.safetensors
    """
    if out.suffix != ".safetensors":
        raise ValueError(f"{out}: the file to write must be named *.safetensors")
    if is_there(out) and not force:
        raise ValueError(f"{out}: exists already; --force replaces it")
    check_file(out)
    try:
        import torch

        from gpu_samplers.data import load_images
        from gpu_samplers.embedded import KINDS
        from gpu_samplers.training import Settings, partial_of
        from gpu_samplers.training import train as run
    except ModuleNotFoundError as error:
        raise ValueError(
            f"train needs {error.name}, which is not installed: pip install "
            "'splitting-analysis[torch]'"
        ) from None
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"--device {device}: torch {torch.__version__} finds no such device here")
    if (kind := KINDS.get(process.strip().lower())) is None:
        known = ", ".join(KINDS)
        raise ValueError(f"--process {process}: a network is trained for one of: {known}")
    trained_for = kind(**parse_settings(param, [field.name for field in fields(kind)]))
    images = load_images(data)
    network = _config(config, data, trained_for)
    settings = Settings(
        network, trained_for, steps, batch, rate, ema=ema, seed=seed, precision=precision
    )
    partial = partial_of(out)

    def kept() -> str:
        return (
            f"the same command resumes from {partial}" if partial.exists() else "no step was kept"
        )

    with ends_with_a_sentence(kept, "give a smaller --batch"), _progress() as (look, beat):
        record = run(
            settings, images, out, device=device, compile=compile_, progress=look, beat=beat
        )
    _, taught, held = record["curve"][-1]
    size = out.stat().st_size / 1e6
    losses = f"loss {taught:.4f}, on held-out images {held:.4f}"
    print(f"{out}: {size:.1f} MB after {record['seconds']} s; {losses}")


def _config(given: str | None, data: str, process: PSLD | VP) -> Config:
    from gpu_samplers.configs import config_of
    from gpu_samplers.training_settings import NETWORKS, network_for

    if given is None and data not in NETWORKS:
        raise ValueError("--config: give the network for these images, a name or a .json file")
    return network_for(data, process) if given is None else config_of(given)


@contextmanager
def _progress() -> Iterator[tuple[Progress, Beat]]:
    """Progress with the loss as it was when the curves were last looked at."""
    said = "training"
    with shown("training") as show:

        def look(done: int, total: int, loss: float) -> None:
            nonlocal said
            said = f"loss {loss:.4f}"
            show(done, total, said)

        yield look, lambda done, total: show(done, total, said)
