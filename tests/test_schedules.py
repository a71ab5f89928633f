"""Noise schedules by name and from files, through the door that users have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import splitting_analysis as sa
from reports import cli

VARIANCES = [2.0, 0.3]


def log_linear(bars):
    """alpha at tau, log alpha linear between tau_i = (i + 1)/N."""
    knots = np.concatenate([[0.0], np.log(bars) / 2])
    return lambda tau: np.exp(np.interp(tau, np.linspace(0, 1, len(knots)), knots))


def linear(tau):
    return math.exp(-(0.1 * tau + 19.9 * tau**2 / 2) / 2)


def cosine(tau):
    angle = math.pi / 2 * (tau + 0.008) / 1.008
    return math.cos(angle) / math.cos(math.pi / 2 * 0.008 / 1.008)


STABLE = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
OWN = np.array([0.97, 0.8, 0.5, 0.2, 0.05, 0.004])


def ddim(alpha, times):
    """W2 to data N(0, diag VARIANCES) of DDIM from the exact law at the first forward time on."""
    total = 0.0
    for variance in VARIANCES:
        alphas = [float(alpha(tau)) for tau in times]
        laws = [a * a * variance + 1 - a * a for a in alphas]
        spread = math.sqrt(laws[0])
        for a, after, law in zip(alphas, alphas[1:], laws, strict=False):
            mixed = a * after * variance + math.sqrt((1 - a * a) * (1 - after * after))
            spread *= mixed / law
        total += (spread - math.sqrt(variance)) ** 2
    return math.sqrt(total)


@pytest.mark.parametrize(
    ("name", "alpha", "last"),
    [
        ("linear", linear, 1.0),
        ("Cosine", cosine, 0.9946),
        ("scaled-linear", log_linear(STABLE), 1.0),
        ("own.npy", log_linear(OWN), 1.0),
    ],
)
def test_a_run_on_a_schedule_is_one_on_its_alpha(name, alpha, last, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("own.npy", OWN)
    asked: dict[str, Any] = {"model": "vp", "start": "pT", "denoise": False, "spectrum": VARIANCES}
    (row,) = sa.gaussian("DDIM", steps=4, schedule=name, **asked).rows
    times = [last - (last - 1e-3) * i / 4 for i in range(5)]
    assert row["w2_x"] == pytest.approx(ddim(alpha, times), rel=1e-10)
    shown = {"own.npy": "table", "Cosine": "cosine"}.get(name, name)
    assert row["schedule"] == shown
    if name == "linear":  # whose beta reaches beta_max at any T
        return
    (row,) = sa.gaussian("DDIM", steps=4, schedule=name, T=0.5, **asked).rows
    times = [0.5 - (0.5 - 1e-3) * i / 4 for i in range(5)]
    assert row["w2_x"] == pytest.approx(ddim(alpha, times), rel=1e-10)


def test_what_is_no_schedule_is_refused_with_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("square.npy", np.ones((2, 2)) / 2)
    np.save("words.npy", np.array(["a", "b"]))
    np.save("rising.npy", np.array([0.5, 0.6]))
    np.save("one.npy", np.array([0.5]))
    np.save("lost.npy", np.array([0.5, np.nan]))
    np.save("objects.npy", np.array([None, {}], dtype=object))
    (tmp_path / "text.npy").write_text("0.9, 0.5")
    for asked, said in (
        ("--schedule cubic", "'cubic': there are linear, cosine, scaled-linear, or FILE.npy"),
        ("--schedule bars.txt", "there are linear, cosine"),
        ("--schedule none.npy", "there is no file none.npy"),
        ("--schedule square.npy", "(2, 2), not one row of numbers"),
        ("--schedule words.npy", "words.npy holds <U1, not real numbers"),
        ("--schedule objects.npy", "objects.npy is not a readable .npy array"),
        ("--schedule text.npy", "text.npy is not a readable .npy array"),
        ("--schedule rising.npy", "alpha-bar 0.6 at index 1 of the table: it falls with time"),
        ("--schedule one.npy", "from 2 to 100000 numbers, not 1"),
        ("--schedule lost.npy", "alpha-bar nan at index 1 of the table is not finite"),
        ("--schedule cosine --param beta_min=1", "beta_min: the linear schedule's"),
        ("--schedule cosine --param T=1.5", "T = 1.5: the cosine schedule ends at 1"),
        ("--model ve --schedule cosine", "schedule cosine: it belongs to vp, not to ve"),
        ("--model psld --schedule linear", "schedule linear: it belongs to vp, not to psld"),
    ):
        model = [] if "--model" in asked else ["--model", "vp"]
        name = "EM" if "psld" in asked else "DDIM"
        with pytest.raises(SystemExit) as stopped:
            cli.main(["gaussian", name, "--steps", "3", *model, *asked.split()])
        shown = capsys.readouterr()
        assert stopped.value.code == 2 and not shown.out, asked
        assert said in shown.err and shown.err.count("\n") == 1, (asked, shown.err)
