"""The functions of `import splitting_analysis as sa` that need no numbers: schemes, their errors as
formulas, their code.

Wherever a scheme is asked for, a name of the catalogue, a word (text or `Word`) or a `Scheme` will
do; without `model` a name belongs where it is found, PSLD first, and a word to PSLD; `dynamics` is
"ode", "sde" or what the name or the letters say. Each function loads what it needs when it is
called, so that the import itself costs nothing. Numbers: door_tables.py, door_runs.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from splitting_analysis.catalogue import named
from splitting_analysis.door_arguments import Scale, Settings, tuned
from splitting_analysis.lookup import as_scheme, check_family, spelled
from splitting_analysis.models import Model
from splitting_analysis.notation import Word
from splitting_analysis.schemes import LambdaS, Scheme, Source
from splitting_analysis.schemes import scheme as scheme_of

if TYPE_CHECKING:
    from splitting_analysis.errors import LocalError
    from splitting_analysis.held_results import HeldLocalError

_USER = Source("user")


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
    lower_order_final: bool = False,
) -> Scheme:
    """The scheme of a name ("ROBA") or of a word ("O S B A").

    `model` may be a model of your own, `lambda_s` a number that fixes the noise of the letter O;
    `lambda_`, `factor` and `skip` are those of conjugate steps, `eta`, `clock` and
    `lower_order_final` the commands'.
    `name`, `source` and the claims `order` (which `sa.order` finds out) and `nfe` are for a word.
    Raises WordError or ValueError where word, model and `nfe` disagree, and for unknown names.
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
    more = Settings(lambda_, factor, eta, clock, skip, lower_order_final, None, dynamics)
    return more.of(tuned([found], lambda_s))[0]


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
    eta: Scale | None = None,
    clock: str | None = None,
) -> LocalError | HeldLocalError:
    """The local truncation error of a scheme in closed form: weak for an SDE.

    Through h^order (default: 3, an SDE's 2), and on to its leading term. It prints as formulas,
    displays so in a notebook, and `.at(...)` gives its numbers at a point. `minus` subtracts the
    error of another scheme; `lambda_s` fixes the noise of the letter O, `lambda_` (with `factor`)
    the B of conjugate steps, both symbols by default; `eta` and `clock` are the command's. Where a
    prediction is held, S E:data[2], it is the leading error, in the prediction's derivatives: a
    `HeldLocalError`. Raises ValueError for a scheme or an order that there is not, and for what
    acts on nothing.
    """
    from splitting_analysis import weak

    more = Settings(lambda_, factor, eta, clock, skip, dynamics=dynamics)
    one = more.of([as_scheme(scheme, model, dynamics)])[0]
    others = [] if minus is None else [as_scheme(minus, model or one.model_name, dynamics)]
    if any(each.program.holds for each in (one, *others)):
        from splitting_analysis.held_results import held_local_error, refuse_more

        refuse_more(minus=minus, order=order, lambda_s=lambda_s)
        return held_local_error(one)
    found = tuned([one, *others], lambda_s)
    return (
        weak.error_difference(found[0], found[1], order)
        if others
        else weak.local_error(found[0], order)
    )


def strong_error(
    scheme: str | Word | Scheme,
    *,
    model: str | None = None,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
) -> LocalError:
    """The mean-square local error of an SDE's scheme on a shared Brownian path, at its leading
    power of h.

    With a free lambda_s that is the power which vanishes only at lambda_s = 1; `lambda_s=1` goes on
    from there. The other settings are those of `local_error`. Raises ValueError for a scheme of an
    ODE, and where a prediction is held.
    """
    from splitting_analysis import strong

    more = Settings(lambda_, factor, eta, clock, skip, dynamics=dynamics)
    return strong.strong_error(more.meant(scheme, model, lambda_s))


def order(
    scheme: str | Word | Scheme,
    *,
    model: str | None = None,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
) -> int:
    """The derived order of the global error (weak, for an SDE), at lambda_s = 1 unless it is fixed;
    settings as of `local_error`.

    Raises ValueError where the error vanishes through all powers of h that are looked at.
    """
    from splitting_analysis import weak

    more = Settings(lambda_, factor, eta, clock, skip, dynamics=dynamics)
    return weak.order_of(more.meant(scheme, model, lambda_s))


def code(
    scheme: str | Word | Scheme,
    language: str = "python",
    *,
    model: str | None = None,
    dynamics: str | None = None,
    lambda_s: Scale | None = None,
    lambda_: Scale | None = None,
    factor: str | None = None,
    skip: Scale | None = None,
    eta: Scale | None = None,
    clock: str | None = None,
    lower_order_final: bool = False,
) -> str:
    """The sampler as code that `validate` takes, in NumPy ("python") or torch ("torch"): one step,
    or a whole run where something is carried from step to step.

        print(sa.code("DPM++2M", model="vp"))

    It stands on its own, and is what `derive --format python` writes. Settings as of `local_error`.
    Raises ValueError for a language that there is not, and for words of which no code is written.
    """
    from splitting_analysis.step_code import FORMATS, step_code

    style = spelled(language, FORMATS)
    if style not in FORMATS:
        raise ValueError(f"no language {language!a}; there are: {', '.join(FORMATS)}")
    more = Settings(lambda_, factor, eta, clock, skip, lower_order_final, None, dynamics)
    return step_code(more.meant(scheme, model, lambda_s), style)
