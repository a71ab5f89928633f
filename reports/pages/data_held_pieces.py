"""The part of page "data held" on splittings whose pieces hold the data."""

from __future__ import annotations

from functools import cache

from reports.experiments.held_data import GRIDS, IN_PIECES, NFES, WHOLE, in_pieces
from reports.experiments.store import KEPT, stored
from reports.pages.exact_runs import SPECTRUM
from reports.render.document import Block, Cell, Column, Heading, Table, printed, text
from reports.render.spelling import listed
from splitting_analysis.catalogue import find

Errors = dict[tuple[str, str, int], float | None]
UNSTABLE = "unstable"
AHEAD = "P2M"
"""What such a splitting would have to beat."""


@cache
def digits() -> Errors:
    """Position W2 on the digits spectrum, by model, word and budget."""
    return in_pieces("digits")


def cifar10() -> Errors:
    """The same on the CIFAR-10 spectrum, stored; empty where that is not in this copy."""
    kept = (stored("cifar10") or {}).get("held_pieces_w2_x", {})
    return {
        (model, word, int(nfe)): error
        for model, rows in kept.items()
        for word, row in rows.items()
        for nfe, error in row.items()
    }


def blocks() -> list[Block]:
    """Heading, tables and what they say."""
    spectra = {"digits": (digits(), SPECTRUM)}
    if found := cifar10():
        spectra["cifar10"] = (found, f"CIFAR-10 spectrum, stored: {KEPT['cifar10'].command}")
    return [
        Heading("Data held in the pieces of a splitting", "pieces"),
        text(
            "A piece of a splitting that takes the score may hold the data instead: `B:data` is "
            "the exact flow of `B` while s = −Σ^{−1} (z − μ x_{0}), with x_{0} as predicted at the "
            "last evaluation; of positions alone `K:data` has s = (α x_{0} − x)/σ². (`K:eps`, "
            "`K:v`, `K:velocity` and `K:score` hold those.) What is held "
            "changes once a step, so that all of them have order 1, derived: their local error is "
            "one in derivatives of the prediction."
        ),
        *(_table(name, errors, source) for name, (errors, source) in spectra.items()),
        text(" ".join(_said(name, errors) for name, (errors, _) in spectra.items())),
    ]


def _table(name: str, errors: Errors, source: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for model, _, plain, held in IN_PIECES:
        both = (errors[model, word, nfe] for nfe in NFES for word in (plain, held))
        rows.append((model, held, *(UNSTABLE if e is None else e for e in both)))
    for model, word in WHOLE:
        own = (errors[model, word, nfe] for nfe in NFES)
        cells = (cell for e in own for cell in (None, UNSTABLE if e is None else e))
        rows.append((model, word, *cells))
    return Table(
        f"data-held-pieces-{name}",
        "**Position W_{2} (data units) of splittings with the score and with the data held in "
        f"their pieces, {GRIDS[1]} grid, by the number of evaluations.** The last rows hold the "
        "data over the whole drift. Smallest of each column in bold.",
        (
            Column("model", "model"),
            Column("word", "word, data held"),
            *(
                Column(f"{kind}{nfe}", kind, f"{nfe} evaluations", "3g", smallest=True)
                for nfe in NFES
                for kind in ("score", "data")
            ),
        ),
        tuple(rows),
        source,
    )


def closer(errors: Errors) -> int:
    """In how many cases the data held bring a splitting closer than the score."""
    pairs = [
        (errors[model, plain, nfe], errors[model, held, nfe])
        for model, _, plain, held in IN_PIECES
        for nfe in NFES
    ]
    return sum(b is not None and (a is None or b < a) for a, b in pairs)


def best(errors: Errors, nfe: int) -> tuple[str, float]:
    """The best splitting of PSLD with data held at a budget: its word and error."""
    own = {
        held: error
        for model, _, _, held in IN_PIECES
        if model == find(AHEAD).model_name and (error := errors[model, held, nfe]) is not None
    }
    word = min(own, key=own.__getitem__)
    return word, own[word]


def _said(name: str, errors: Errors) -> str:
    title = {"digits": "digits", "cifar10": "CIFAR-10"}[name]
    cases = len(IN_PIECES) * len(NFES)
    parts, beaten = [], []
    for nfe in NFES:
        word, error = best(errors, nfe)
        whole = errors["psld", AHEAD, nfe]
        parts.append(
            f"{printed(error)} (`{word}`) beside {UNSTABLE if whole is None else printed(whole)} "
            f"with {nfe}"
        )
        if whole is None or error < whole:
            beaten.append(str(nfe))
    verdict = f"is ahead of it with {listed(beaten)} evaluations" if beaten else "stays behind"
    return (
        f"On the {title} spectrum the data held bring a splitting closer than the score in "
        f"{closer(errors)} of {cases} cases. {AHEAD} holds them over the whole drift and through "
        f"two evaluations; of PSLD the best of these splittings {verdict}: {listed(parts)} "
        "evaluations."
    )
