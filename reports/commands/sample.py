"""`splitting-analysis sample`: images from a network, by any sampler."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_samplers.files import check_folder
from reports.commands.endings import ends_with_a_sentence
from reports.commands.options import ClockName, LowerOrderFinal, NoiseLevel, with_options
from reports.commands.terminal import a_float, an_int, ending_of
from reports.render.progress import shown
from splitting_analysis.catalogue import named
from splitting_analysis.expressions import parse_settings
from splitting_analysis.grids import EPS, check_end
from splitting_analysis.grids import HELP as GRID_HELP
from splitting_analysis.lookup import (
    as_scheme,
    check_family,
    conjugated,
    read_lambda_s,
    reading,
)
from splitting_analysis.settings import keys

if TYPE_CHECKING:
    from gpu_samplers.job import Job
    from gpu_samplers.network import NCSNpp
    from gpu_samplers.processes import PSLD, VP
    from gpu_samplers.sampling import Made, Partly
    from splitting_analysis.schemes import Scheme

TRAINED = ("psld", "vp")


def sample(
    sampler: Annotated[
        str, typer.Option(help="A name from the catalogue, a word in quotes, or 'RK45 adaptive'.")
    ],
    n: Annotated[
        int,
        typer.Option(
            "--n",
            "-n",
            parser=an_int,
            metavar="<int>",
            help="Number of samples; torchrun lets only -n through.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="Folder to write to; the same command again resumes there."
        ),
    ],  # as text: a Path of the empty name is the current folder
    nfe: Annotated[
        int | None,
        typer.Option(
            parser=an_int,
            metavar="<int>",
            help="Budget of score evaluations per sample; it buys the steps.",
        ),
    ] = None,
    tol: Annotated[
        float | None,
        typer.Option(
            parser=a_float,
            metavar="<float>",
            help="Tolerance of RK45 adaptive, in place of --nfe (default: 1e-4).",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A .ckpt, .pt or .safetensors; or digits (the default of psld), digits-vp (of vp) "
            "or patches: they come with this."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Its configuration, a name or a .json file, if it does not hold one."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Process of the network: psld or vp; by default psld, or where the name is found."
        ),
    ] = None,
    dynamics: Annotated[
        str | None, typer.Option(help="ode or sde; by default what the letters say (noise: sde).")
    ] = None,
    param: Annotated[
        str,
        typer.Option(
            help="Its parameters: Gamma=0.01,nu=4.01 (default: the checkpoint's record); of data "
            "held on psld, and of conjugate steps, factor=upper; of these lambda=0.5,skip=1, too."
        ),
    ] = "",
    factor: Annotated[
        str,
        typer.Option(help="Factor of the kernel's covariance it was trained with: lower or upper."),
    ] = "lower",
    numerical_eps: Annotated[
        float,
        typer.Option(
            parser=a_float,
            metavar="<float>",
            help="Added to the kernel's variances; released PSLD weights: 1e-9; most: 0.01.",
        ),
    ] = 0.0,
    seed: Annotated[
        int,
        typer.Option(
            parser=an_int, metavar="<int>", help="Sample i depends on the seed and i alone."
        ),
    ] = 0,
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "uniform",
    eps: Annotated[
        float | None,
        typer.Option(
            parser=a_float,
            metavar="<float>",
            help=f"The grid ends at T - eps (default: {EPS:g}).",
        ),
    ] = None,
    denoise: Annotated[
        bool | None,
        typer.Option(
            "--denoise/--no-denoise",
            help="End with a noiseless Euler step over eps (1 NFE; the default); --denoise data: "
            "with the data predicted there (1 NFE).",
        ),
    ] = None,
    denoise_by: Annotated[str | None, typer.Option(hidden=True)] = None,
    clock: ClockName = None,
    eta: NoiseLevel = None,
    lower_order_final: LowerOrderFinal = False,
    lambda_s: Annotated[
        str | None, typer.Option(help="Position noise of the letter O: 1.25 or 5/4 (default: 1).")
    ] = None,
    merge_noise: Annotated[
        bool,
        typer.Option("--merge-noise", help="Fewer normals: other samples of the same law, faster."),
    ] = False,
    form: Annotated[str, typer.Option("--format", help="npz (shards, float32) or png.")] = "npz",
    shard: Annotated[
        int,
        typer.Option(
            parser=an_int,
            metavar="<int>",
            help="Samples per shard; an interrupted shard is made again.",
        ),
    ] = 512,
    batch: Annotated[
        int | None,
        typer.Option(
            parser=an_int,
            metavar="<int>",
            help="Samples at a time (64); changes them by rounding alone, which in bf16 shows.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="The network runs in float32, tf32 (GPU), bf16 or float64.")
    ] = "float32",
    state: Annotated[
        str, typer.Option(help="The state is updated in float64 or float32.")
    ] = "float64",
    compile: Annotated[  # noqa: A002 - torch's word
        bool, typer.Option("--compile", help="Run the network through torch.compile.")
    ] = False,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep weights and images in this memory format.")
    ] = False,
    graphs: Annotated[
        bool,
        typer.Option(
            "--graphs", help="Run the network as a CUDA graph: the host launches it at once."
        ),
    ] = False,
    winograd: Annotated[
        bool,
        typer.Option(
            "--winograd", help="Faster convolutions of large images on a CPU; memory for speed."
        ),
    ] = False,
) -> None:
    """Draw samples from a network, by any sampler.

    Samples come in shards; a shard appears complete or not at all. An
    interrupted run is resumed by the same command: what is there is kept; with
    a larger --n it gets what a new run would, with a smaller one it keeps all. An
    .npz holds images, float32 (n, channels, height, width) in the scale of the
    data, and index; a .png one image, clipped to [-1, 1], named by its index.
    run.json says what the samples depend on. Under torchrun the processes
    share the work; the samples are the same for any number of them.

    \b
    Examples:
      splitting-analysis sample --sampler ROBA --nfe 50 --n 64 --out digits \\
          --format png
      splitting-analysis sample --sampler "O S B A" --nfe 50 --n 50000 \\
          --checkpoint psld.safetensors --numerical-eps 1e-9 --out roba \\
          --device cuda --precision bf16
      splitting-analysis sample --sampler "RK45 adaptive" --tol 1e-3 --n 64 \\
          --out rk45
      torchrun --nproc-per-node 2 -m reports sample --sampler EM --nfe 20 \\
          -n 2000 --out em
    """
    try:
        from gpu_samplers.distributed import rank_of
        from gpu_samplers.job import BLACK_BOX, TOLERANCE, Job
        from gpu_samplers.sampling import write_samples
        from gpu_samplers.shards import named_folder
    except ModuleNotFoundError as error:
        raise ValueError(
            f"sample needs {error.name}, which is not installed: pip install "
            "'splitting-analysis[torch]'"
        ) from None

    from analytic_models.grids import read_grid

    rank, folder = rank_of(), named_folder(out)
    if rank.rank == 0:
        check_folder(folder)
    model, dynamics = check_family(model, dynamics)
    black_box = sampler.strip().casefold() == BLACK_BOX.casefold()
    _check_model(model)
    home = model or (None if named(sampler) else "psld")  # a name belongs where it is found
    scheme = None if black_box else as_scheme(sampler, home, dynamics)
    if scheme is not None:
        model = scheme.model_name
        _check_model(model, f"{scheme.name} is a {model} scheme")
    said = reading(scheme, dynamics) if scheme is not None and eta is None else ""
    scheme, param = _with_options(scheme, clock, eta, param, lower_order_final, dynamics)
    ending = ending_of(denoise, denoise_by)
    precision = precision.strip().lower()
    network, process = _network_and_process(checkpoint, config, model or "psld", param, precision)
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s, "--lambda-s"))
    if rank.rank == 0 and said:
        print(said, file=sys.stderr)
    times = read_grid(grid)
    if eps is not None and not isinstance(times, str):
        check_end(times, process.T, eps)
    job = Job(
        scheme,
        process,
        n,
        nfe,
        seed=seed,
        grid=times,
        eps=EPS if eps is None else eps,
        denoise=True if ending is None else ending,
        lambda_s=scale,
        merge_noise=merge_noise,
        tol=TOLERANCE if black_box and tol is None else tol,
        precision=precision,
        state=state,
        factor=factor,
        numerical_eps=numerical_eps,
        shard=shard,
        form=form,
    )
    kept = f"the same command goes on from what is in {folder}" if rank.rank == 0 else ""
    remedy = "give a smaller --batch or --shard"
    with ends_with_a_sentence(lambda: kept, remedy), _progress(rank.rank) as partly:
        made = write_samples(
            folder,
            job,
            network,
            batch=batch,
            device=device.strip().lower(),
            compile=compile,
            channels_last=channels_last,
            winograd=winograd,
            graphs=graphs,
            rank=rank,
            progress=partly,
            partly=partly,
        )
    if rank.rank == 0:
        print(_report(folder, job, made, rank.world))


def _with_options(
    scheme: Scheme | None,
    clock: str | None,
    eta: str | None,
    param: str,
    lower_final: bool,
    dynamics: str | None,
) -> tuple[Scheme | None, str]:
    """The scheme with its clock, its noise level and what `param` says of it, and the rest of
    `param`.
    """
    if scheme is None:
        if clock is not None:
            raise ValueError("--clock: RK45 adaptive chooses its steps itself, in forward time")
        if eta is not None:
            raise ValueError("--eta acts in words that hold a prediction, e.g. S E:data")
        if lower_final:
            raise ValueError(
                "--lower-order-final is for words that hold evaluations of earlier steps, e.g. S "
                "E:data[2]"
            )
        return None, param
    schemes, rest = conjugated(with_options([scheme], clock, eta, lower_final, dynamics), param)
    return schemes[0], rest


def _check_model(model: str | None, given: str = "") -> None:
    """Raise ValueError for a model without networks; `given` is what says the model, if not
    --model.
    """
    if model not in (None, *TRAINED):
        what = given or f"--model {model}"
        raise ValueError(f"{what}: a network is trained for one of: {', '.join(TRAINED)}")


def _network_and_process(
    checkpoint: Path | None, config: str | None, model: str, param: str, precision: str
) -> tuple[NCSNpp, PSLD | VP]:
    """The network, and the process: its defaults, then the checkpoint's record, then what the user
    says.
    """
    from gpu_samplers.embedded import KINDS, network_and_process

    if config is not None and checkpoint is None:
        raise ValueError("--config: the digits network has its own; give --checkpoint too")
    given = parse_settings(param, [field.name for field in fields(KINDS[model])], keys(model))
    return network_and_process(checkpoint, model, given, config, precision, "--model")


def _report(out: Path, job: Job, made: Made, processes: int) -> str:
    """What was done, in a line or two."""
    more = f"; {made.kept} more, asked for before, are kept" if made.kept else ""
    if not made.samples:
        all_there = "; all were there" if processes == 1 else ""
        return f"{out}: {job.n} samples{all_there}{more}"
    least, most = made.nfe
    nfe = f"{least}" if least == most else f"{least} to {most}"
    per_sample = 1000 * made.seconds / made.samples
    by = "" if processes == 1 else f" by the first of {processes} processes"
    return (
        f"{out}: {job.n} samples, {nfe} evaluations each; "
        f"{made.samples} made now{by} in {made.seconds:.1f} s ({per_sample:.3g} ms each){more}"
    )


@contextmanager
def _progress(rank: int) -> Iterator[Partly | None]:
    """The first process shows progress, for all of them: they have shares of one size."""
    if rank:
        yield None
        return
    with shown("samples") as show:
        yield lambda done, total: show(done, total, "samples")
