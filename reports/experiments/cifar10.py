"""Our exact errors on the CIFAR-10 spectrum, computed once and stored: the spectrum is not ours to
ship.

    python -m reports.experiments.cifar10 cifar10_covariance_eigenvalues.npy

writes `data/cifar10_exact.json` again. The eigenvalues are those published with Pierret & Galerne
(arXiv 2405.14250), 3,072 numbers; the file's SHA-256 is kept beside the results.
"""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from analytic_models.diffusions import PSLD, VP
from analytic_models.distances import score_card
from analytic_models.problem import Problem
from analytic_models.targets import Gaussian, load_spectrum
from reports.experiments import conjugate, held_data, runner, store
from reports.experiments.runner import SILENT, Watch
from reports.experiments.store import published
from splitting_analysis.catalogue import entries, find
from splitting_analysis.weak import at_lambda_one

POINTS_PER_NFE = {"RK4": 4}
"""Grid points per budget as published: NFE / 4 for RK4, NFE for all others, Heun included."""
CORRECTED = "Heun, NFE/2 points"
PSLD_NFES = (50, 100)


def vp_w2(target: Gaussian, name: str, nfe: int, eps: float) -> float:
    """One cell of table 1 of arXiv 2405.14250 under its conventions: started from the exact law at
    T, uniform grid of so many points on [0, T - eps], no denoising step."""
    points = nfe // (2 if name == CORRECTED else POINTS_PER_NFE.get(name, 1))
    scheme, process = find(name.split(",", maxsplit=1)[0], "vp"), VP()
    law = Problem(process, target, "uniform", "pT", eps, denoise=False).law(scheme, points - 1)
    return score_card(law, process, target)["w2_x"]


def compute(target: Gaussian, watch: Watch = SILENT) -> dict[str, Any]:
    """Everything that is stored, at six significant digits."""
    table = published()["gaussian_w2_vp_cifar10"]
    vp: dict[str, dict[str, dict[str, float]]] = {}
    for eps in ("eps=0", "eps=1e-3"):
        rows = list(table[eps]) + ([CORRECTED] if "Heun" in table[eps] else [])
        budgets = [int(nfe) for nfe in next(iter(table[eps].values()))]
        vp[eps] = {
            name: {
                str(nfe): _six(vp_w2(target, name, nfe, float(eps.partition("=")[2])))
                for nfe in budgets
            }
            for name in watch(rows, f"VP, {eps}")
        }
    psld = {
        grid_name: {
            s.name: {str(nfe): _six(psld_w2(target, s.name, nfe, grid_name)) for nfe in PSLD_NFES}
            for s in watch(entries("psld"), f"PSLD, {grid_name} grid")
        }
        for grid_name in ("uniform", "quadratic")
    }
    return {
        "vp_w2": vp,
        "psld_w2_x": psld,
        "data_held_w2_x": data_held(target, watch),
        "data_held_grids": best_grids(target, watch),
        "held_pieces_w2_x": held_pieces(target),
        "conjugate_lambda": conjugate.compute(target.variances, watch),
    }


def data_held(target: Gaussian, watch: Watch = SILENT) -> dict[str, Any]:
    """Position errors of samplers that hold the data, and of those beside them, on small
    budgets; None where a run blew up.
    """
    found: dict[str, Any] = {}
    schemes = {**held_data.held(), **held_data.others()}
    for grid_name in held_data.GRIDS:
        ours = held_data.problem(target.variances, grid_name)
        found[grid_name] = {
            held_data.label(*key): {
                str(nfe): None if (error := held_data.w2(ours, own, nfe)) is None else _six(error)
                for nfe in held_data.NFES
            }
            for key, own in watch(list(schemes.items()), f"data held, {grid_name} grid")
        }
    return found


def held_pieces(target: Gaussian) -> dict[str, dict[str, dict[str, float | None]]]:
    """Position errors of splittings with the data held in their pieces, by model and word."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for (model, word, nfe), error in held_data.in_pieces(target.variances).items():
        row = found.setdefault(model, {}).setdefault(word, {})
        row[str(nfe)] = None if error is None else _six(error)
    return found


def best_grids(target: Gaussian, watch: Watch = SILENT) -> dict[str, Any]:
    """The best power of a grid for a budget, and the position error on it."""
    powers: dict[str, dict[str, float]] = {}
    errors: dict[str, dict[str, float | None]] = {}
    for key, own in watch(list(held_data.gridded().items()), "data held, best grids"):
        found = {
            str(nfe): held_data.on_best_grid(target.variances, own, nfe) for nfe in held_data.NFES
        }
        name = held_data.label(*key)
        powers[name] = {nfe: power for nfe, (power, _) in found.items()}
        errors[name] = {nfe: e if e is None else _six(e) for nfe, (_, e) in found.items()}
    return {"power": powers, "w2_x": errors}


def psld_w2(target: Gaussian, name: str, nfe: int, grid_name: str) -> float:
    """Position error of a PSLD scheme at its default parameters, started from the prior,
    denoised.
    """
    scheme, process = at_lambda_one(find(name)), PSLD()
    problem = Problem(process, target, grid_name)
    law = problem.law(scheme, problem.steps(scheme, nfe))
    return score_card(law, process, target)["w2_x"]


def _six(value: float) -> float:
    return float(f"{value:.6g}")


def keep(path: str, watch: Watch = SILENT) -> None:
    """Compute everything on the spectrum in a file and store it. Raises ValueError for a bad
    file.
    """
    target = Gaussian(load_spectrum(path))
    store.save("cifar10", {"_spectrum_sha256": store.digest(Path(path)), **compute(target, watch)})


def command() -> None:
    """The command line."""
    parser = ArgumentParser(prog="python -m reports.experiments.cifar10", description=__doc__)
    parser.add_argument("file", help="the eigenvalues, an .npy file")
    given = parser.parse_args()
    runner.run(store.KEPT["cifar10"].command, lambda: {"cifar10": partial(keep, given.file)})


if __name__ == "__main__":
    command()
