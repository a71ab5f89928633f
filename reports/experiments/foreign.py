"""Samplers of diffusers, k-diffusion and OpenMM, each against what it is said to be.

    python -m reports.experiments.foreign [diffusers | k_diffusion | openmm | causes]

needs the extra `adapters`, and writes `reports/data/foreign.json` after every case: a run that was
stopped goes on where it was. A case is computed anew where the library is of another version, or
the validation has changed since.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any

from analytic_models.probing.validate import validate
from gpu_samplers.adapters import subject
from reports.experiments import store
from reports.experiments.foreign_cases import CASES, Case
from reports.experiments.foreign_causes import causes
from reports.experiments.runner import SILENT, Watch, main
from splitting_analysis.schemes import scheme

PACKAGES = {"diffusers": "diffusers", "k_diffusion": "k-diffusion", "openmm": "openmm"}
"""By library, whose version a case is about."""


def judged(case: Case) -> dict[str, Any]:
    """What a validation finds: the verdict, the checks that do not pass, the order where one is
    claimed."""
    sampler = subject(case.spec, dict(case.options))
    claims: Any = case.claims
    if case.clock and sampler.process is not None:  # no claim of a stochastic sampler names one
        claims = scheme(case.claims, sampler.process.model_name, "ode", clock=case.clock)
    found = validate(sampler, claims)
    return {
        "key": case.key,
        "version": version(PACKAGES[case.spec.partition(":")[0]]),
        "judge": store.judge(),
        "verdict": _verdict(found.holds, bool(found.failures)),
        "deduced": found.deduced,
        "passed": sum(check.verdict == "pass" for check in found.checks),
        "checks": [
            [check.name, check.verdict, check.expected, check.seen, check.where]
            for check in found.checks
            if check.verdict != "pass" or check.name.startswith("its order is")
        ],
    }


def _verdict(holds: bool, fails: bool) -> str:
    if holds:
        return "holds"
    return "fails" if fails else "not settled"


def rows_of(data: dict[str, Any] | None, library: str) -> dict[str, dict[str, Any]]:
    """The stored rows of a library, by their keys, that are about its version here, and of the
    validation as it is now.
    """
    now = version(PACKAGES[library]), store.judge()
    rows = (data or {}).get("libraries", {}).get(library, [])
    return {row["key"]: row for row in rows if (row["version"], row.get("judge")) == now}


def keep(library: str, watch: Watch = SILENT) -> None:
    """Judge the cases of a library that are not stored yet, each stored as soon as it is made."""
    known = rows_of(store.stored("foreign"), library)
    missing = [case for case in CASES[library] if case.key not in known]
    for case in watch(missing, "sampler"):
        known[case.key] = judged(case)
        rows = [known[c.key] for c in CASES[library] if c.key in known]
        _save(libraries={library: rows})


def keep_causes(watch: Watch = SILENT) -> None:
    """The numbers by which each failure is traced to a formula."""
    for rows in watch([None], "table"):
        rows = causes()
        _save(causes=store.rounded(rows))


def _save(**changed: Any) -> None:
    data = store.stored("foreign") or {}
    libraries = data.get("libraries", {}) | changed.get("libraries", {})
    store.save(
        "foreign",
        {"libraries": libraries, "causes": changed.get("causes", data.get("causes", []))},
    )


if __name__ == "__main__":
    main(
        store.KEPT["foreign"].command,
        __doc__,
        {**{name: partial(keep, name) for name in CASES}, "causes": keep_causes},
    )
