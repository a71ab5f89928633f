"""What a validation says of samplers with a seeded bug, and of right ones that look wrong.

    python -m reports.experiments.defects [KIND ...]

judges the cases of reports/experiments/seeded/ by `validate`, as anyone's code, and keeps verdict
and message in `reports/data/defects.json`, kind by kind.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from analytic_models.probing.checks import Check, Validation
from analytic_models.probing.validate import validate
from reports.experiments import store
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.seeded import dynamics, grids, harmless, manners, noises, times, weights
from reports.experiments.seeded.case import CASES, Case

KINDS = (
    times.KIND,
    grids.KIND,
    weights.KIND,
    weights.HISTORY,
    noises.KIND,
    noises.LIMIT,
    dynamics.KIND,
    dynamics.ORDERS,
    manners.KIND,
    harmless.KIND,
)
ALL = {case.key: case for kind in KINDS for case in CASES.values() if case.kind == kind}
"""Every case by its key, kind by kind."""


def judged(case: Case) -> Validation:
    """The case validated like anyone's code, in memory that no case before it has left."""
    manners.KEPT.clear()
    return validate(case.subject, case.claims, case.model)


def failing(case: Case, found: Validation) -> Check | None:
    """The check that was to fail, if it does not pass."""
    return next(
        (
            check
            for check in found.checks
            if check.name.startswith(case.fails) and check.verdict != "pass"
        ),
        None,
    )


def message(check: Check, found: Validation) -> str:
    """What a user is told: expected, seen, where, and the word that it is."""
    parts = [f"expected {check.expected}", f"seen {check.seen}"]
    parts += [check.where] * bool(check.where)
    parts += [f"it is: {found.deduced}"] * bool(found.deduced)
    return "; ".join(parts)


def missed(case: Case, found: Validation) -> str:
    """What is wrong with the verdict; "" if it says what it must."""
    notes = " ".join(found.notes)
    absent = [text for text in case.notes if text not in notes]
    if not case.fails:
        if not found.holds:
            bad = next(check for check in found.checks if check.verdict != "pass")
            return f"a false alarm: {bad.name}: {bad.seen}"
        return f"no note says {absent[0]!r}: {notes}" if absent else ""
    check = failing(case, found)
    if check is None:
        return f"no check {case.fails!r} fails"
    text = message(check, found)
    absent += [phrase for phrase in case.says if phrase not in text]
    return f"not said: {absent[0]!r}, but: {text} {notes}" if absent else ""


def row(case: Case, found: Validation) -> dict[str, Any]:
    """What is kept of a case."""
    check = failing(case, found) if case.fails else None
    return {
        "key": case.key,
        "kind": case.kind,
        "what": case.what,
        "source": case.source,
        "model": case.model,
        "claims": case.claims,
        "judge": store.judge(),
        "holds": found.holds,
        "check": check.name if check else "",
        "message": message(check, found) if check else "",
        "notes": list(found.notes),
    }


def keep(kind: str, watch: Watch = SILENT) -> None:
    """Judge the cases of a kind and put them in the place of those that are stored.

    Raises ValueError where a verdict is not the right one; the right ones are stored.
    """
    chosen = [case for case in ALL.values() if case.kind == kind]
    rows = {r["key"]: r for r in (store.stored("defects") or {}).get("rows", [])}
    rows = {key: r for key, r in rows.items() if key in ALL}
    problems = []
    for case in watch(chosen, kind):
        found = judged(case)
        if problem := missed(case, found):
            rows.pop(case.key, None)
            problems.append(f"{case.key}: {problem}")
        else:
            rows[case.key] = row(case, found)
    store.save("defects", {"rows": [rows[key] for key in ALL if key in rows]})
    if problems:
        raise ValueError("; ".join(problems))


if __name__ == "__main__":
    main(store.KEPT["defects"].command, __doc__, {kind: partial(keep, kind) for kind in KINDS})
