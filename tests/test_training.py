"""Training: the right objective, the same weights however often it is interrupted, a record that is true."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

from gpu_samplers import training
from gpu_samplers.checkpoints import read_checkpoint
from gpu_samplers.configs import Config
from gpu_samplers.data import Images
from gpu_samplers.embedded import process_of
from gpu_samplers.processes import PSLD
from gpu_samplers.training import Settings, kernels, loss_of, perturbed, train
from reports.cli import main

TINY = Config(8, 4, (1,), 1, (), 0.1, in_ch=2, out_ch=2)
VARYING = PSLD(Gamma=0.1, nu=3.9, beta_min=3.0, beta_max=12.0, kappa=0.3)


def images(n=10):
    return Images("noise", torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1)


def settings(**changes):
    return replace(Settings(TINY, steps=4, batch=6, warmup=2), **changes)


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(training, "LOOK_EVERY", 2)


@pytest.mark.parametrize("process", [PSLD(), VARYING, PSLD(0.0, 4.0)], ids=["paper", "varying", "CLD"])
def test_the_perturbation_is_the_forward_process(process):
    """Mean and covariance against their own differential equations, from hybrid score matching's start."""
    drift = np.array([[-process.Gamma, 1 / process.M], [-1, -process.nu]]) / 2
    noise = np.diag([process.Gamma, process.M * process.nu])
    for tau in (0.01, 0.3, 1.0):
        steps = 4000
        mean, covariance = np.array([1.0, 0.0]), np.diag([0.0, process.kappa * process.M])
        for i in range(steps):  # midpoint rule: error ~ steps^-2
            h, beta = tau / steps, process.beta((i + 0.5) * tau / steps)

            def slopes(m, c, beta=beta):
                return beta * drift @ m, beta * (drift @ c + c @ drift.T + noise)

            half = [v + h / 2 * s for v, s in zip((mean, covariance), slopes(mean, covariance), strict=True)]
            mean, covariance = (v + h * s for v, s in zip((mean, covariance), slopes(*half), strict=True))
        (factor,), (lower,) = kernels(process, [tau])
        assert factor == pytest.approx(mean, abs=1e-5)
        assert lower @ lower.T == pytest.approx(covariance, abs=1e-5)
        assert lower[0, 1] == 0


def test_images_and_normals_are_put_together_channel_by_channel():
    x, normal = torch.randn(3, 2, 8, 8, dtype=torch.float64), torch.randn(3, 4, 8, 8, dtype=torch.float64)
    taus = [0.2, 0.5, 1.0]
    z = perturbed(VARYING, x, torch.tensor(taus), normal)
    means, lowers = kernels(VARYING, torch.tensor(taus).tolist())
    for i in range(3):
        for c in range(2):
            wanted = np.einsum("a,hw->ahw", means[i], x[i, c]) + np.einsum(
                "ab,bhw->ahw", lowers[i], normal[i, [c, 2 + c]]
            )
            assert np.allclose(z[i, [c, 2 + c]], wanted, atol=1e-12)


def test_the_best_network_for_one_image_predicts_its_normals():
    """With one image the posterior mean of the normals is known: the loss is 0 there, and only there."""
    x = torch.full((64, 1, 8, 8), 0.5)

    class Exact(nn.Module):
        off = 0.0

        def forward(self, z, t):
            means, lowers = (torch.from_numpy(a) for a in kernels(PSLD(), t.tolist()))
            rest = z.double().unflatten(1, (2, 1)) - means[:, :, None, None, None] * 0.5
            normal = torch.linalg.solve_triangular(lowers, rest.flatten(2), upper=False)
            return normal.reshape(z.shape).float() + self.off

    network, normal = Exact(), torch.randn(64, 2, 8, 8)
    tau = torch.linspace(1e-3, 1, 64)
    assert loss_of(network, PSLD(), x, tau, normal).item() < 1e-5
    network.off = 0.1
    assert loss_of(network, PSLD(), x, tau, normal).item() == pytest.approx(0.01, rel=0.05)


def weights(path):
    return read_checkpoint(path).weights


def same(a, b):
    return all(torch.equal(value, b[key]) for key, value in a.items()) and a.keys() == b.keys()


def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(tmp_path):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    straight = train(settings(steps=6), images(), whole)

    def stop(done, _total, _loss):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings(steps=6), images(), parts, save_every=0, progress=stop)
    assert not parts.exists()
    assert [path.name for path in tmp_path.iterdir() if "parts" in path.name] == ["parts.safetensors.partial"]
    seen = []
    record = train(settings(steps=6), images(), parts, progress=lambda done, *_: seen.append(done))
    assert seen == [4, 6]
    assert same(weights(whole), weights(parts))
    assert record["curve"] == straight["curve"]
    assert not (tmp_path / "parts.safetensors.partial").exists()


def test_the_seed_decides_the_weights_and_the_callers_generator_is_left_alone(tmp_path):
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    torch.manual_seed(11)
    before = torch.get_rng_state()
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        train(settings(seed=seed), images(), path)
        torch.rand(1)
    assert same(weights(paths[0]), weights(paths[1]))
    assert not same(weights(paths[0]), weights(paths[2]))
    torch.manual_seed(11)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_step_and_every_seed_draws_images_times_and_normals_of_its_own(tmp_path, monkeypatch):
    drawn, loss = [], training.loss_of

    def seen(network, process, *random):
        if network.training:
            drawn.append(random)
        return loss(network, process, *random)

    monkeypatch.setattr(training, "loss_of", seen)
    for seed in (0, 1):
        train(settings(seed=seed), images(), tmp_path / "net.safetensors")
    assert len(drawn) == 8
    for k in range(3):
        assert len({draw[k].numpy().tobytes() for draw in drawn}) == 8


def test_the_file_knows_how_it_was_trained(tmp_path):
    told = settings(process=VARYING, rate=2e-3)
    record = train(told, images(), tmp_path / "net.safetensors")
    stored = read_checkpoint(tmp_path / "net.safetensors")
    assert stored.config == TINY and process_of(stored) == VARYING
    assert stored.record == json.loads(json.dumps(record))
    assert {"steps": 4, "rate": 2e-3, "data": "noise", "held_out": 2}.items() <= stored.record.items()
    assert stored.record["images_sha256"] == images().digest
    assert [step for step, *_ in stored.record["curve"]] == [2, 4]
    assert all(math.isfinite(loss) for point in stored.record["curve"] for loss in point)


def test_the_loss_falls(tmp_path):
    record = train(settings(steps=60, batch=32, rate=5e-3), images(), tmp_path / "net.safetensors")
    (_, first, _), *_, (_, last, held) = record["curve"]
    assert first > 0.9  # a new network predicts about 0: the normals' variance is left
    assert max(last, held) < 0.6 * first


def test_the_average_follows_the_weights_with_the_decay_asked_for(tmp_path, monkeypatch):
    """decay 0 keeps the last weights alone; the average lags behind them otherwise."""
    trained, step = [], training._train_step

    def seen(told, run, taught):
        trained.append(run)
        return step(told, run, taught)

    monkeypatch.setattr(training, "_train_step", seen)
    for ema in (0.0, 0.9):
        train(settings(ema=ema), images(), tmp_path / f"{ema}.safetensors")
        last = {key: value.detach() for key, value in trained[-1].network.state_dict().items()}
        assert same(weights(tmp_path / f"{ema}.safetensors"), last) == (ema == 0.0)


def test_the_rate_rises_in_the_warmup_and_falls_to_zero():
    told = settings(steps=100, warmup=10, rate=1.0)
    rates = [training._rate(told, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert np.all(np.diff(rates[9:]) < 0) and rates[-1] == pytest.approx(0)
    mean, _ = quad(lambda u: (1 + math.cos(math.pi * u)) / 2, 0, 1)
    assert np.mean(rates[10:]) == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps = 0; it must be at least 1"),
        ({"batch": -1}, "batch = -1"),
        ({"rate": 0.0}, "rate = 0.0; it must be positive"),
        ({"rate": math.nan}, "rate = nan"),
        ({"clip": math.inf}, "clip = inf"),
        ({"ema": 1.0}, "ema = 1.0"),
        ({"warmup": -1}, "warmup = -1"),
        ({"eps": 0.0}, "eps = 0.0"),
        ({"eps": 1.0}, "eps = 1.0"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        settings(**changes)


def test_images_that_do_not_fit_the_network_are_refused(tmp_path):
    with pytest.raises(ValueError, match="in_ch = out_ch = 6, image_size = 8; not 2, 2, 8"):
        train(settings(), Images("rgb", torch.zeros(2, 3, 8, 8)), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_partial_file_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    path = tmp_path / "net.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(settings(), images(), path, progress=stop)
    with pytest.raises(ValueError, match=r"other settings \(rate 0.001, now 0.5\); repeat its settings"):
        train(settings(rate=0.5), images(), path)
    with pytest.raises(ValueError, match=r"other settings \(images_sha256"):
        train(settings(), images(11), path)
    (tmp_path / "net.safetensors.partial").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no interrupted training, or damaged"):
        train(settings(), images(), path)


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_step(tmp_path, monkeypatch):
    nothing = lambda network, *_: network.all_modules[0].weight.sum() * math.nan  # noqa: E731
    monkeypatch.setattr(training, "loss_of", nothing)
    plain = replace(TINY, embedding_type="positional")
    with pytest.raises(FloatingPointError, match="the loss is nan in step 1 of 4"):
        train(settings(config=plain), images(), tmp_path / "net.safetensors")
    assert not (tmp_path / "net.safetensors").exists()


def test_the_command_trains_what_the_function_trains(tmp_path, capsys):
    np.savez(tmp_path / "noise.npz", images=images().pixels[:, 0].numpy())
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.as_dict()))
    out = tmp_path / "net.safetensors"
    with pytest.raises(SystemExit) as exit_:
        main([
            "train", "--data", str(tmp_path / "noise.npz"), "--config", str(tmp_path / "tiny.json"),
            "--out", str(out), "--steps", "4", "--batch", "6",
            "--rate", "2e-3", "--ema", "0.5", "--seed", "7",
            "--param", "Gamma=0.1,nu=3.9,beta_min=3,beta_max=12,kappa=0.3",
        ])  # fmt: skip
    assert exit_.value.code == 0
    shown = capsys.readouterr()
    assert "[4/4] loss" in shown.err and "on held-out images" in shown.out
    told = Settings(TINY, VARYING, steps=4, batch=6, rate=2e-3, ema=0.5, seed=7)
    train(told, Images("noise.npz", images().pixels), tmp_path / "same.safetensors")
    assert same(weights(out), weights(tmp_path / "same.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "net.pt"], "must be named *.safetensors"),
        (["--out", "there.safetensors"], "exists already; --force replaces it"),
        (["--out", "nowhere/net.safetensors"], "there is no folder nowhere"),
        (["--out", "net.safetensors", "--device", "tpu"], "finds no such device"),
        (["--out", "net.safetensors", "--data", "photos"], "--config: give the network for these images"),
        (["--out", "net.safetensors", "--param", "gamma=1"], "gamma"),
        (["--out", "net.safetensors", "--steps", "0"], "steps = 0"),
    ],
)
def test_the_command_refuses_what_cannot_be_done(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.safetensors").touch()
    with pytest.raises(SystemExit) as exit_:
        main(["train", *arguments])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]
