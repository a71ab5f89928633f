"""What is measured on a GPU: the script goes through all of it here at toy size, and the page tells
it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

torch = pytest.importorskip("torch", reason="the samplers are torch code")

from torch import nn  # noqa: E402

from gpu_samplers import embedded  # noqa: E402
from gpu_samplers.graphs import Graphs  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from gpu_samplers.score import NetworkScore, float32_products  # noqa: E402
from reports.experiments import gpu, gpu_runs, gpu_speed, gpu_training, store  # noqa: E402
from reports.experiments.gpu_card import Card, Row  # noqa: E402
from reports.experiments.runner import SILENT  # noqa: E402
from reports.pages import gpu as page  # noqa: E402
from reports.pages.settings import QUICK  # noqa: E402
from reports.render.document import tables  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402

SEVERAL = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU; here is none")


def toy(seconds=1e6, folder=Path()):
    return Card(toy=True, until=monotonic() + seconds, folder=folder)


def counted(calls, **values):
    def measure():
        calls.append(values)
        return values

    return measure


@pytest.fixture
def part(monkeypatch):
    """A part of two rows in place of all, and how often they were measured."""
    calls: list[dict[str, float]] = []
    rows = [Row(name, 1.0, counted(calls, error=0.123456)) for name in ("first", "second")]
    monkeypatch.setattr(gpu, "PARTS", {"parity": lambda card: iter(rows)})
    return calls


def test_rows_are_stored_one_by_one_and_never_measured_twice(part, tmp_path):
    out = tmp_path / "gpu.json"
    gpu.keep("parity", toy(), out, SILENT)
    gpu.keep("parity", toy(), out, SILENT)
    assert len(part) == 2
    stored = store.read(out)
    assert stored is not None and stored["wanted"] == {"parity": ["first", "second"]}
    assert stored["parts"]["parity"] == {name: {"error": 0.1235} for name in ("first", "second")}


def test_rows_of_another_card_are_dropped(part, tmp_path, monkeypatch):
    out = tmp_path / "gpu.json"
    gpu.keep("parity", toy(), out, SILENT)
    here = gpu.machine()
    monkeypatch.setattr(gpu, "machine", lambda: here | {"card": "another"})
    gpu.keep("parity", toy(), out, SILENT)
    assert len(part) == 4


def test_what_there_is_no_time_for_is_left_out(part, tmp_path):
    gpu.keep("parity", toy(-1), tmp_path / "gpu.json", SILENT)
    assert not part and not list(tmp_path.iterdir())


def test_toy_numbers_never_reach_the_stored_file():
    with pytest.raises(ValueError, match="give --out FILE"):
        gpu.asked(gpu.arguments(["--toy"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_without_a_gpu_the_script_says_how_to_try_it():
    with pytest.raises(ValueError, match="finds no GPU here; give --toy --out FILE"):
        gpu.asked(gpu.arguments([]))


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "name", ["noise", "ROBA, float64", "ROBA, rounding", "float32; 2", "EM; float32; 2"]
)
def test_a_row_of_every_kind_is_measured_at_toy_size(name):
    row = next(r for rows in gpu.PARTS.values() for r in rows(toy()) if r.name.startswith(name))
    values = row.measure()
    assert json.dumps(values, allow_nan=False) and values.get("error", 0) <= values.get("limit", 1)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The place of the patches' weights in the package, where there are none."""
    place = tmp_path / "package" / "patches.safetensors"
    place.parent.mkdir()
    monkeypatch.setattr(gpu_training, "BUNDLED", {"patches": place})
    return place


@pytest.mark.heavy
@pytest.mark.parametrize("passes", [True, False])
def test_trained_weights_take_their_place_in_the_package_where_their_samples_pass(
    passes, tmp_path, package, monkeypatch
):
    """On a card; what takes minutes there is left out."""

    def trained(settings, images, weights, **options):
        weights.write_bytes(b"trained")
        return {"seconds": 1.0, "curve": [[1, 2.0, 3.0]]}

    told = {"passes": passes, "times_the_floor": 1.0, "largest_power_off": 0.1, "number": 4}
    monkeypatch.setattr(gpu_training, "steps_a_second", lambda *_: 10.0)
    monkeypatch.setattr(gpu_training, "train", trained)
    monkeypatch.setattr(gpu_training, "samples", lambda *_: None)
    monkeypatch.setattr(gpu_training, "judged", lambda *_: told)
    card = Card(toy=False, until=0.0, folder=tmp_path)
    (row,) = gpu_training.rows(card)
    assert row.measure()["steps"] == 10 * gpu_training.SECONDS
    assert package.exists() == passes and len([*package.parent.iterdir()]) == passes
    assert not passes or package.read_bytes() == b"trained"


@pytest.mark.heavy
def test_every_row_is_measured_at_toy_size(tmp_path, package):
    out = tmp_path / "gpu.json"
    for name in gpu.PARTS:
        gpu.keep(name, toy(folder=tmp_path), out, SILENT)
    stored = store.read(out)
    assert stored is not None
    assert {name: list(rows) for name, rows in stored["parts"].items()} == stored["wanted"]
    assert stored["parts"]["training"]["patches network, trained"]["passes"] is False
    assert not package.exists() and (tmp_path / "patches.safetensors").exists()
    checks = [row for rows in stored["parts"].values() for row in rows.values() if "limit" in row]
    assert len(checks) > 15 and all(row["error"] <= row["limit"] for row in checks)


@pytest.mark.heavy
def test_a_run_that_differs_in_one_pixel_shows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_runs, "SAMPLES", 24)
    gpu_runs.make(tmp_path / "one", toy(), "float32", 24)
    assert gpu_runs.largest(tmp_path / "one", tmp_path / "one") == 0
    job = Job(
        find("ROBA"),
        embedded.digits_network()[1],
        gpu_runs.SAMPLES,
        6,
        seed=1,
        shard=gpu_runs.SHARD,
    )
    write_samples(tmp_path / "two", job, embedded.digits_network()[0], batch=24)
    assert gpu_runs.largest(tmp_path / "one", tmp_path / "two") > 0.1


@pytest.mark.parametrize(
    ("first", "says"),
    [("raise SystemExit(3)", "ended with status 3"), ("input()", r"did not end within 0\.1 s")],
)
def test_where_one_of_two_processes_fails_the_other_is_ended(first, says, monkeypatch):
    monkeypatch.setattr(gpu_runs, "PATIENCE", 0.1 if "input" in first else 60)
    children = [
        subprocess.Popen([sys.executable, "-Ic", code], stdin=subprocess.PIPE)
        for code in (first, "input()")
    ]
    with pytest.raises(ValueError, match=says):
        gpu_runs._waited(*children)
    assert all(child.returncode is not None for child in children)
    for child in children:
        assert child.stdin is not None
        child.stdin.close()


def test_products_are_in_full_or_in_tf32_and_set_back_afterwards():
    settings = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in settings]
    for tf32 in (True, False):
        with suppress(KeyError), float32_products(tf32):
            inside = [each.allow_tf32 for each in settings]
            raise KeyError
        assert inside == [tf32, tf32]
        assert [each.allow_tf32 for each in settings] == before


@pytest.mark.parametrize("tf32", [False, True])
def test_a_network_runs_under_the_products_that_its_score_asks_for(tf32):
    seen = []

    class Net(nn.Module):
        def forward(self, z, _):
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
            return z

    process = embedded.digits_network()[1]
    NetworkScore(Net(), process, tf32=tf32).output(torch.ones(2, 1, 1, 8, 8), 0.5)
    assert seen == [(tf32, tf32)]


def test_graphs_are_refused_where_there_is_no_gpu(tmp_path):
    with pytest.raises(ValueError, match="CUDA graphs run on a GPU, not on cpu"):
        Graphs(lambda z, t: z)(torch.ones(1), torch.ones(1))
    network, process = embedded.digits_network()
    with pytest.raises(ValueError, match="graphs: CUDA graphs run on device cuda, not on cpu"):
        write_samples(tmp_path / "out", Job(find("ROBA"), process, 1, 5), network, graphs=True)
    assert not list(tmp_path.iterdir())


@SEVERAL
def test_a_graph_gives_what_the_network_gives():
    network, process = embedded.digits_network()
    plain, replayed = (
        NetworkScore(network.cuda(), process, graphs=graphs) for graphs in (False, True)
    )
    for batch in (3, 5, 3):
        z = torch.randn(2, batch, 1, 8, 8, device="cuda")
        torch.testing.assert_close(replayed.output(z, 0.4), plain.output(z, 0.4), rtol=0, atol=1e-6)


def measured(ratio=1.01, error=1e-13):
    forms = {
        str(form): {"form": str(form), "batch": 64, "seconds": seconds, "peak_bytes": 2e9}
        for form, seconds in ((gpu_speed.PLAIN, 0.2), (gpu_speed.FASTEST, 0.04))
    }
    run = {
        "sampler": "EM",
        "form": "float32",
        "batch": 64,
        "nfe": 50,
        "seconds": 1.5,
        "ratio": ratio,
    }
    parts = {
        "parity": {"noise": {"same": True}, "EM, float64": {"error": error, "limit": 1e-12}},
        "runs": {"batch": {"error": 0.0, "limit": 0.0}},
        "forward": forms,
        "overhead": {"EM; float32; 64": run},
    }
    machine = dict.fromkeys(("driver", "torch", "cuda", "cudnn"), "1") | {"card": "NVIDIA X"}
    wanted = {name: list(rows) for name, rows in parts.items()} | {
        "overhead": ["EM; float32; 64", "SSCS"]
    }
    return {"machine": machine, "parts": parts, "wanted": wanted}


def test_the_page_says_what_was_reached_and_what_is_missing(monkeypatch):
    monkeypatch.setattr(page, "stored", lambda _: measured())
    built = page.build(QUICK)
    assert "1.010 to 1.010 times as long as its evaluations" in built.lead
    assert "(all one runs within 1.02)" in built.lead
    assert "up to 5.0 times as fast" in built.lead and "all two hold" in built.lead
    assert (
        "For 1 rows there was no time on a card; `make gpu` measures them: overhead: SSCS."
        in str(built)
    )
    monkeypatch.setattr(page, "stored", lambda _: measured(ratio=1.03, error=2e-12))
    built = page.build(QUICK)
    assert "0 of 1 runs within 1.02" in built.lead and "1 of 2 hold" in built.lead
    parity = next(table for table in tables(built) if table.key == "gpu-parity")
    assert parity.rows[1][3] == "NO"


@pytest.mark.parametrize(
    ("passes", "said"), [(True, "samples pass"), (False, "samples **do not pass")]
)
def test_the_page_tells_the_verdict_on_a_trained_network(monkeypatch, passes, said):
    data = measured()
    row = {
        "passes": passes,
        "times_the_floor": 7.9,
        "largest_power_off": 0.5,
        "number": 4096,
        "steps": 9000,
        "batch": 512,
        "steps_per_second": 40.0,
        "seconds": 225,
        "held_out_loss": 0.01,
    }
    data["parts"]["training"] = {"patches network, trained": row}
    data["wanted"]["training"] = ["patches network, trained"]
    monkeypatch.setattr(page, "stored", lambda _: data)
    told = str(page.build(QUICK))
    assert said in told and "7.9 times" in told and "at most 50 %" in told


def test_without_measurements_the_page_says_so(monkeypatch):
    monkeypatch.setattr(page, "stored", lambda _: None)
    assert "missing from this copy" in page.build(QUICK).lead
