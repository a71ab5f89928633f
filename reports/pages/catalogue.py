"""Page: every scheme of the catalogue with its local error in closed form."""

from __future__ import annotations

from reports.pages.settings import Settings
from reports.render.document import Block, Cell, Column, Heading, Page, Table, text
from reports.render.spelling import anchor, blocks, count, link, listed, power, share
from splitting_analysis.catalogue import CATALOGUE, FURTHER, entries
from splitting_analysis.families import FAMILIES
from splitting_analysis.kinetic_catalogue import KINETIC_CATALOGUE
from splitting_analysis.models import MODELS, Dynamics, Model
from splitting_analysis.schemes import Scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.weak import at_lambda_one, local_error, order_of

TITLES: dict[tuple[str, Dynamics], str] = {
    (name, dynamics): FAMILIES[name].title(dynamics)
    for name, dynamics in MODELS
    if any((s.model_name, s.dynamics) == (name, dynamics) for s in CATALOGUE)
}
"""The chapters: models and dynamics that the catalogue has samplers of."""
WHAT = "splittings, Runge–Kutta words and steps in one piece"
"""What the samplers of this page are."""
TITLE = "Splittings and Runge–Kutta words, their errors in closed form"
ELSEWHERE = (
    "[position-only samplers](position-only.html), [Splitting VP](vp-splitting.html), "
    "[data held on PSLD](data-held.html), [conjugate integrators](conjugate.html) and "
    "[PSLD at one budget](family.html)"
)
"""Pages of the others."""
LONG = 40
FOLDED_FROM = 3
"""Coefficients of a diffusion model from this power of h on are long: they open on a click."""


def build(_: Settings) -> Page:
    body: list[Block] = [
        text(
            "Read a word from left to right: `S` evaluates the score, the other letters advance "
            "the state with the score last evaluated, `S@1` conditions it on the step’s end. The "
            "error is exact minus scheme after one step h from the same state; β, its derivatives "
            "β′, β″ and the score are taken at forward time τ = T − t. ∂_{x} s[v] is the Jacobian "
            "of s in x applied to the direction v, Δ_{x} s the sum of its second derivatives over "
            "all coordinates, and every formula holds in any dimension. Rows such as “x mᵀ” are "
            "second moments of the increment, as matrices: I is the identity, ⊗ the outer "
            "product, and on the diagonal blocks “x xᵀ”, “m mᵀ” the symmetric part of a product "
            "is meant."
        ),
        text(
            f"These are the {WHAT}. The other {len(FURTHER) - len(KINETIC_CATALOGUE)} samplers "
            "with a name hold a prediction, are conjugate, or split VE or flow matching; pages of "
            f"such samplers are {ELSEWHERE}. A name counts once for every model that has it; "
            "`splitting-analysis list` names all."
        ),
    ]
    for key, title in TITLES.items():
        model = MODELS[key]
        further = (s for s in KINETIC_CATALOGUE if (s.model_name, s.dynamics) == key)
        schemes = (*entries(*key), *further)
        body += [Heading(title, "-".join(key)), _overview(model, schemes, title)]
        for scheme in schemes:
            body += _scheme(scheme)
    return Page("catalogue", TITLE, _lead(), tuple(body))


def named() -> int:
    """How many samplers have a name, one name once for every model that has it."""
    return len(CATALOGUE) + len(FURTHER)


def _lead() -> str:
    right = [s for s in CATALOGUE if s.order == order_of(s)]
    two_on_one = [
        s for s in CATALOGUE if not s.model.time_dependent and s.word.nfe == 1 and order_of(s) == 2
    ]
    best = max(CATALOGUE, key=order_of)
    splittings = [s for s in CATALOGUE if s.model.time_dependent and not s.word.is_runge_kutta]
    return (
        f"{len(CATALOGUE)} of the {named()} named samplers ({WHAT}, of "
        f"{count(len({s.model_name for s in CATALOGUE}))} models): the order derived from the word "
        "equals the order claimed for "
        f"{share(len(right), len(CATALOGUE))}. No splitting here of a diffusion model exceeds "
        f"order {max(map(order_of, splittings))}, however often it evaluates the "
        f"score; {listed([s.name for s in two_on_one])} of "
        f"molecular dynamics reach order {order_of(two_on_one[0])} on one evaluation per step, "
        f"and {best.name} reaches {order_of(best)} on {best.word.nfe}."
    )


def _overview(model: Model, schemes: tuple[Scheme, ...], title: str) -> Table:
    columns = [
        Column("scheme", "scheme"),
        Column("word", "word"),
        Column("nfe", "score evaluations", "per step", "d"),
        Column("claimed", "order", "claimed", "d"),
        Column("derived", "order", "derived", "d"),
    ]
    if model.dynamics == "sde":
        columns.append(Column("strong", "mean-square error", "of one step", "d"))
    columns.append(Column("source", "source"))
    rows: list[tuple[Cell, ...]] = []
    for s in schemes:
        row: list[Cell] = [link(s), _short(s), s.word.nfe, s.order, order_of(s)]
        if model.dynamics == "sde":
            row.append(power(strong_error(at_lambda_one(s)).leading or 0))
        rows.append((*row, f"{s.source.citation}, {s.source.place}".rstrip(", ")))
    kind = "weak order at λ_{s} = 1" if model.has_tunable_noise else "weak order"
    what = kind if model.dynamics == "sde" else "order"
    return Table(
        f"overview-{model.name}-{model.dynamics}",
        f"**{title}.** Global {what} and cost. The derived order is read off the local error "
        "below, term by term.",
        tuple(columns),
        tuple(rows),
    )


def _short(scheme: Scheme) -> str:
    """The word, or its first tokens where it is a long Runge-Kutta one."""
    tokens = str(scheme.word).split()
    return (
        f"`{scheme.word}`"
        if len(str(scheme.word)) < LONG
        else f"`{' '.join(tokens[:3])}` … ({scheme.word.nfe} stages)"
    )


def _scheme(scheme: Scheme) -> list[Block]:
    name = anchor(scheme)
    what = (
        f"`{scheme.word}`, {count(scheme.word.nfe)} score evaluation{'s' * (scheme.word.nfe > 1)} "
        "per step"
    )
    if scheme.carries_score:
        what += ", the first score carried over from the step before"
    source = f"{scheme.source.citation}, {scheme.source.place}".rstrip(", ")
    body: list[Block] = [Heading(scheme.name, name, 3), text(f"{what}. Source: {source}.")]
    if scheme.source.erratum:
        body.append(text(f"**Note.** {scheme.source.erratum}"))
    highest = order_of(scheme) + 1
    if scheme.dynamics == "ode" and not scheme.word.is_runge_kutta:
        highest = max(highest, 3)
    long = FOLDED_FROM if scheme.model.time_dependent and not scheme.word.is_runge_kutta else 99
    body += blocks(local_error(scheme, highest), name, folded_from=long)
    if scheme.word.is_runge_kutta:
        body.append(
            text(
                "Here f is the whole drift, time included as one more component of the state z, "
                "and f′[v], f″[u, v], … are its derivatives along directions."
            )
        )
    if scheme.dynamics == "sde":
        exact_noise = at_lambda_one(scheme)
        note = " at λ_{s} = 1" if scheme.has_tunable_noise else ""
        body += blocks(strong_error(exact_noise), name, note)
    return body
