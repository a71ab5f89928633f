"""The functions of `import splitting_analysis as sa`: all that a notebook needs, on names and
words.

The one module here that knows the packages above it (analytic_models, gpu_samplers): each function
loads what it needs when it is called, so that the import itself costs nothing. Wherever a scheme is
asked for, a name of the catalogue, a word (text or `Word`) or a `Scheme` will do; without `model` a
name belongs where it is found, PSLD first, and a word to PSLD; `dynamics` is "ode", "sde" or what
the name or the letters say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from splitting_analysis.catalogue import named
from splitting_analysis.grids import EPS
from splitting_analysis.lookup import (
    as_scheme,
    check_family,
    check_lambda_s,
    read_lambda_s,
    told,
)
from splitting_analysis.models import Model
from splitting_analysis.notation import Word
from splitting_analysis.schemes import Denoise, LambdaS, Scheme, Source
from splitting_analysis.schemes import scheme as scheme_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from analytic_models.probing.checks import Validation
    from analytic_models.table import Table
    from splitting_analysis.errors import LocalError

_USER = Source("user")
Scale = str | float | Fraction
"""lambda_s as it may be given: 1.25, "1.25", "5/4", Fraction(5, 4)."""


def scheme(
    text: str | Word | Scheme,
    model: str | Model | None = None,
    dynamics: str | None = None,
    name: str | None = None,
    *,
    source: Source = _USER,
    order: int | None = None,
    nfe: int | None = None,
    lambda_s: LambdaS | Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
) -> Scheme:
    """The scheme of a name ("ROBA") or of a word ("O S B A").

    `model` may be a model of your own, `lambda_s` a number that fixes the noise of the letter O;
    `lambda_`, `factor` and `skip` are those of conjugate steps, `eta` and `clock` the command's.
    `name`, `source` and the claims `order` and `nfe` are for a word. Raises WordError or ValueError
    where word, model and claims disagree, and for a name that there is not.
    """
    if isinstance(text, Scheme) or (
        isinstance(text, str) and named(text) and not isinstance(model, Model)
    ):
        if (name, order, nfe) != (None, None, None):
            raise ValueError(
                f"{text}: name, order and nfe are for a word; this is a scheme that has its own"
            )
        found = as_scheme(text, model if isinstance(model, str) else None, dynamics)
    elif isinstance(model, Model):
        found = scheme_of(text, model, dynamics, name, source=source, order=order, nfe=nfe)
    else:
        # says what a text that is neither word nor name may have been
        if isinstance(text, str) and not name:
            as_scheme(text, model, dynamics)
        model, dynamics = check_family(model, dynamics)
        found = scheme_of(
            text, model or "psld", dynamics, name, source=source, order=order, nfe=nfe
        )
    return told(_tuned([found], lambda_s), lambda_, factor, eta, clock, skip)[0]


def local_error(
    scheme: str | Word | Scheme,
    order: int | None = None,
    *,
    minus: str | Word | Scheme | None = None,
    model: str | None = None,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
) -> LocalError:
    """The local truncation error of a scheme in closed form: weak for an SDE.

    Through h^order (default: 3, an SDE's 2), and on to its leading term. It prints as formulas,
    displays so in a notebook, and `.at(...)` gives its numbers at a point. `minus` subtracts the
    error of another scheme; `lambda_s` fixes the noise of the letter O, `lambda_` (with `factor`)
    the B of conjugate steps, both symbols by default. Raises ValueError for a scheme or an order
    that there is not, and for lambda_s or lambda_ where it acts on nothing.
    """
    from splitting_analysis import weak

    one = told([as_scheme(scheme, model, dynamics)], lambda_, factor, skip=skip)[0]
    if minus is None:
        return weak.local_error(_tuned([one], lambda_s)[0], order)
    left, right = _tuned([one, as_scheme(minus, model or one.model_name, dynamics)], lambda_s)
    return weak.error_difference(left, right, order)


def strong_error(
    scheme: str | Word | Scheme,
    *,
    model: str | None = None,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
) -> LocalError:
    """The mean-square local error of an SDE's scheme on a shared Brownian path, at its leading
    power of h.

    With a free lambda_s that is the power which vanishes only at lambda_s = 1; `lambda_s=1` goes on
    from there. Raises ValueError for a scheme of an ODE.
    """
    from splitting_analysis import strong

    return strong.strong_error(_tuned([as_scheme(scheme, model, dynamics)], lambda_s)[0])


def order(
    scheme: str | Word | Scheme, *, model: str | None = None, dynamics: str | None = None
) -> int:
    """The derived order of the global error (weak, for an SDE), at lambda_s = 1 unless the scheme
    fixes it.

    Raises ValueError where the error vanishes through all powers of h that are looked at.
    """
    from splitting_analysis import weak

    return weak.order_of(as_scheme(scheme, model, dynamics))


def gaussian(
    *schemes: str | Word | Scheme,
    nfe: int | Iterable[int] | None = None,
    steps: int | Iterable[int] | None = None,
    model: str | None = None,
    dynamics: str | None = None,
    spectrum: str | float | ArrayLike | None = None,
    start: str = "prior",
    grid: str | Sequence[float] = "uniform",
    eps: float | None = None,
    denoise: Denoise | None = None,
    lambda_s: Scale | Iterable[Scale] | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
    **parameters: Any,
) -> Table:
    """Exact errors on a Gaussian target, a row per scheme, budget `nfe` (or number of `steps`) and
    lambda_s.

        table = sa.gaussian("ROBA", "SSCS", nfe=[50, 100])
        table.plot(); table.rows[0]["w2_x"]; table.to_pandas()

    `spectrum` are the variances of the target, an array, a text as the command takes it or one
    number (default: digits; 1 for langevin). `parameters` are those of the process: Gamma=0.02,
    beta_max=20. `lambda_`, `factor` and `skip` are those of conjugate steps (as the command's
    --param has them), `eta` (and `factor`) those of data held, `denoise` is True, False or "data".
    Rows have the keys of the command's --json. Raises ValueError for what there is
    not.
    """
    from analytic_models import gaussian as exact
    from analytic_models.problem import problem_for

    if not schemes:
        raise ValueError('no scheme: give names or words, sa.gaussian("ROBA", "O S B A", nfe=50)')
    if (nfe is None) == (steps is None):
        raise ValueError("give either nfe=[50, 100] (budgets of evaluations) or steps=[49, 99]")
    counts = _counts("steps", steps) if nfe is None else _counts("nfe", nfe)
    settings = _settings(parameters, lambda_, factor, eta, clock)
    found = told(exact.schemes_of(schemes, model, dynamics), *settings)
    chosen = grid if isinstance(grid, str) else tuple(float(t) for t in grid)
    how: dict[str, Any] = {"start": start, "grid": chosen, "eps": eps, "denoise": denoise}
    how = {key: value for key, value in how.items() if value is not None}
    problem = problem_for(found[0].model_name, spectrum, parameters, **how)
    scales = (
        [None] if lambda_s is None else [float(read_lambda_s(value)) for value in _many(lambda_s)]
    )
    cases = exact.cases(found, counts, scales)
    notes = exact.readings(schemes, found, dynamics)
    return exact.table(cases, problem, are_steps=nfe is None, notes=notes)


def stability(
    *schemes: str | Word | Scheme,
    tau: float | Iterable[float] = EPS,
    model: str | None = None,
    dynamics: str | None = None,
    spectrum: str | float | ArrayLike | None = None,
    lambda_: Scale | None = None,
    **parameters: Any,
) -> Table:
    """The largest stable step of each scheme on a Gaussian target, coefficients frozen at forward
    time tau.

    A row per scheme and tau: the shortest limit over the target's variances, in units of time, with
    the mode and the variance that set it; inf where every step is stable, nan where the exact flow
    grows in all modes, or stands still while the sampler grows. `spectrum` and `parameters` as in
    `gaussian`. Raises ValueError for what there is not.
    """
    from analytic_models import gaussian as exact
    from analytic_models.limits import limits
    from analytic_models.problem import problem_for

    if not schemes:
        raise ValueError('no scheme: give names or words, sa.stability("ROBA", "O S B A")')
    settings = _settings(parameters, lambda_, None, None, None)
    found = told(exact.schemes_of(schemes, model, dynamics), *settings)
    problem = problem_for(found[0].model_name, spectrum, parameters)
    return limits(found, problem.process, problem.target.variances, [float(t) for t in _many(tau)])


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
    eps: float = EPS,
    denoise: Denoise = True,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
    batch: int | None = None,
    device: str = "cpu",
    tol: float | None = None,
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
    those of the command `sample`. Raises ImportError where torch is not installed, ValueError for
    what cannot be run.
    """
    try:
        from gpu_samplers import drawing
    except ModuleNotFoundError as error:
        raise ImportError(
            f"sa.sample needs {error.name}, which is not installed: pip install "
            "'splitting-analysis[torch]'"
        ) from None

    settings = _settings(parameters, lambda_, factor, eta, clock)
    found = drawing.sampler_of(scheme, model, dynamics, *settings)
    if lambda_s is not None and found is not None:
        check_lambda_s("lambda_s", found)
    from analytic_models.grids import read_grid

    times = read_grid(grid) if isinstance(grid, str) else tuple(float(t) for t in grid)
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s))
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
            eps=eps,
            denoise=denoise,
            lambda_s=scale,
            tol=tol,
        )
    if shape is None or checkpoint is not None or config is not None:
        raise ValueError(
            "a score of your own needs the shape of one sample, shape=(5,), and no checkpoint"
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
        eps,
        denoise,
        scale,
        batch or 64,
        device,
    )


def validate(
    sampler: Any,
    claims: str | Scheme | None = None,
    model: str | None = None,
    *,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
) -> Validation:
    """Whether a sampler is what it is claimed to be; `print(...)` shows every check.

        def my_step(z, t, h, score, noise, model): ...      # NumPy or torch, one step
        found = sa.validate(my_step, claims="ROBAB", model="psld")
        found.holds, found.checks

    `sampler` is such a step, a whole run sample(score, z, grid, noise, model), the text
    "my_sampler.py:step" or "diffusers:DDIMScheduler", or a name, word or Scheme (then `claims` may
    be left out); `claims` are a name, a word, "order=2", "evaluations=1",
    or several with commas. Shapes and units: analytic_models.probing.subject. Raises ValueError for
    claims that cannot be read; whatever the code itself does wrong is a verdict.
    """
    from analytic_models.probing.validate import validate as judge
    from gpu_samplers.adapters import named

    subject = (named(sampler) or sampler) if isinstance(sampler, str) else sampler
    if isinstance(subject, str | Word):
        subject = as_scheme(subject, model, dynamics)
    if claims is None:
        if not isinstance(subject, Scheme):
            raise ValueError("say what it is said to be: claims='ROBAB' or claims='order=2'")
        claims = subject
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s))
    return judge(subject, claims, model, dynamics=dynamics, lambda_s=scale)


def _tuned(schemes: list[Scheme], lambda_s: LambdaS | Scale | None) -> list[Scheme]:
    """The schemes with lambda_s fixed, if it is given. Raises ValueError where it acts in none of
    them.
    """
    if lambda_s is None:
        return schemes
    if isinstance(lambda_s, LambdaS):
        return [replace(each, lambda_s=lambda_s) for each in schemes]
    check_lambda_s("lambda_s", *schemes)
    value = read_lambda_s(lambda_s)
    return [replace(each, lambda_s=replace(each.lambda_s, value=value)) for each in schemes]


def _settings(
    parameters: dict[str, Any], lambda_: Any, factor: Any, eta: Any, clock: Any
) -> tuple[Any, ...]:
    """As `told` takes them; lambda is a word of Python's, and `**{"lambda": 0.5}` says it, too.

    Takes it and skip out of `parameters`. Raises ValueError where both spellings are given.
    """
    other = parameters.pop("lambda", None)
    if other is not None and lambda_ is not None:
        raise ValueError("lambda is given twice: lambda_=0.5 and **{'lambda': 0.5} are the same")
    skip = parameters.pop("skip", None)
    return other if lambda_ is None else lambda_, factor, eta, clock, skip


def _many(given: Any) -> list[Any]:
    """What may be one or several, as a list."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _counts(what: str, given: int | Iterable[int] | None) -> list[int]:
    """Budgets or numbers of steps, each a whole number of at least 1."""
    found = _many(given)
    for count in found or [None]:
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
            raise ValueError(f"{what} = {count!r}: whole numbers from 1 on, e.g. {what}=[50, 100]")
    return [int(count) for count in found]
