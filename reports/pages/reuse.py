"""Page: what reusing a score changes in the local error, pair by pair, read off the closed
forms.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.pages.exact_runs import SPECTRUM, at_budget, card
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Formula,
    Formulas,
    Heading,
    Page,
    Table,
    printed,
    text,
)
from reports.render.spelling import blocks, count, formula, label, listed, power
from splitting_analysis.algebra import algebra
from splitting_analysis.differences import (
    Change,
    Pair,
    changes,
    pairs,
    unconditioned,
    without_gamma,
)
from splitting_analysis.errors import LocalError, keys_of
from splitting_analysis.schemes import Scheme
from splitting_analysis.trees import PHI
from splitting_analysis.weak import at_lambda_one, local_error, order_of

STEPS = 100
BUDGETS = (50, 100)


def build(_: Settings) -> Page:
    body: list[Block] = [
        text(
            "A *naive* word evaluates the score afresh before every piece that uses one; the "
            "*reduced* word evaluates it once and carries it through, with a second evaluation, "
            "conditioned on the step’s end, only for a closing half step. The differences below "
            "are naive minus reduced, of the local errors (exact minus scheme) as derived on [the "
            "catalogue page](catalogue.html), for any smooth score and any β(t)."
        ),
        _changes_table(),
    ]
    for pair in pairs():
        body += _pair(pair)
    body += _conditioning()
    body += _worth()
    return Page("reuse", "Naive against reduced: what score reuse does", _lead(), tuple(body))


def _errors(pair: Pair) -> tuple[LocalError, LocalError]:
    return local_error(pair.naive), local_error(pair.reduced)


def _head(change: Change) -> str:
    """The differential that changes, without its direction."""
    name, j, children = next(iter(change.before or change.after))
    shown = {"sx": "s^{x}", "sm": "s^{m}"}.get(name, name)
    operators = ["∂_{τ}"] * j + [f"∂_{{{c}}}" for c, _ in children]
    return " ".join([*operators, shown]) + ("[·]" if children else "")


def _leading_changes(pair: Pair) -> list[Change]:
    return list(changes(*_errors(pair), powers=range(1, 3)))


def _lead() -> str:
    found = {pair: _leading_changes(pair) for pair in pairs()}
    everything = [change for some in found.values() for change in some]
    positions = [c for c in everything if c.key == "x"]
    heads = sorted({_head(c) for c in positions})
    cancelled = sorted({_head(c) for c in everything if c.verdict == "cancelled"})
    gone = not any(without_gamma(c.before) or without_gamma(c.after) for c in positions)
    parts = [
        f"In all {count(len(found))} pairs reuse changes the position’s error at h² in "
        f"{count(len(heads))} differential{'s' * (len(heads) > 1)} only, {listed(heads)}"
        + (", always with a factor Γ: for CLD (Γ = 0) it changes nothing there." if gone else ".")
    ]
    if cancelled:
        where = [p.name for p, some in found.items() if any(c.verdict == "cancelled" for c in some)]
        parts.append(
            f" Conditioning the closing score on the step’s end cancels {listed(cancelled)} in "
            f"the momentum ({listed(where)})."
        )
    saved = sorted({p.naive.word.nfe - p.reduced.word.nfe for p in found})
    if all(order_of(p.naive) == order_of(p.reduced) for p in found):
        cost = " or ".join(map(count, saved))
        parts.append(f" The order stays, at {cost} evaluation{'s' * (saved != [1])} less per step.")
    return "".join(parts)


def _changes_table() -> Table:
    rows = []
    everything = [change for pair in pairs() for change in _leading_changes(pair)]
    moments = (
        ""
        if any(len(c.key) == 2 for c in everything)
        else ", second moments of the increments included"
    )
    for pair in pairs():
        rows += [
            (
                pair.name,
                f"{label(c.key)}, {power(c.power)}",
                formula(c.before),
                formula(c.after),
                c.verdict,
            )
            for c in _leading_changes(pair)
        ]
    return Table(
        "reuse-changes",
        "**What reuse changes.** Every differential whose coefficient differs between the naive "
        f"and the reduced error up to h²; all others agree exactly{moments}.",
        (
            Column("pair", "pair"),
            Column("entry", "error of"),
            Column("naive", "in the naive error"),
            Column("reduced", "in the reduced error"),
            Column("verdict", "by reuse"),
        ),
        tuple(rows),
        "difference of the closed forms, term by term",
    )


def _pair(pair: Pair) -> list[Block]:
    before, after = _errors(pair)
    difference = before - after
    anchor = f"{pair.naive.name}-{pair.reduced.name}".lower()
    body: list[Block] = [
        Heading(pair.name, anchor, 3),
        text(
            f"`{pair.naive.word}` ({pair.naive.word.nfe} evaluations) against "
            f"`{pair.reduced.word}` ({pair.reduced.word.nfe}). {_verdicts(pair)}"
        ),
    ]
    shown = blocks(
        difference, anchor, f", {pair.naive.name} minus {pair.reduced.name}", folded_from=3
    )
    return [*body, *shown, text(_cld(pair, difference))]


def _verdicts(pair: Pair) -> str:
    by_verdict: dict[str, list[str]] = {}
    for change in _leading_changes(pair):
        what = f"{_head(change)} in the error of {label(change.key)}"
        by_verdict.setdefault(change.verdict, []).append(what)
    phrases = {
        "cancelled": "Gone from the reduced error: {}.",
        "added": "Only in the reduced error: {}.",
        "sign flipped": "Same size, opposite sign: {}.",
        "changed": "Changed in size: {}.",
    }
    return " ".join(phrases[v].format(listed(what)) for v, what in by_verdict.items())


def _cld(pair: Pair, difference: LocalError) -> str:
    left = {
        (k, key): rest
        for k, by_key in difference.terms.items()
        for key in keys_of(difference, k)
        if (rest := without_gamma(by_key[key]))
    }
    derived = listed([power(k) for k in difference.terms])
    if not left:
        silent = all(
            without_gamma({(PHI, 0, ()): c}) == {}
            for c in pair.naive.model.pieces["A"].score(algebra().p)[:1]
        )
        why = ": A then uses no score, and the two words are the same map" if silent else ""
        return f"For CLD, Γ = 0, the difference vanishes at all powers derived ({derived}){why}."
    where = listed([f"{label(key)} at {power(k)}" for k, key in left])
    return f"For CLD, Γ = 0, what remains is the error of {where}."


def _conditioning() -> list[Block]:
    body: list[Block] = [
        Heading("Conditioning on the step’s end", "conditioning"),
        text(
            "The reduced words with a closing half step differ from the naive ones in two ways at "
            "once: a reused score for A, and a last score conditioned on T − (t+h) instead of T − "
            "t. The word with `S` in place of `S@1` stands between the two and separates them."
        ),
    ]
    for pair in pairs():
        middle = unconditioned(pair.reduced)
        if middle.word == pair.reduced.word:
            continue
        start, end = _errors(pair)
        between = local_error(middle)
        anchor = f"conditioning-{pair.reduced.name}".lower()
        body.append(Heading(f"{pair.reduced.name} and `{middle.word}`", anchor, 3))
        steps = [
            ("reuse alone", pair.naive.name, start, between),
            ("conditioning alone", middle.name, between, end),
        ]
        for what, name, one, two in steps:
            items = tuple(
                Formula(f.latex, f.mathml, f.text, f"{label(key)}, {power(k)}")
                for k in (1, 2)
                for key in keys_of(one, k)
                for difference in [(one - two).terms[k][key]]
                if difference
                for f in [formula(difference)]
            )
            other = middle.name if two is between else pair.reduced.name
            body.append(
                Formulas(f"{anchor}-{what.split()[0]}", f"By {what}: {name} minus {other}", items)
            )
        body.append(text(_conditioning_verdict(pair, middle, between, end)))
    return body


def _conditioning_verdict(pair: Pair, middle: Scheme, between: LocalError, end: LocalError) -> str:
    found = list(changes(between, end, range(1, 3)))
    what = listed([f"{_head(c)} in the error of {label(c.key)} is {c.verdict}" for c in found])
    same = "the same" if order_of(middle) == order_of(pair.reduced) else "a different"
    return (
        f"So {what} by conditioning on the end; without it the word has {same} order, "
        f"{order_of(middle)}."
    )


def _worth() -> list[Block]:
    steps_rows: list[tuple[Cell, ...]] = []
    budget_rows: list[tuple[Cell, ...]] = []
    for pair in pairs():
        schemes = [pair.naive, *_middle(pair), pair.reduced]
        for s in map(at_lambda_one, schemes):
            cost = s.word.nfe
            steps_rows.append(
                (
                    pair.name,
                    f"`{s.word}`",
                    cost * STEPS + 1,
                    card(s, STEPS)["w2_x"],
                    card(s, STEPS)["w2"],
                )
            )
        row: list[str | float | None] = [pair.name]
        for budget in BUDGETS:
            found = [at_budget(at_lambda_one(s), budget) for s in (pair.naive, pair.reduced)]
            values = [c["w2_x"] if c else None for c in found]
            row += values
            row.append(values[0] / values[1] if values[0] and values[1] else None)
        budget_rows.append(tuple(row))
    ratios = [row[-1] for row in budget_rows if isinstance(row[-1], float)]
    finding = (
        f"At {BUDGETS[-1]} evaluations the reduced word is ahead in "
        f"{count(sum(r > 1 for r in ratios))} of {count(len(ratios))} pairs, by factors from "
        f"{min(ratios):.2g} to {max(ratios):.2g}."
    )
    columns = [Column("pair", "pair")]
    for budget in BUDGETS:
        columns += [
            Column(f"naive{budget}", "naive", f"{budget} evaluations"),
            Column(f"reduced{budget}", "reduced", f"{budget} evaluations"),
            Column(f"ratio{budget}", "ratio", "naive / reduced", "2g"),
        ]
    return [
        Heading("What it is worth", "worth"),
        text(
            "The formulas say which terms change, exact errors on a Gaussian target what that "
            "amounts to. ",
            finding,
        ),
        Table(
            "reuse-budget",
            "**At an equal budget.** Position 2-Wasserstein distance to the data, in units of the "
            "data; PSLD at its default parameters, λ_{s} = 1, uniform grid, started from the "
            "prior, denoising step included.",
            tuple(columns),
            tuple(budget_rows),
            SPECTRUM,
        ),
        Table(
            "reuse-steps",
            f"**At an equal number of steps, {STEPS}.** Reuse alone, without its saving: what "
            "changes in the error is the differentials named above. Between the two, the word "
            "that reuses but does not condition on the end.",
            (
                Column("pair", "pair"),
                Column("word", "word"),
                Column("nfe", "evaluations", "", "d"),
                Column("w2_x", "position W_{2}", "data units"),
                Column("w2", "joint W_{2}", "data units"),
            ),
            tuple(steps_rows),
            SPECTRUM,
        ),
        text(_conditioning_worth(steps_rows)),
    ]


def _conditioning_worth(rows: Sequence[tuple[Cell, ...]]) -> str:
    """What conditioning on the end does to the exact errors at an equal number of steps."""
    shown = {(row[0], row[1]): row[3:] for row in rows}
    parts = []
    for pair in pairs():
        for middle in _middle(pair):
            (x0, j0), (x1, j1) = (shown[pair.name, f"`{s.word}`"] for s in (middle, pair.reduced))
            parts.append(
                f"for {pair.reduced.name} conditioning on the end moves the position’s error from "
                f"{printed(x0)} to {printed(x1)} and the joint one from {printed(j0)} to "
                f"{printed(j1)}"
            )
    return f"At {STEPS} steps, {listed(parts)}."


def _middle(pair: Pair) -> list[Scheme]:
    middle = unconditioned(pair.reduced)
    return [] if middle.word == pair.reduced.word else [middle]
