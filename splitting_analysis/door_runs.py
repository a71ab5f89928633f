"""The functions of `import splitting_analysis as sa` that run samplers: on a network or a score,
and on what tells whether they are what they are said to be.

Like door.py, for names, words and schemes; the packages above are loaded when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from splitting_analysis.door_arguments import Scale, number, settings
from splitting_analysis.lookup import as_scheme, check_lambda_s, read_lambda_s
from splitting_analysis.notation import Word
from splitting_analysis.schemes import Denoise, Scheme

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from analytic_models.probing.checks import Validation


def sample(
    scheme: str | Word | Scheme,
    n: int = 16,
    nfe: int | None = None,
    *,
    model: str | None = None,
    dynamics: str | None = None,
    checkpoint: str | Path | None = None,
    config: str | None = None,
    score: Any = None,
    shape: Sequence[int] | None = None,
    seed: int = 0,
    grid: str | Sequence[float] = "uniform",
    eps: Scale | None = None,
    denoise: Denoise = True,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
    lower_order_final: bool = False,
    merge_noise: bool = False,
    batch: int | None = None,
    device: str = "cpu",
    tol: float | None = None,
    precision: str = "float32",
    state: str = "float64",
    trained_factor: str = "lower",
    numerical_eps: float = 0.0,
    compile: bool = False,  # noqa: A002 - torch's word
    channels_last: bool = False,
    graphs: bool = False,
    winograd: bool = False,
    **parameters: Any,
) -> NDArray[np.floating[Any]]:
    """`n` samples, each for at most `nfe` evaluations (50): of the digits network, a checkpoint or
    a score; "RK45 adaptive" takes `tol` (1e-4) in place of `nfe`.

        images = sa.sample("ROBA", n=16, nfe=50)    # (16, 1, 8, 8), in [-1, 1]
        score = lambda z, tau: -z / variances
        points = sa.sample("O S B A", n=64, nfe=50, score=score, shape=(5,))

    `checkpoint` is a file, or the name of a network that comes with the package: digits (default of
    psld), digits-vp (of vp), patches. A score takes torch states (components, batch, *shape) and
    the forward time, and returns as much. Samples depend on `seed` and their index alone, and are
    those of the command `sample`, whose options the others are: `factor` is that of a conjugate
    step or of data held, `trained_factor` the command's --factor, of the network's eps; from
    `precision` on all but `state` are of a network. Raises ImportError where torch is not
    installed, ValueError for what cannot be run.
    """
    try:
        from gpu_samplers import drawing
    except ModuleNotFoundError as error:
        raise ImportError(
            f"sa.sample needs {error.name}, which is not installed: pip install "
            "'splitting-analysis[torch]'"
        ) from None

    told = {"factor": factor, "eta": eta, "clock": clock, "skip": skip, "dynamics": dynamics}
    more = settings(parameters, lambda_, lower_final=lower_order_final, **told)
    found = drawing.sampler_of(scheme, model, dynamics, more.of if more.said else None)
    if lambda_s is not None and found is not None:
        check_lambda_s("lambda_s", found)
    from analytic_models.grids import read_grid

    times = read_grid(grid)
    end = None if eps is None else number("eps", eps)
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s))
    network = {
        "precision": precision,
        "factor": trained_factor,
        "numerical_eps": numerical_eps,
    }
    running = {
        "compile": compile,
        "channels_last": channels_last,
        "graphs": graphs,
        "winograd": winograd,
    }
    if score is None:
        if shape is not None:
            raise ValueError("shape is that of a score of your own; a network has its own")
        return drawing.from_network(
            found,
            n,
            nfe,
            parameters,
            checkpoint,
            config,
            batch,
            device,
            seed=seed,
            grid=times,
            eps=end,
            denoise=denoise,
            lambda_s=scale,
            tol=tol,
            merge_noise=merge_noise,
            state=state,
            running=running,
            **network,
        )
    if shape is None or checkpoint is not None or config is not None:
        raise ValueError(
            "a score of your own needs the shape of one sample, shape=(5,), and no checkpoint"
        )
    if any(running.values()) or tuple(network.values()) != ("float32", "lower", 0.0):
        raise ValueError(
            f"{', '.join([*running, 'precision', 'trained_factor', 'numerical_eps'])} are of a "
            "network; a score of your own computes as it does"
        )
    return drawing.from_score(
        found,
        n,
        nfe,
        parameters,
        score,
        shape,
        seed,
        times,
        end,
        denoise,
        scale,
        batch or 64,
        device,
        merge_noise,
        state.strip().lower(),
    )


def validate(
    sampler: Any,
    claims: str | Scheme | None = None,
    model: str | None = None,
    *,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
    option: Sequence[str] | Mapping[str, Any] = (),
    **parameters: Any,
) -> Validation:
    """Whether a sampler is what it is claimed to be; `print(...)` shows every check.

        def my_step(z, t, h, score, noise, model): ...      # NumPy or torch, one step
        found = sa.validate(my_step, claims="ROBAB", model="psld")
        found.holds, found.checks

    `sampler` is such a step, a whole run sample(score, z, grid, noise, model), the text
    "my_sampler.py:step" or "diffusers:DDIMScheduler", or a name, word or Scheme (then `claims` may
    be left out); `claims` are a name, a word, "order=2", "evaluations=1",
    or several with commas. `lambda_s` to `clock` are told to the claimed word, `option` a library's
    sampler ({"solver_order": 2}); `parameters` are those of the process that it is tried on. Shapes
    and units: analytic_models.probing.subject. Raises ValueError for
    claims that cannot be read; whatever the code itself does wrong is a verdict.
    """
    from analytic_models.claimed import noted, own_model, told_claims
    from analytic_models.probing.validate import validate as judge
    from gpu_samplers.adapters import named

    given = [f"{k}={v}" for k, v in option.items()] if isinstance(option, Mapping) else [*option]
    subject = (named(sampler, given) or sampler) if isinstance(sampler, str) else sampler
    if isinstance(subject, str | Word):
        subject = as_scheme(subject, model, dynamics)
    if claims is None and not isinstance(subject, Scheme):
        raise ValueError("say what it is said to be: claims='ROBAB' or claims='order=2'")
    model = own_model(subject, model)
    own = {"factor": factor, "eta": eta, "clock": clock, "skip": skip, "dynamics": dynamics}
    more, process = settings(parameters, lambda_, **own), None
    said: Any = subject if claims is None else claims
    if more.said or parameters:
        tell = more.of if more.said else None
        said, process = told_claims(said, model, dynamics, tell, parameters)
        own_model(subject, model, process)
    if claims is None:
        subject = said.scheme if process or more.said else subject  # itself, as it is told
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s))
    found = judge(subject, said, model, dynamics=dynamics, lambda_s=scale, process=process)
    return found if isinstance(said, Scheme) else noted(found, model)
