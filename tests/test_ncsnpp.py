"""The network: released keys and outputs, and each of its parts by a second route."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the network needs torch")

from gpu_samplers import CONFIGS, Config, config_of, ncsnpp  # noqa: E402
from gpu_samplers.network import layers  # noqa: E402
from reports.experiments.gpu_parity import fill_by_rule  # noqa: E402
from tests.strategies import examples  # noqa: E402

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
TINY = Config(8, 8, (1, 2), 1, (4,), 0.5)
"""8 x 8 pixels, 22,000 parameters; every kind of layer of `cifar10_sota`."""


def reference(name):
    if not (REFERENCE / name).exists():
        pytest.skip(f"{name} is not here")
    return (
        json.loads((REFERENCE / name).read_text())
        if name.endswith(".json")
        else np.load(REFERENCE / name)
    )


def tiny_double(config=TINY):
    return fill_by_rule(ncsnpp(config)).double()


def states(n, config=TINY, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    shape = (n, config.in_ch, config.image_size, config.image_size)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_keys_their_order_shapes_and_number_of_parameters_are_the_released_ones(name):
    released = reference("ncsnpp_keys.json")[name]
    with torch.device("meta"):
        network = ncsnpp(name)
    assert [[key, list(entry.shape)] for key, entry in network.state_dict().items()] == released[
        "keys"
    ]
    assert sum(parameter.numel() for parameter in network.parameters()) == released["n_params"]


def test_the_named_configurations_are_the_released_ones_and_no_other():
    released = reference("ncsnpp_keys.json")
    released.pop("_about")
    described = {
        name: {key: entry[key] for key in ("image_size", "score_fn")}
        for name, entry in released.items()
    }
    assert {name: config_of(entry) for name, entry in described.items()} == dict(CONFIGS)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-5), ("float64", 1e-10)])
def test_the_outputs_are_those_of_the_released_network(precision, tolerance):
    io = reference("ncsnpp_tiny_sota_io.npz")
    dtype = getattr(torch, precision)
    network = fill_by_rule(ncsnpp("tiny_sota")).to(dtype)
    with torch.no_grad():
        out = network(torch.from_numpy(io["x"]).to(dtype), torch.from_numpy(io["t"]).to(dtype))
    np.testing.assert_allclose(out.numpy(), io[precision], rtol=0, atol=tolerance)


@examples(10)
@given(
    mult=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3),
    attends=st.booleans(),
    nf=st.sampled_from([4, 8]),
    blocks=st.sampled_from([1, 2]),
    resampling=st.sampled_from([(True, "none"), (True, "residual"), (False, "none")]),
    embedding=st.sampled_from(["fourier", "positional"]),
)
def test_in_every_configuration_modules_are_stored_in_the_order_of_their_use(
    mult, attends, nf, blocks, resampling, embedding
):
    fir, pyramid = resampling
    config = Config(
        4, nf, tuple(mult), blocks, (4,) if attends else (), 0.0, fir, pyramid, embedding
    )
    network = fill_by_rule(ncsnpp(config))
    used = []
    for i, module in enumerate(network.all_modules):
        module.register_forward_hook(lambda *_, i=i: used.append(i))
    with torch.no_grad():
        out = network(states(2, config, torch.float32), torch.tensor(0.3))
    assert used == list(range(len(network.all_modules)))
    assert out.shape == (2, 6, 4, 4) and out.isfinite().all()


def filtered(signal, taps, stride, before, after, spread=1):
    """Zeros between and around the numbers of a line, then the taps slid along it, every stride-th
    place.
    """
    line = np.zeros(before + spread * len(signal) + after)
    line[before : before + spread * len(signal) : spread] = signal
    return np.convolve(line, taps, mode="valid")[::stride]


@pytest.mark.parametrize(
    ("layer", "stride", "before", "after", "spread"),
    [
        (layers.Fir((1, 3, 3, 1), stride=2, padding=1), 2, 1, 1, 1),
        (layers.Fir((1, 3, 3, 1), stride=1, padding=2), 1, 2, 2, 1),
        (layers.FirUp((1, 3, 3, 1)), 1, 2, 1, 2),
    ],
    ids=["down", "blur", "up"],
)
def test_filtered_resampling_is_zero_insertion_filtering_and_decimation_of_rows_and_columns(
    layer, stride, before, after, spread
):
    image = np.random.default_rng(1).standard_normal((2, 3, 6, 6))
    taps = spread * np.array([1, 3, 3, 1]) / 8
    expected = image
    for axis in (2, 3):
        expected = np.apply_along_axis(
            filtered, axis, expected, taps, stride, before, after, spread
        )
    out = layer.double()(torch.from_numpy(image)).numpy()
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)


def test_without_the_filter_resampling_is_the_mean_of_four_pixels_and_their_repetition():
    config = CONFIGS["tiny_ablation"]
    image = np.random.default_rng(1).standard_normal((2, 3, 6, 6))
    down = layers.resampling(config, "down")(torch.from_numpy(image)).numpy()
    up = layers.resampling(config, "up")(torch.from_numpy(image)).numpy()
    mean = (
        image[:, :, ::2, ::2]
        + image[:, :, 1::2, ::2]
        + image[:, :, ::2, 1::2]
        + image[:, :, 1::2, 1::2]
    ) / 4
    np.testing.assert_allclose(down, mean, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(up, np.kron(image, np.ones((2, 2))))


def test_fourier_features_are_those_of_the_logarithm_of_unscaled_time():
    layer = layers.FourierFeatures(5, 16.0).double()
    t = np.array([1e-3, 0.4, 1.0])
    phase = 2 * np.pi * np.outer(np.log(t), layer.W.numpy())
    expected = np.hstack([np.sin(phase), np.cos(phase)])
    np.testing.assert_allclose(layer(torch.from_numpy(t)).numpy(), expected, rtol=0, atol=1e-12)


def test_positional_features_are_those_of_unscaled_time():
    t = np.array([1e-3, 0.4, 1.0])
    features = layers.positional_features(torch.from_numpy(t), 5).numpy()
    for row, time in zip(features, t, strict=True):
        for k in range(5):
            phase = time * 10.0**-k  # from 1 to 1e-4
            assert row[k] == pytest.approx(math.sin(phase), abs=1e-15)
            assert row[5 + k] == pytest.approx(math.cos(phase), abs=1e-15)


def test_attention_mixes_pixels_by_the_softmax_of_their_products():
    layer = fill_by_rule(layers.Attention(TINY, 8)).double()
    x = torch.from_numpy(np.random.default_rng(2).standard_normal((1, 8, 2, 2)))
    pixels = layer.GroupNorm_0(x).detach().numpy()[0].reshape(8, 4)
    weights = {name: entry.numpy() for name, entry in layer.state_dict().items()}
    q, k, v = (weights[f"NIN_{i}.W"].T @ pixels + weights[f"NIN_{i}.b"][:, None] for i in range(3))
    h = np.empty_like(v)
    for i in range(4):
        chances = np.exp([q[:, i] @ k[:, j] / math.sqrt(8) for j in range(4)])
        h[:, i] = v @ (chances / chances.sum())
    h = weights["NIN_3.W"].T @ h + weights["NIN_3.b"][:, None]
    expected = (x.numpy()[0] + h.reshape(8, 2, 2)) / math.sqrt(2)
    np.testing.assert_allclose(layer(x).detach().numpy()[0], expected, rtol=0, atol=1e-13)


@torch.no_grad()
def test_a_states_noise_depends_on_no_other_state_and_one_time_may_stand_for_all():
    network, z = tiny_double(), states(3)
    times = torch.tensor([0.2, 0.7, 0.9], dtype=torch.float64)
    together = network(z, times)
    for i in range(3):
        torch.testing.assert_close(
            network(z[i : i + 1], times[i])[0], together[i], rtol=0, atol=1e-13
        )
    assert (network(z, times[0]) - together)[1:].abs().max() > 1e-3


@torch.no_grad()
def test_dropout_acts_in_training_only():
    network, z, t = tiny_double(), states(1), torch.tensor(0.5)
    assert torch.equal(network(z, t), network(z, t))
    network.train()
    assert not torch.equal(network(z, t), network(z, t))


@torch.no_grad()
def test_a_bf16_network_tells_times_as_well_as_a_float32_one():
    network, seen = fill_by_rule(ncsnpp(TINY)), []
    network.all_modules[0].register_forward_hook(
        lambda _module, _inputs, features: seen.append(features)
    )
    # the smallest time: the largest phases
    z, t = states(4, dtype=torch.float32), torch.tensor(1e-3)
    exact = network(z, t)
    network.bfloat16()
    rounded = network(z.bfloat16(), t)
    assert torch.equal(seen[0], seen[1])
    assert rounded.dtype == torch.bfloat16
    assert 0 < (rounded.float() - exact).abs().max() < 0.05 * exact.abs().max()
    assert {entry.dtype for entry in network.double().state_dict().values()} == {torch.float64}


def test_a_new_network_predicts_nearly_nothing_and_all_of_it_but_the_frequencies_can_learn():
    torch.manual_seed(0)
    network = ncsnpp(TINY)
    out = network(states(2, dtype=torch.float32), torch.tensor([0.3, 0.8]))
    assert 0 < out.abs().max() < 1e-3
    (out - 1).square().sum().backward()
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == ["all_modules.0.W"]


# torch's own first use of jvp runs what torch itself deprecates
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_torch_func_differentiates_the_network_in_both_modes_and_twice():
    network, t = tiny_double(), torch.tensor(0.4, dtype=torch.float64)
    z, v, w = states(3).split(1)
    f = lambda z: network(z, t)  # noqa: E731
    _, forward = torch.func.jvp(f, (z,), (v,))
    _, pull = torch.func.vjp(f, z)
    assert (forward * w).sum().item() == pytest.approx((pull(w)[0] * v).sum().item(), rel=1e-10)
    h = 1e-4
    with torch.no_grad():
        up, here, down = f(z + h * v), f(z), f(z - h * v)
    torch.testing.assert_close(forward.detach(), (up - down) / (2 * h), rtol=0, atol=1e-5)
    _, second = torch.func.jvp(lambda z: torch.func.jvp(f, (z,), (v,))[1], (z,), (v,))
    torch.testing.assert_close(second.detach(), (up - 2 * here + down) / h**2, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 0}, "image_size = 0; it must be a positive whole number"),
        ({"num_res_blocks": True}, "num_res_blocks = True"),
        ({"nf": 6}, "nf = 6; it must be a positive multiple of 4"),
        ({"ch_mult": [1, 0.5]}, "ch_mult"),
        ({"ch_mult": 3}, "ch_mult"),
        ({"ch_mult": []}, "ch_mult"),
        ({"ch_mult": [1] * 5}, "divisible by 2"),
        (
            {"attn_resolutions": [7]},
            r"attn_resolutions = \(7,\); it must be among the levels \(8, 4\)",
        ),
        ({"dropout": 1.0}, r"a number in \[0, 1\)"),
        ({"init_scale": -1}, "init_scale"),
        ({"fourier_scale": math.nan}, "fourier_scale"),
        ({"fir": "yes"}, "true or false"),
        ({"fir_kernel": [1, 3, 3, 2]}, "symmetric"),
        ({"fir_kernel": [1, 1]}, "four symmetric taps"),
        ({"progressive_input": "input_skip"}, "none or residual"),
        ({"embedding_type": "learned"}, "fourier or positional"),
        ({"fir": False}, "none where fir is false"),
        ({"resblock_type": "ddpm"}, "resblock_type = ddpm; it must be 'biggan'"),
        ({"nonsense": 1, "more": 2}, "unknown settings more, nonsense; known are"),
        ({"score_fn": 3}, "score_fn = 3; it must be a dict of settings"),
        ({"score_fn": {"nf": 4}}, "nf both inside and outside of score_fn"),
        ({"nf": 20, "ch_mult": [4, 8]}, "240 channels do not divide into the 32 groups"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused_with_what_would_be_right(change, message):
    with pytest.raises(ValueError, match=message):
        ncsnpp({**TINY.as_dict(), **change})


def test_a_configuration_is_a_name_a_dict_or_a_file_and_survives_json(tmp_path):
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(TINY.as_dict()))
    assert (
        config_of(file)
        == config_of(str(file))
        == config_of(TINY.as_dict())
        == config_of(TINY)
        == TINY
    )
    with pytest.raises(
        ValueError, match="no network configuration 'cifar'; there are cifar10_sota, "
    ):
        config_of("cifar")
    with pytest.raises(ValueError, match=r"^network configuration: missing settings nf, ch_mult, "):
        config_of({"image_size": 8})
    with pytest.raises(ValueError, match="expected a name or a dict of settings, got 3"):
        config_of(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("{", "cannot be read as JSON: "),
        ("\udcff", "cannot be read as JSON: "),
        (
            '{"image_size": 8, "nf": 8}',
            "network configuration: missing settings ch_mult, num_res_blocks, ",
        ),
        (json.dumps({**TINY.as_dict(), "nf": 7}), "network configuration: nf = 7; it must be"),
        ('"other.json"', "no network configuration 'other.json'"),
    ],
)
def test_a_file_without_a_configuration_is_refused_by_its_name(tmp_path, content, message):
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content, errors="surrogateescape")
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: {message}')}"):
        config_of(file)


@pytest.mark.parametrize(
    ("z", "t"), [((2, 6, 8, 4), ()), ((2, 3, 8, 8), ()), ((2, 6, 8, 8), (3,)), ((6, 8, 8), (6,))]
)
def test_a_state_or_time_of_another_shape_is_refused(z, t):
    with pytest.raises(
        ValueError, match=r"the network takes states \(B, 6, 8, 8\) and times \(B,\) or \(\)"
    ):
        ncsnpp(TINY)(torch.zeros(z), torch.ones(t))
