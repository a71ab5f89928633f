"""A second network takes its place everywhere by a file of weights alone; without it that is said.

The weights here are a small network's: what is computed with them, not what comes out, is looked
at.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from analytic_models.problem import problem_for  # noqa: E402
from gpu_samplers import data, embedded  # noqa: E402
from gpu_samplers.checkpoints import save_checkpoint  # noqa: E402
from gpu_samplers.configs import Config  # noqa: E402
from gpu_samplers.data import Images  # noqa: E402
from gpu_samplers.network import ncsnpp  # noqa: E402
from gpu_samplers.patch_features import patch_features  # noqa: E402
from gpu_samplers.processes import PSLD  # noqa: E402
from gpu_samplers.quality import frechet_distance, residual_noise  # noqa: E402
from reports.cli import main  # noqa: E402
from reports.experiments import (  # noqa: E402  # noqa: E402
    comparisons,
    global_orders,
    local,
    quality,
    quality_data,
    reuse,
    rounding,
    runs,
)
from reports.experiments import targets as targets_module  # noqa: E402
from reports.experiments.store import stored  # noqa: E402
from reports.pages import (  # noqa: E402
    crossval_global,
    crossval_local,
    crossval_reuse,
    crossval_rounding,
    network,
)
from reports.pages import quality as quality_page  # noqa: E402
from reports.pages.settings import QUICK  # noqa: E402
from reports.render.document import to_json  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402

PROCESS = PSLD(nu=3.9)


def shown_of(page):
    """All that a page says, figures as data: what is drawn is hashed first, as for every figure."""
    built = page.build(QUICK)
    assert hash(built.blocks)
    return json.dumps(to_json(built), ensure_ascii=False)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Weights of a small network in the place of the patches network's, and few patches; its
    file.
    """
    torch.manual_seed(3)
    path = tmp_path / "patches.safetensors"
    config = Config(32, 4, (1,), 1, (), 0.0, fir=False, progressive_input="none")
    record = {"process": {"nu": PROCESS.nu}}
    save_checkpoint(path, local.filled(ncsnpp(config), 1), record)
    monkeypatch.setitem(embedded.BUNDLED, "patches", path)
    pixels = torch.rand(60, 3, 32, 32, generator=torch.Generator().manual_seed(4)) * 2 - 1
    few = Images("few", pixels, torch.arange(60) >= 48)
    for module in (targets_module, quality):
        monkeypatch.setattr(module, "patches", lambda: few)
    monkeypatch.setitem(data.BUNDLED, "patches", lambda: few)
    for cached in (runs.targets, quality.target, quality.reference):
        cached.cache_clear()
    yield path
    for cached in (runs.targets, quality.target, quality.reference):
        cached.cache_clear()


@pytest.fixture
def absent(tmp_path, monkeypatch):
    monkeypatch.setitem(embedded.BUNDLED, "patches", tmp_path / "patches.safetensors")
    runs.targets.cache_clear()
    yield
    runs.targets.cache_clear()


def test_a_bundled_network_is_found_by_its_name_with_the_process_of_its_record(small):
    net, process = embedded.bundled_network("patches", torch.float64)
    assert process == PROCESS and net.config.in_ch == 6
    assert next(net.parameters()).dtype == torch.float64
    assert net(torch.zeros(2, 6, 32, 32, dtype=torch.float64), torch.tensor(0.5)).shape == (
        2,
        6,
        32,
        32,
    )


def test_another_name_and_weights_that_are_not_there_are_refused(absent):
    with pytest.raises(
        ValueError, match=r"no network 'cifar' comes with .*; there are: digits, patches"
    ):
        embedded.bundled_network("cifar")
    with pytest.raises(
        ValueError, match=r"patches\.safetensors: these weights are not in this copy; `spl"
    ):
        embedded.bundled_network("patches")


def test_the_target_is_the_network_and_knows_its_images(small):
    target = targets_module.patches_target()
    assert target.shape == (3, 32, 32) and target.images == "patches" and target.weights
    assert target.data.dtype == torch.float64 and len(target.data) == 3
    z = torch.randn(
        2, 2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    smooth = target.smooth(z, torch.tensor(0.4, dtype=torch.float64))
    assert torch.allclose(smooth, target.machine(torch.float64)(z, 0.4), rtol=1e-9, atol=1e-9)


def test_with_its_weights_it_is_part_of_every_cross_validation(small):
    for there in (runs.targets, global_orders.targets, rounding.targets):
        assert there()["patches"].shape == (3, 32, 32)
    assert len(rounding.STEPS_RK) == len(rounding.targets())


def test_without_them_nothing_of_it_is(absent):
    for there in (runs.targets, global_orders.targets, rounding.targets):
        assert "patches" not in there() and "network" in there()
    assert not targets_module.has_network("patches")


def test_the_changes_of_its_score_have_a_centre_of_half_its_rows(small):
    (first, *_) = reuse.changes(runs.targets()["patches"], 2, cut=0.5, samples=1)
    assert first.keys() == {"tau", "x", "m", "centre", "border"}
    assert (
        min(first["centre"], first["border"]) <= first["x"] <= max(first["centre"], first["border"])
    )


@pytest.mark.heavy
def test_one_step_on_it_errs_as_its_closed_forms_say(small):
    case = local.patches_network()
    row = local.ode_row(case, find("Euler"), 0.9)
    assert row["ratio_minus_1"] == pytest.approx(0, abs=1e-5)


def test_its_noise_has_some_orthonormal_directions():
    units = local.directions((3, 4, 4), 8, 1).flatten(1)
    assert torch.allclose(units @ units.T, torch.eye(8, dtype=torch.float64), atol=1e-12)


@pytest.mark.heavy
def test_its_samples_are_judged_as_patches(small, monkeypatch):
    """The cell again, by the parts: features of patches, their spectrum, and no pixel that is
    still.
    """
    where, number = quality.target("patches"), 6
    found = quality.cell(where, ("ROBA", "uniform", 4, "one"), number)
    samples = quality.samples_of(where, find("ROBA"), "uniform", 4, 1.0, quality.SEED, number)
    seen = patch_features(where.data)
    assert samples is not None
    assert found["frechet"] == pytest.approx(
        frechet_distance(patch_features(samples), seen), rel=1e-5
    )
    assert found["residual"] == pytest.approx(residual_noise(samples, where.data), rel=1e-5)
    assert found["still"] is None
    exact = problem_for("psld", "patches", {"nu": PROCESS.nu}).errors(find("ROBA"), 3)
    assert found["w2_x"] == pytest.approx(exact["w2_x"], rel=1e-5)
    monkeypatch.setattr(quality, "FLOOR_DRAWS", 2)
    floors = quality.floors(where, 6)
    assert floors["held_out"] > 0 and floors["bootstrap"] > 0
    monkeypatch.setattr(comparisons, "GROUPS", 2)
    compared = comparisons.comparison(where, ("NSE", "RSE"), "uniform", 3, 6)
    assert np.isfinite(compared["frechet_error"]) and compared["noise"] is not None


def test_the_command_samples_it_by_its_name(small, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "sample",
                "--sampler",
                "ROBA",
                "--nfe",
                "3",
                "-n",
                "2",
                "--checkpoint",
                "patches",
                "--out",
                str(tmp_path / "out"),
            ]
        )
    assert exit_.value.code == 0
    with np.load(tmp_path / "out" / "00000000-00000001.npz") as file:
        assert file["images"].shape == (2, 3, 32, 32)


def test_the_command_says_where_its_weights_are_not(absent, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "sample",
                "--sampler",
                "ROBA",
                "--nfe",
                "3",
                "-n",
                "2",
                "--checkpoint",
                "patches",
                "--out",
                str(tmp_path / "out"),
            ]
        )
    assert exit_.value.code == 2
    assert "these weights are not in this copy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("page", "name", "part", "key"),
    [
        (crossval_global, "global", "patches", "ode"),
        (crossval_reuse, "reuse", "patches", "targets"),
        (crossval_rounding, "rounding", "patches", "targets"),
        (crossval_local, "local", "patches network", "targets"),
    ],
)
def test_a_page_says_that_its_results_on_it_are_missing_where_they_are(
    monkeypatch, page, name, part, key
):
    found = stored(name)
    assert found is not None
    without = found | {key: {k: v for k, v in found[key].items() if k != part}}
    monkeypatch.setattr(page, "stored", lambda _: without)
    shown = shown_of(page)
    assert "Not in this copy" in shown and "trained on patches of photographs" in shown
    assert (
        f"python -m reports.experiments.{ {'global': 'global_orders'}.get(name, name) } " in shown
    )


@pytest.mark.heavy
def test_the_pages_on_networks_and_quality_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(network, "stored", lambda name: None if name == "patches" else stored(name))
    assert "`patches_network.json` is absent" in shown_of(network)
    kept = quality_data.stored
    monkeypatch.setattr(
        quality_page, "stored", lambda name: None if name == "patches" else kept(name)
    )
    assert "`quality_patches.json` is absent" in shown_of(quality_page)


@pytest.mark.parametrize("passes", [True, False])
def test_the_page_shows_the_verdict_on_its_samples(monkeypatch, passes):
    power = {"ratio": [[1.0, 1.25]] * 3, "standard_error": [[0.1, 0.1]] * 3}
    found = {
        "passes": passes,
        "number": 4096,
        "samples": {"sampler": "RK45", "grid": "quadratic", "nfe": 97},
        "frechet": {"samples": 1.5, "held-out patches": 20.0, "chance": 0.1},
        "largest_power_off": 0.25,
        "bands": {"within": 40, "beyond": 3, "undecided": 5},
        "channels": ["luminance", "a", "b"],
        "power": {"samples": power, "held-out patches": power},
        "pictures": {"data": ["00ff"], "samples": ["ff00"]},
    }
    monkeypatch.setattr(
        network, "stored", lambda name: found if name == "patches" else stored(name)
    )
    shown = shown_of(network)
    assert f"**{'pass' if passes else 'do not pass'}**" in shown
    assert "4,096 samples (RK45, quadratic grid, 97 evaluations)" in shown
    assert (
        "off by at most 25 % in a band" in shown and "that of as many held-out patches 20" in shown
    )
