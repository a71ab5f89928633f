"""Rounding against truncation: on a small mixture, a tiny network, and in the stored results."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from gpu_samplers import Config, ncsnpp, processes
from reports.experiments import rounding, runs, store, targets
from reports.pages import crossval_rounding
from reports.pages.settings import QUICK
from splitting_analysis.catalogue import entries, find

MEANS = torch.tensor([[0.5, -0.8], [-0.4, 0.9], [0.1, 0.2]], dtype=torch.float64)
TARGET = targets.exact_target("tiny", processes.PSLD(), MEANS, 0.3)
DATA = store.stored("rounding")


def rms(values):
    return float(values.square().mean().sqrt())


@pytest.fixture(scope="module")
def network():
    config = Config(
        image_size=8,
        nf=16,
        ch_mult=(1,),
        num_res_blocks=1,
        attn_resolutions=(8,),
        dropout=0.0,
        in_ch=2,
        out_ch=2,
    )
    made = ncsnpp(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))

    def load(dtype):
        return copy.deepcopy(made).to(dtype), processes.PSLD()

    return targets.network_target("network", load, torch.zeros(1, 1, 8, 8))


def test_a_network_rounds_by_the_digits_of_its_precision(network):
    z = runs.starts(network, 2)
    for scheme in (find("RSE"), next(s for s in entries("psld", "sde") if s.name == "ROBA")):
        best, single, half = (
            rounding.ends(network, scheme, dtype, z, (8,))[0]
            for dtype in (torch.float64, torch.float32, torch.bfloat16)
        )
        size = rms(best)
        assert 1e-9 < rms(single - best) / size < 1e-4
        assert 1e-4 < rms(half - best) / size < 0.3


def test_runs_on_one_grid_see_the_same_noise():
    z, scheme = runs.starts(TARGET, 2), next(s for s in entries("psld", "sde") if s.name == "EM")
    first, second = (rounding.ends(TARGET, scheme, torch.float64, z, (8,))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_the_crossing_is_where_the_two_lines_meet():
    steps = (10, 100, 1000)
    truncation, level = [1 / n for n in steps], [1 / 300] * 3
    assert rounding.crossing(steps, truncation, level) == pytest.approx(300)
    assert rounding.crossing(steps, truncation, [1e-5] * 3) is None
    assert rounding.crossing(steps, truncation, [1.0] * 3) == 0


@pytest.mark.heavy
def test_truncation_is_the_distance_from_the_exact_flow(monkeypatch):
    monkeypatch.setattr(rounding, "STEPS", (8, 64, 512))
    found = rounding.compute_target(TARGET, [find("RSE")])["rows"][0]
    z = runs.starts(TARGET)
    score = TARGET.machine(torch.float64)
    near = runs.end_state(find("RK45"), TARGET.process, score, runs.times_of(TARGET.process, 64), z)
    coarse = runs.end_state(find("RSE"), TARGET.process, score, runs.times_of(TARGET.process, 8), z)
    assert found["truncation"][0] == pytest.approx(rms(coarse - near), rel=1e-6)
    # float32 never rounds as much as these runs err; bfloat16 does where the two lines meet
    assert found["float32_crossing"] is None and found["truncation"][-1] > 10 * found["float32"][-1]
    where = np.log(found["bfloat16_crossing"])
    lines = [
        np.interp(where, np.log(found["steps"]), np.log(found[k]))
        for k in ("truncation", "bfloat16")
    ]
    assert lines[0] == pytest.approx(lines[1], abs=1e-9)


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_truncation_is_that_of_now():
    assert DATA is not None
    target = runs.targets()["mixture"]
    z = runs.starts(target)
    kept = next(r for r in DATA["targets"]["mixture"]["rows"] if r["scheme"] == "RSE")
    score = target.machine(torch.float64)
    near = runs.end_state(find("RK45"), target.process, score, runs.times_of(target.process, 64), z)
    coarse = rounding.ends(target, find("RSE"), torch.float64, z, kept["steps"][:1])[0]
    assert kept["truncation"][0] == pytest.approx(rms(coarse - near), rel=1e-3)


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_page_gives_the_smallest_useful_step_or_says_that_it_is_smaller():
    assert DATA is not None
    found = DATA["targets"]["network"]
    for kind in ("ode", "sde"):
        table = crossval_rounding.build(QUICK).find(f"crossval-rounding-network-{kind}")
        keys = [column.key for column in table.columns]
        rows = [row for row in found["rows"] if row["dynamics"] == kind]
        for row, cells in zip(rows, table.rows, strict=True):
            shown = dict(zip(keys, cells, strict=True))
            for dtype in ("float32", "bfloat16"):
                crossing, most = row[f"{dtype}_crossing"], row["steps"][-1]
                if crossing is None:
                    assert (
                        shown[f"{dtype}_steps"] == f"> {most}" and shown[f"{dtype}_h"][:2] == "< "
                    )
                elif crossing:
                    assert shown[f"{dtype}_h"] == found["span"] / crossing and crossing <= most
                else:
                    assert shown[f"{dtype}_steps"] == f"< {row['steps'][0]}"
