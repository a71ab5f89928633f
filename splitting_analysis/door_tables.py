"""The functions of `import splitting_analysis as sa` that give tables of exact numbers.

Like door.py, for names, words and schemes; the packages above are loaded when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from splitting_analysis.door_arguments import Scale, counts, many, number, settings
from splitting_analysis.grids import EPS
from splitting_analysis.lookup import read_lambda_s
from splitting_analysis.notation import Word
from splitting_analysis.schemes import Denoise, Scheme

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analytic_models.table import Table


def gaussian(
    *schemes: str | Word | Scheme,
    nfe: int | Iterable[int] | None = None,
    steps: int | Iterable[int] | None = None,
    model: str | None = None,
    dynamics: str | None = None,
    spectrum: str | float | ArrayLike | None = None,
    start: str = "prior",
    grid: str | Sequence[float] = "uniform",
    eps: Scale | None = None,
    denoise: Denoise | None = None,
    lambda_s: Scale | Iterable[Scale] | None = None,
    lambda_: Scale | Iterable[Scale] | None = None,
    factor: str | Iterable[str] | None = None,
    skip: Scale | Iterable[Scale] | None = None,
    schedule: str | None = None,
    clock: str | Iterable[str] | None = None,
    eta: Scale | Iterable[Scale] | None = None,
    lower_order_final: bool = False,
    **parameters: Any,
) -> Table:
    """Exact errors on a Gaussian target, a row per scheme, budget `nfe` (or number of `steps`; none
    for a `grid` of times) and lambda_s.

        table = sa.gaussian("ROBA", "SSCS", nfe=[50, 100])
        table.plot(); table.rows[0]["w2_x"]; table.to_pandas()

    `spectrum` are the variances of the target, an array, a text as the command takes it or one
    number (default: digits; 1 for langevin), `schedule` is vp's. `parameters` are those of the
    process, Gamma=0.02, beta_max=20, and of noise before a step, S_churn=40. `lambda_`, `factor`
    and `skip` are those of conjugate steps (as the command's --param has them), `eta` (and
    `factor`) those of data held; each may be several, lambda_=[0, 0.5], for a row each. `denoise`
    is True, False or "data". Rows have the keys of the command's --json. Raises ValueError for
    what there is not.
    """
    from analytic_models import gaussian as exact
    from analytic_models.grids import read_grid
    from analytic_models.problem import problem_for

    if not schemes:
        raise ValueError('no scheme: give names or words, sa.gaussian("ROBA", "O S B A", nfe=50)')
    budgets = None if nfe is None else counts("nfe", nfe)
    numbers = None if steps is None else counts("steps", steps)
    own = {"factor": factor, "eta": eta, "clock": clock, "skip": skip, "dynamics": dynamics}
    more = settings(parameters, lambda_, lower_final=lower_order_final, **own)
    named = exact.schemes_of(schemes, model, dynamics)
    found = more.all_of(named)
    end = None if eps is None else number("eps", eps)
    how: dict[str, Any] = {"start": start, "grid": read_grid(grid), "eps": end, "denoise": denoise}
    how = {key: value for key, value in how.items() if value is not None}
    problem = problem_for(found[0].model_name, spectrum, parameters, schedule, **how)
    scales = (
        [None] if lambda_s is None else [float(read_lambda_s(value)) for value in many(lambda_s)]
    )
    ask = "nfe=[50, 100] (budgets of evaluations) or steps=[49, 99]"
    chosen_counts, are_steps = exact.counted(found, problem, budgets, numbers, ask)
    cases = exact.cases(found, chosen_counts, scales)
    notes = exact.readings(schemes, named, dynamics if eta is None else str(eta))
    return exact.table(cases, problem, are_steps=are_steps, notes=notes)


def stability(
    *schemes: str | Word | Scheme,
    tau: Scale | Iterable[Scale] = EPS,
    model: str | None = None,
    dynamics: str | None = None,
    spectrum: str | float | ArrayLike | None = None,
    lambda_: Scale | Iterable[Scale] | None = None,
    factor: str | Iterable[str] | None = None,
    skip: Scale | Iterable[Scale] | None = None,
    eta: Scale | Iterable[Scale] | None = None,
    clock: str | Iterable[str] | None = None,
    **parameters: Any,
) -> Table:
    """The largest stable step of each scheme on a Gaussian target, coefficients frozen at forward
    time tau.

    A row per scheme and tau: the shortest limit over the target's variances, in units of time, with
    the mode and the variance that set it; inf where every step is stable, nan where the exact flow
    grows in all modes, or stands still while the sampler grows. `spectrum`, `parameters` and the
    settings as in `gaussian`. Raises ValueError for what there is not.
    """
    from analytic_models import gaussian as exact
    from analytic_models.limits import limits
    from analytic_models.problem import problem_for

    if not schemes:
        raise ValueError('no scheme: give names or words, sa.stability("ROBA", "O S B A")')
    own = {"factor": factor, "eta": eta, "clock": clock, "skip": skip, "dynamics": dynamics}
    found = settings(parameters, lambda_, **own).all_of(exact.schemes_of(schemes, model, dynamics))
    problem = problem_for(found[0].model_name, spectrum, parameters)
    taus = [number("tau", time) for time in many(tau)]
    if not taus:
        raise ValueError("tau = []: at least one forward time, e.g. tau=[0.5, 0.1]")
    return limits(found, problem.process, problem.target.variances, taus)


def harmonic(
    *schemes: str | Word | Scheme,
    h: Scale | Iterable[Scale] | None = None,
    omega: Scale = 1.0,
    gamma: Scale = 1.0,
    fast: Scale | None = None,
) -> Table:
    """The law that kinetic Langevin samplers keep on a harmonic well, their limit and transport.

        sa.harmonic("BAOAB", "UBU")                       formulas in x = gamma h, y = (omega h)^2
        sa.harmonic("BAOAB", h=[0.5, 1], omega=2)         numbers, a row per scheme and step

    Unit mass and temperature; position is <q^2> omega^2, momentum <p^2>, correlation <q p> omega
    (<q p>/h in formulas), limit omega h up to which all steps are stable, diffusion that of a free
    particle and drift the velocity under a unit force, both times gamma. `fast` is the fast
    force's part of the whole for words of two. Without schemes: all that there are. Rows are those
    of the command's --json. Raises ValueError for what there is not.
    """
    from analytic_models.harmonic_table import table

    sizes = None if h is None else [number("h", value) for value in many(h)]
    part = None if fast is None else number("fast", fast)
    return table(schemes, sizes, number("omega", omega), number("gamma", gamma), part)
