"""Training: the right objective, every image and time it should see, a record that is true."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gpu_samplers import matching, processes, training
from gpu_samplers.checkpoints import read_checkpoint
from gpu_samplers.data import Images
from gpu_samplers.embedded import process_of
from gpu_samplers.processes import PSLD, VP
from gpu_samplers.training import Settings, loss_of, train
from reports.cli import main
from splitting_analysis.processes import ScheduledVP
from tests.trained import (
    TINY,
    calls,
    exit_of_the_command,
    images,
    look_often,
    same,
    settings,
    weights,
)

__all__ = ["calls", "look_often"]  # fixtures

VARYING = PSLD(Gamma=0.1, nu=3.9, beta_min=3.0, beta_max=12.0, kappa=0.3)


def test_a_network_of_vp_is_trained_told_and_run_as_one_of_vp_alone(tmp_path, capsys):
    one = replace(TINY, in_ch=1, out_ch=1)
    path, process = tmp_path / "net.safetensors", VP(beta_max=10.0)
    record = train(settings(config=one, process=process), images(), path)
    assert record["model"] == "vp" and process_of(read_checkpoint(path)) == process
    with pytest.raises(ValueError, match="of vp with in_ch = out_ch = 1, image_size = 8; not 2, 2"):
        train(settings(process=process), images(), path)
    drawn = ["sample", "--nfe", "5", "--n", "2", "--checkpoint", str(path), "--sampler"]
    with pytest.raises(SystemExit, match="0"):
        main([*drawn, "DPM++2M", "--out", str(tmp_path / "a")])
    told = json.loads((tmp_path / "a" / "run.json").read_text())
    assert told["process"] == {"model": "vp", "beta_min": 0.1, "beta_max": 10.0, "T": 1.0}
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main([*drawn, "ROBA", "--out", str(tmp_path / "b")])
    said = capsys.readouterr().err
    assert "its record says the model 'vp', which is not --model psld" in said


def test_a_network_is_trained_for_a_process_whose_parameters_its_record_can_hold():
    with pytest.raises(ValueError, match=r"for psld or vp \(with a linear beta\), not for Schedu"):
        settings(process=ScheduledVP())


def test_the_best_network_for_one_image_predicts_its_normals():
    """With one image the posterior mean of the normals is known: the loss is 0 there, and only
    there.
    """
    x = torch.full((64, 1, 8, 8), 0.5)

    class Exact(nn.Module):
        off = 0.0

        def forward(self, z, t):
            means, covariances = (
                torch.from_numpy(a) for a in processes.kernels(PSLD(), t.tolist())
            )
            lowers = torch.linalg.cholesky(covariances)
            rest = z.double().unflatten(1, (2, 1)) - means[:, :, None, None, None] * 0.5
            normal = torch.linalg.solve_triangular(lowers, rest.flatten(2), upper=False)
            return normal.reshape(z.shape).float() + self.off

    network, normal = Exact(), torch.randn(64, 2, 8, 8)
    tau = torch.linspace(1e-3, 1, 64)
    assert loss_of(network, PSLD(), x, tau, normal).item() < 1e-5
    network.off = 0.1
    assert loss_of(network, PSLD(), x, tau, normal).item() == pytest.approx(0.01, rel=0.05)


def test_the_seed_decides_the_weights_and_the_callers_generator_is_left_alone(tmp_path):
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        torch.rand(1)
        before = torch.get_rng_state()
        train(settings(seed=seed), images(), path)
        assert torch.equal(torch.get_rng_state(), before)
    assert same(weights(paths[0]), weights(paths[1]))
    assert not same(weights(paths[0]), weights(paths[2]))


def test_every_step_and_every_seed_draws_images_times_and_normals_of_its_own(tmp_path, calls):
    for seed in (0, 1):
        train(settings(seed=seed), images(), tmp_path / "net.safetensors")
    drawn = [call for taught, *call in calls if taught]
    assert len(drawn) == 8
    for k in range(3):
        assert len({draw[k].numpy().tobytes() for draw in drawn}) == 8


def test_training_sees_every_image_but_those_held_out_and_the_second_curve_sees_just_these(
    tmp_path, calls
):
    train(settings(batch=64), images(), tmp_path / "net.safetensors")
    taught, held = images().split()
    drawn = [image for training_, x, *_ in calls if training_ for image in x]
    assert {image.numpy().tobytes() for image in drawn} == {
        image.numpy().tobytes() for image in taught
    }
    looks = [x for training_, x, *_ in calls if not training_]
    assert len(looks) == 2 and all(torch.equal(x, held) for x in looks)


def test_the_times_of_a_batch_and_of_the_second_curve_cover_the_whole_process_evenly(
    tmp_path, calls
):
    told = settings(process=PSLD(T=2.0), eps=0.1)
    train(told, images(), tmp_path / "net.safetensors")
    for taught, _, tau, *_ in calls:
        times, apart = np.sort(tau.numpy()), 1.9 / len(tau)
        assert np.diff(times) == pytest.approx(apart, rel=1e-4)
        assert 0.1 <= times[0] <= 0.1 + apart
        assert taught or times[0] == pytest.approx(0.1 + apart / 2)


def test_the_curves_are_the_mean_loss_since_the_point_before_and_that_on_the_held_out_images(
    tmp_path, calls
):
    record = train(settings(steps=5), images(), tmp_path / "net.safetensors")
    losses, held = ([call[-1] for call in calls if call[0] == taught] for taught in (True, False))
    means = [(losses[0] + losses[1]) / 2, (losses[2] + losses[3]) / 2, losses[4]]
    assert record["curve"] == list(zip((2, 4, 5), means, held, strict=True))


def test_the_file_knows_how_it_was_trained(tmp_path):
    told = settings(process=VARYING, rate=2e-3)
    record = train(told, images(), tmp_path / "net.safetensors")
    stored = read_checkpoint(tmp_path / "net.safetensors")
    assert stored.config == TINY and process_of(stored) == VARYING
    assert stored.record == json.loads(json.dumps(record))
    assert {
        "steps": 4,
        "rate": 2e-3,
        "data": "noise",
        "held_out": 2,
    }.items() <= stored.record.items()
    assert stored.record["images_sha256"] == images().digest
    assert [step for step, *_ in stored.record["curve"]] == [2, 4]
    assert all(math.isfinite(loss) for point in stored.record["curve"] for loss in point)


@pytest.mark.heavy
def test_the_loss_falls(tmp_path):
    record = train(settings(steps=40, batch=24, rate=8e-3), images(), tmp_path / "net.safetensors")
    (_, first, _), *_, (_, last, held) = record["curve"]
    assert first > 0.9  # a new network predicts about 0: the normals' variance is left
    assert max(last, held) < 0.6 * first


@pytest.mark.parametrize("ema", [0.0, 0.2, 0.9])
def test_the_average_follows_the_weights_as_asked_for_and_faster_early_on(
    tmp_path, monkeypatch, ema
):
    trained, step = [], training._train_step

    def copied(told, run, taught):
        step(told, run, taught)
        trained.append({key: value.double() for key, value in run.network.state_dict().items()})

    monkeypatch.setattr(training, "_train_step", copied)
    train(settings(ema=ema), images(), tmp_path / "net.safetensors")
    average = training._started(settings(), "cpu").average.state_dict()
    for k, own in enumerate(trained, 1):
        decay = min(ema, k / (k + 9))
        average = {key: decay * average[key] + (1 - decay) * own[key] for key in own}
    for key, value in weights(tmp_path / "net.safetensors").items():
        assert torch.allclose(value.double(), average[key], rtol=1e-6, atol=1e-7)


def test_the_gradient_that_adam_sees_is_no_longer_than_the_clip(tmp_path):
    norms = []

    def measured(optimizer, *_):
        grads = [
            p.grad
            for group in optimizer.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        norms.append(nn.utils.get_total_norm(grads).item())

    hook = register_optimizer_step_pre_hook(measured)
    for clip in (1e-3, 1e6):
        train(settings(clip=clip), images(), tmp_path / "net.safetensors")
    hook.remove()
    assert norms[:4] == pytest.approx([1e-3] * 4, rel=1e-3)
    assert min(norms[4:]) > 1e-2


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
        ({"rate": 1e300}, r"rate = 1e\+300; .*at most 1000, e.g. 1e-3"),
        ({"clip": math.inf}, "clip = inf"),
        ({"ema": 1.0}, "ema = 1.0"),
        ({"warmup": -1}, "warmup = -1"),
        ({"eps": 0.0}, "eps = 0.0"),
        ({"eps": 1.0}, "eps = 1.0"),
        ({"precision": "bfloat16"}, "precision = bfloat16; it is float32 or bf16"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        settings(**changes)


def test_too_few_images_to_hold_one_out_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds out one image of 5: 4 are too few"):
        train(settings(), images(4), tmp_path / "net.safetensors")


def test_images_that_do_not_fit_the_network_are_refused(tmp_path):
    with pytest.raises(ValueError, match="in_ch = out_ch = 6, image_size = 8; not 2, 2, 8"):
        train(settings(), Images("rgb", torch.zeros(2, 3, 8, 8)), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_step(tmp_path, monkeypatch):
    nothing = lambda network, *_: network.all_modules[0].weight.sum() * math.nan  # noqa: E731
    monkeypatch.setattr(training, "loss_of", nothing)
    plain = replace(TINY, embedding_type="positional")
    with pytest.raises(FloatingPointError, match="the loss is nan in step 1 of 4"):
        train(settings(config=plain), images(), tmp_path / "net.safetensors")
    assert not (tmp_path / "net.safetensors").exists()


def test_a_loss_that_is_read_late_still_names_the_first_bad_step(tmp_path, monkeypatch):
    """As on a card: steps 2 and 3 have been taken with what step 2 spoiled."""
    monkeypatch.setattr(training, "_patience", lambda _: 50)
    monkeypatch.setattr(training, "LOOK_EVERY", 3)
    losses, loss = [], training.loss_of

    def spoiled(network, *drawn):
        losses.append(1)
        return loss(network, *drawn) * (math.inf if len(losses) == 2 else 1)

    monkeypatch.setattr(training, "loss_of", spoiled)
    with pytest.raises(FloatingPointError, match="the loss is inf in step 2 of 4"):
        train(settings(), images(), tmp_path / "net.safetensors")
    assert len(losses) == 3 and not list(tmp_path.iterdir())


def test_the_times_of_a_card_begin_at_one_of_so_many_places_and_cover_the_process_evenly():
    told, apart = settings(batch=6, eps=0.1), 0.9 / 6
    found = {tuple(training._times(told, torch.rand(1), 4).tolist()) for _ in range(100)}
    assert len(found) == 4
    for times in found:
        assert np.diff(np.sort(times)) == pytest.approx(apart, rel=1e-4)
        assert 0.1 <= min(times) < 0.1 + apart
    free = {tuple(training._times(told, torch.rand(1), 0).tolist()) for _ in range(100)}
    assert len(free) > 90


def test_no_kernel_is_computed_in_a_step_on_a_card():
    told = settings(batch=5)
    matching.factors.cache_clear()
    training._prepare(told)
    made = matching.factors.cache_info().misses
    for _ in range(200):
        tau = training._times(told, torch.rand(1), matching.OFFSETS)
        matching.factors(told.process, tuple(tau.tolist()))
    assert made == matching.OFFSETS == matching.factors.cache_info().misses


def test_in_bf16_the_network_multiplies_in_bf16_and_keeps_its_weights_in_float32(tmp_path, calls):
    paths = [tmp_path / f"{name}.safetensors" for name in training.PRECISIONS]
    records = [
        train(settings(precision=name), images(), path)
        for name, path in zip(training.PRECISIONS, paths, strict=True)
    ]
    plain, half = (weights(path) for path in paths)
    assert {value.dtype for value in half.values()} == {torch.float32} and not same(plain, half)
    for key, value in half.items():
        assert torch.allclose(value, plain[key], atol=1e-2), key
    for exact, rounded in zip(*(record["curve"] for record in records), strict=True):
        assert rounded == pytest.approx(exact, rel=1e-2)
        assert rounded[1:] != exact[1:]
    assert [record["precision"] for record in records] == list(training.PRECISIONS)


def test_a_compiled_training_is_the_same_training_and_its_record_says_so(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        nn.Module, "compile", lambda module, **options: compiled.append((module, options))
    )
    record = train(settings(), images(), tmp_path / "a.safetensors", compile=True)
    plain = train(settings(), images(), tmp_path / "b.safetensors")
    assert [(type(module).__name__, options) for module, options in compiled] == [
        ("NCSNpp", {"dynamic": False})
    ]
    assert same(weights(tmp_path / "a.safetensors"), weights(tmp_path / "b.safetensors"))
    assert record["compiled"] is True and "compiled" not in plain


@pytest.mark.heavy
# its compiler imports what it deprecates
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_what_torch_compiles_comes_to_the_same_weights_up_to_rounding(tmp_path):
    told = settings(config=replace(TINY, dropout=0.0))
    for name, compile_ in (("a", True), ("b", False)):
        train(told, images(), tmp_path / f"{name}.safetensors", compile=compile_)
    ours, plain = (weights(tmp_path / f"{name}.safetensors") for name in "ab")
    assert all(torch.allclose(ours[key], value, atol=1e-4) for key, value in plain.items())


def test_of_many_held_out_images_as_many_are_looked_at_as_cost_little(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(training, "MOST_HELD", 3)
    train(settings(), images(40), tmp_path / "net.safetensors")
    _, held = images(40).split()
    looks = [x for taught, x, *_ in calls if not taught]
    assert len(held) == 8 and len(looks) == 2 and all(torch.equal(x, held[::3]) for x in looks)


def test_the_command_trains_what_the_function_trains(tmp_path, capsys):
    out = tmp_path / "net.safetensors"
    assert exit_of_the_command(tmp_path) == 0
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
        (["--out", "net.safetensors", "--data", "photos"], "no data 'photos'"),
        (
            ["--out", "net.safetensors", "--data", "few.npz"],
            "--config: give the network for these images",
        ),
        (["--out", "net.safetensors", "--param", "gamma=1"], "gamma"),
        (["--out", "net.safetensors", "--steps", "0"], "steps = 0"),
        (["--out", "net.safetensors", "--precision", "half"], "precision = half"),
    ],
)
def test_the_command_refuses_what_cannot_be_done(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.safetensors").touch()
    np.savez("few.npz", images=images(4).pixels[:, 0].numpy())
    with pytest.raises(SystemExit) as exit_:
        main(["train", *arguments])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"few.npz", "there.safetensors"}
