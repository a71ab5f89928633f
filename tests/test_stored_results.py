"""The stored cross-validation hangs together, is about these weights, and is what the code says
now.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from functools import cache
from itertools import pairwise

import pytest
import torch

from gpu_samplers.embedded import BUNDLED
from reports.experiments import cifar10, quality_data, rounding, runs, sde, store, strong_orders
from reports.experiments.store import DATA, stored
from splitting_analysis.catalogue import entries, find
from splitting_analysis.observed import observed_order
from splitting_analysis.weak import at_lambda_one

FILES = sorted(
    path.name for path in DATA.glob("*_*.json") if "weights_sha256" in path.read_text("utf-8")
)
TRAINED = (
    "network",
    "slow-network",
    "digits network",
    "crossval_network.json",
    "quality_network.json",
)
"""The parts of the files, and the files, that are about the network trained on the digits."""
OF_PATCHES = ("patches", "patches network", "patches_network.json", "quality_patches.json")
"""Those about the one trained on patches."""
OF_VP = ("vp_splitting_network.json",)
"""Those about the one trained on digits for VP."""
AWAITED = {"patches", "quality_patches"}
"""Files that may be missing: pages say so. All others belong to the package."""
NAMES = ("mixture", "network")


EVERY_FILE = pytest.mark.parametrize(
    "path", sorted(DATA.glob("*.json")), ids=lambda path: path.name
)


@EVERY_FILE
def test_a_file_of_results_says_what_was_written_there(path):
    """The seal, taken apart from the store: of everything else, keys sorted, no spaces."""
    document = json.loads(path.read_text("utf-8"))
    told = document.pop("_sha256")
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode("utf-8")).hexdigest() == told
    assert store.read(path) == document


def places(node, path=()):
    """The paths to all numbers in a document."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(value, (*path, key))
    elif isinstance(node, float):
        yield path


@EVERY_FILE
def test_a_file_in_which_one_number_was_changed_by_hand_is_refused(path, tmp_path):
    document = json.loads(path.read_text("utf-8"))
    numbers = list(places(document))
    for place in numbers[:: max(1, len(numbers) // 5)]:
        changed = copy.deepcopy(document)
        node = changed
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] += 1e-5 * (1 + abs(node[place[-1]]))
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        with pytest.raises(
            ValueError, match=r"changed\.json: not what was written there: _sha256 is "
        ):
            store.read(tmp_path / "changed.json")
    (tmp_path / "reordered.json").write_text(json.dumps(dict(reversed(document.items()))))
    del document["_sha256"]
    assert store.read(tmp_path / "reordered.json") == document


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not a JSON file"),
        ("[1]", "is a JSON object, not a list"),
        ("", "not a JSON file"),
        ('{"a": 1}', "_sha256 is None"),
        ('{"_command": "python -m x", "_sha256": 3}', "with `python -m x`$"),
    ],
)
def test_what_is_no_sealed_file_is_refused_with_one_sentence(text, problem, tmp_path):
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(ValueError, match=problem) as refusal:
        store.read(tmp_path / "it.json")
    assert str(tmp_path / "it.json") in str(refusal.value) and "\n" not in str(refusal.value)


def by_save(folder, monkeypatch):
    monkeypatch.setattr(store, "DATA", folder)
    store.save("reuse", {"found": {10: 0.5, 9: [1, None]}})


def by_quality(folder, monkeypatch):
    monkeypatch.setattr(store, "DATA", folder)
    quality_data.save("dataset", {"cells": [{"frechet": 0.1}, {"frechet": None}], "seed": 0})


def by_cifar10(folder, monkeypatch):
    monkeypatch.setattr(store, "DATA", folder)
    monkeypatch.setattr(cifar10, "load_spectrum", lambda _: [1.0])
    monkeypatch.setattr(cifar10, "compute", lambda *_: {"vp_w2": {"EM": 1.5}})
    (folder.parent / "spectrum").write_bytes(b"eigenvalues")
    cifar10.keep(str(folder.parent / "spectrum"))


@pytest.mark.parametrize("command", [by_save, by_quality, by_cifar10])
def test_every_command_seals_what_it_writes_and_a_failing_disk_leaves_the_old_file(
    command, tmp_path, monkeypatch
):
    (tmp_path / "data").mkdir()
    command(tmp_path / "data", monkeypatch)
    (path,) = (tmp_path / "data").iterdir()
    written = path.read_text("utf-8")
    assert len(json.loads(written)["_sha256"]) == 64
    assert store.read(path) == {k: v for k, v in json.loads(written).items() if k != "_sha256"}
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(ValueError, match="cannot be written: full"):
        command(tmp_path / "data", monkeypatch)
    assert list((tmp_path / "data").iterdir()) == [path] and path.read_text("utf-8") == written


def test_the_store_alone_writes_and_reads_the_files():
    """No module beside it knows how: a second way in would be one without a seal."""
    paths = sorted((DATA.parent / "experiments").glob("*.py"))
    own_way = {
        p.name
        for p in paths
        if re.search(r"write_whole|json\.(dump|load)|write_text", p.read_text())
    }
    assert own_way == {"store.py"}


@pytest.mark.parametrize("name", store.KEPT)
def test_every_file_says_the_command_that_makes_it_now(name):
    """The module is there, and names itself so in its first lines; readdressed, a file is what it
    was.
    """
    path, kept = store.path_of(name), store.KEPT[name]
    module = DATA.parent / "experiments" / f"{kept.module}.py"
    assert f"\n    python -m reports.experiments.{kept.module}" in module.read_text("utf-8")
    if name in AWAITED and not path.exists():
        return
    document = json.loads(path.read_text("utf-8"))
    assert document["_command"] == kept.command and document["_about"] == kept.about


def test_a_new_address_changes_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "DATA", tmp_path)
    for name in ("local", "quality_dataset"):
        kept = store.KEPT[name]
        whole = (DATA / f"{kept.file}.json").read_text("utf-8")
        document = json.loads(whole)
        before = document | {"_command": "python -m elsewhere", "_about": "moved"}
        store.write(store.path_of(name), before, kept.rows)
        assert store.path_of(name).read_text("utf-8") != whole
        store.readdress(name)
        assert store.path_of(name).read_text("utf-8") == whole
    with pytest.raises(ValueError, match=r"crossval_reuse\.json is missing"):
        store.readdress("reuse")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_not_written(value, tmp_path):
    with pytest.raises(
        ValueError, match=r"it\.json is not written: .* a number that is not finite"
    ):
        store.write(tmp_path / "it.json", {"rows": [1.0, {"error": value}]})
    assert not list(tmp_path.iterdir())


def of(name):
    found = stored(name)
    assert found is not None
    return found


def half_a_digit(value):
    """Half a unit of the sixth digit: what rounding to six did to a number at most."""
    return 0.501 * 10.0 ** (math.floor(math.log10(abs(value))) - 5) if value else 0.0


def hashes(node, name):
    """Every hash of weights in a document, with the key that it stands under."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "weights_sha256":
            yield name, value
        yield from hashes(value, key)


@pytest.mark.parametrize("file", FILES)
def test_results_on_a_trained_network_are_about_the_weights_that_are_here(file):
    found = list(hashes(json.loads((DATA / file).read_text("utf-8")), file))
    for name, digest in found:
        of = {"digits": TRAINED, "patches": OF_PATCHES, "digits-vp": OF_VP}
        network = next((network for network, places in of.items() if name in places), "")
        assert digest == (
            hashlib.sha256(BUNDLED[network].read_bytes()).hexdigest() if network else ""
        ), name
    known = TRAINED + OF_PATCHES + OF_VP
    assert file == "quality_dataset.json" or any(name in known for name, _ in found)


def test_no_file_of_results_is_left_out():
    names = {
        f"crossval_{part}.json" for part in ("global", "local", "network", "reuse", "rounding")
    }
    assert {*FILES} >= names | {"quality_dataset.json", "quality_network.json"}


def again(row, floor):
    """Order and interval of a row are those that its signed errors show."""
    found = observed_order(row["steps"], row["signed"], floor)
    said = row["summary"].split()[0]
    assert said == found.verdict, row["scheme"]
    for key, width in (("order", 5e-4), ("low", 2e-3), ("high", 2e-3)):
        value = getattr(found, key)
        assert row[key] == (value if value is None else pytest.approx(value, abs=width)), row[
            "scheme"
        ]
    assert row["claim"] == find(row["scheme"]).order


@pytest.mark.parametrize("name", [*NAMES, "slow-network"])
def test_stored_orders_of_odes_are_those_of_their_stored_errors(name):
    part = of("global")["ode"][name]
    assert [row["scheme"] for row in part["rows"]] == [s.name for s in entries("psld", "ode")]
    entries_of_a_state = 2 * of("global")["settings"]["samples"] * 64
    for row in part["rows"]:
        again(row, part["floor"])
        lengths = [math.sqrt(entries_of_a_state) * norm for norm in row["norms"]]
        assert row["signed"][-1] == pytest.approx(lengths[-1], rel=1e-5)
        assert all(abs(s) < (1 + 1e-5) * n for s, n in zip(row["signed"], lengths, strict=True))


def test_stored_weak_orders_are_those_of_their_stored_errors():
    for row in of("global")["weak"]:
        assert 0 < row["floor"] < abs(row["signed"][-1]) / 50
        again(row, row["floor"])


@pytest.mark.parametrize("name", NAMES)
def test_stored_strong_orders_are_those_of_their_stored_errors(name):
    part = of("global")["strong"][name]
    assert [row["scheme"] for row in part["rows"]] == [s.name for s in entries("psld", "sde")]
    for row in part["rows"]:
        steps, norms = row["steps"], row["norms"]
        shown = math.log(norms[-3] / norms[-1]) / math.log(steps[-1] / steps[-3])
        assert row["order"] == pytest.approx(shown, abs=1e-5)
        assert row["claim"] == strong_orders.claim(at_lambda_one(find(row["scheme"])))
        # half the step, about half the error
        assert all(1.3 < coarse / fine < 3 for coarse, fine in pairwise(norms))
        assert part["floor"] < norms[-1] / 10
    assert len({row["standard_error"] for row in part["rows"]}) == len(part["rows"])


@pytest.mark.parametrize("name", NAMES)
def test_stored_crossings_are_where_their_stored_lines_meet(name):
    for row in of("rounding")["targets"][name]["rows"]:
        for dtype in rounding.DTYPES:
            steps, sizes, n = row["steps"], row["truncation"], row[f"{dtype}_crossing"]
            gaps = [t / r for t, r in zip(sizes, row[dtype], strict=True)]
            if gaps[0] <= 1:
                assert n == 0
            elif min(gaps) > 1:
                assert n is None
            else:
                k = next(k for k, gap in enumerate(gaps) if gap <= 1)
                slope = math.log(gaps[k] / gaps[k - 1]) / math.log(steps[k] / steps[k - 1])
                assert gaps[k - 1] * (n / steps[k - 1]) ** slope == pytest.approx(1, rel=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_truncation_in_one_file_is_the_error_in_the_other(name):
    whole, part = of("global"), of("rounding")["targets"][name]
    assert whole["settings"] == {**whole["settings"], **of("rounding")["settings"]}
    errors = {
        (r["scheme"], n): e
        for r in whole["ode"][name]["rows"] + whole["strong"][name]["rows"]
        for n, e in zip(r["steps"], r["norms"], strict=True)
    }
    both = [
        (size, errors[row["scheme"], n])
        for row in part["rows"]
        for n, size in zip(row["steps"], row["truncation"], strict=True)
        if (row["scheme"], n) in errors
    ]
    assert len(both) >= 5
    for size, error in both:
        assert size == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    "target", ["mixture", "mixture, VP", "data set", "random network", "digits network"]
)
def test_stored_local_errors_agree_as_far_as_they_say(target):
    """Measured is predicted times the ratio, to the last digit; an error's estimate bounds the
    error.
    """
    part = of("local")["targets"][target]
    for row in [*part["ode"], *part["sde"]]:
        said, ratio, difference = row["predicted"], row["ratio_minus_1"], row["difference"]
        if not said:
            assert difference == pytest.approx(row["measured"], rel=6e-3)
            assert row["ratio_minus_1"] is None
            continue
        digits = half_a_digit(said) + half_a_digit(row["measured"]) + 0.006 * abs(ratio) * said
        assert row["measured"] == pytest.approx(said * (1 + ratio), abs=digits), row
        assert 0 < abs(ratio) < 1.02 * difference
    for row in part["ode"]:
        assert row["difference"] < 3 * row["uncertainty"] < 0.15
        coarse, fine = row["by_step"][-2:]
        # the finest two, clear of round-off, extrapolated
        if row["power"] == 2 and abs(coarse - 1) < 1e-3:
            assert 2 * fine - coarse == pytest.approx(1 + ratio_of(row), abs=2e-4)


@pytest.mark.parametrize(
    "target", ["mixture", "mixture, VP", "data set", "random network", "digits network"]
)
def test_stored_noisy_errors_lie_within_their_standard_errors(target):
    """As many beyond three of them as Student's t has there, one in fifty, and none far."""
    found = of("local")
    rows = found["targets"][target]["sde"]
    assert len(rows) == 3 * len(sde.judged(found["targets"][target]["model"]))
    off = [abs(row["ratio_minus_1"]) if row["predicted"] else row["measured"] for row in rows]
    scores = [size / row["standard_error"] for size, row in zip(off, rows, strict=True)]
    assert sum(score > 3 for score in scores) <= 2 and max(scores) < 6
    assert max(scores) > 0.3  # a standard error so large that all are within it says nothing
    precise = [row["standard_error"] for row in rows if row["predicted"]]
    assert max(precise) < 1e-5
    assert found["_rotations"] == sde.ROTATIONS


def ratio_of(row):
    return row["measured"] / row["predicted"] - 1


def rms(values):
    return float(values.square().mean().sqrt())


@cache
def kept(kind, name):
    """Stored rows by scheme."""
    part = of("rounding")["targets"] if kind == "rounding" else of("global")[kind]
    return {row["scheme"]: row for row in part[name]["rows"]}


def ends(target, name, dtype, steps, z):
    times = runs.times_of(target.process, steps)
    return runs.end_state(find(name), target.process, target.machine(dtype), times, z)


@pytest.mark.heavy
def test_stored_errors_on_the_mixture_are_those_that_the_code_gives_now():
    target = runs.targets()["mixture"]
    z = runs.starts(target)
    exact = runs.reference(target, z, tolerance=1e-10)
    for name, row in kept("ode", "mixture").items():
        for n, norm in list(zip(row["steps"], row["norms"], strict=True))[:1]:
            found = rms(ends(target, name, torch.float64, n, z) - exact)
            assert found == pytest.approx(norm, rel=1e-5, abs=1e-10), (name, n)


@pytest.mark.heavy
def test_stored_strong_errors_on_the_mixture_are_those_that_the_code_gives_now():
    """At the fewest steps, beside a reference of 32 intervals instead of 1024, which is good to
    0.02.
    """
    target, part = runs.targets()["mixture"], of("global")["strong"]["mixture"]
    machine, z = target.machine(torch.float64), runs.starts(target, part["samples"])
    path = strong_orders.fine_path(target.shape, part["samples"], runs.SEED, part["fine"])
    while path.shape[1] > 32:
        path = strong_orders.halved(path)
    span, model = target.process.T - runs.CUT, find("EM").model
    with torch.no_grad():
        exact = sde.reference(target.process, model, target.smooth, z, target.process.T, span, path)
        for scheme in ("EM", "SSCS", "RBAO"):
            row, one = kept("strong", "mixture")[scheme], at_lambda_one(find(scheme))
            n = row["steps"][0]
            end = strong_orders.end_on_path(one, target.process, machine, z, path, n, runs.CUT)
            assert rms(end - exact) == pytest.approx(row["norms"][0], abs=0.02), scheme
