"""Noise that belongs to the sample, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

torch = pytest.importorskip("torch", reason="noise is drawn by torch")

from gpu_samplers.noise import Noise, _Block, stream_seed  # noqa: E402

ROOT = Path(__file__).parents[1]
SHAPES = [(3, 32, 32), (1,), (5,), (3, 5, 7)]


def draws(indices, shape, parts=(2, 2, 1, 2), dtype=torch.float32, seed=5):
    """{sample: [draw, ...]} of one batch."""
    noise = Noise(seed, indices, shape, dtype)
    rounds = [noise(count) for count in parts]
    assert all(
        r.shape == (count, len(indices), *shape) for r, count in zip(rounds, parts, strict=True)
    )
    return {i: [r[:, b] for r in rounds] for b, i in enumerate(indices)}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@settings(max_examples=10)
@given(order=st.permutations(range(9)), cut=st.integers(1, 8))
def test_a_samples_noise_is_the_same_bits_in_any_batch_and_order(shape, dtype, order, cut):
    alone = {i: draws([i], shape, dtype=dtype)[i] for i in range(9)}
    for batch in (order, order[:cut], order[cut:]):
        for i, rounds in draws(batch, shape, dtype=dtype).items():
            assert all(torch.equal(a, b) for a, b in zip(rounds, alone[i], strict=True))
            assert rounds[0].dtype == dtype


@pytest.mark.heavy
def test_another_process_with_another_number_of_threads_draws_the_same_bits():
    code = (
        "import torch, hashlib; torch.set_num_threads(2); from gpu_samplers.noise import Noise;"
        "n = Noise(5, [7, 123456], (3, 32, 32)); n(2);"
        "print(hashlib.sha256(n(2)[:, 1].contiguous().numpy().tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = draws([3, 123456, 8], (3, 32, 32))[123456][1]
    assert other.stdout.strip() == sha256(ours.contiguous().numpy().tobytes()).hexdigest()


def test_samples_draws_components_and_seeds_are_unrelated():
    shape = (3000,)
    columns = [
        part.double().numpy()
        for seed in (0, 1)
        for rounds in draws([0, 1, 2], shape, seed=seed).values()
        for draw in rounds
        for part in draw
    ]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    assert len(columns) == 2 * 3 * 7
    assert np.abs(correlations).max() < 5 / np.sqrt(shape[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(4000,), (5,)], ids=str)
def test_the_numbers_are_standard_normal(dtype, shape):
    values = Noise(1, range(40_000 // shape[0]), shape, dtype)(2).double().numpy().ravel()
    assert kstest(values, "norm").pvalue > 0.01
    assert abs(values.var() - 1) < 4 * np.sqrt(2 / values.size)


def test_no_two_samples_of_a_run_share_a_stream():
    seeds = {stream_seed(11, i) for i in range(200_000)}
    assert len(seeds) == 200_000
    assert not seeds & {stream_seed(12, i) for i in range(50_000)}


@given(seed=st.integers(0, 2**64), index=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1))
def test_a_stream_is_32_bits_and_one_to_one_in_the_index(seed, index, other):
    assert 0 <= stream_seed(seed, index) < 2**32
    assert (stream_seed(seed, index) == stream_seed(seed, other)) == (index == other)


def test_a_draw_is_not_overwritten_by_the_next():
    noise = Noise(0, [0, 1], (4, 4))
    first = noise(2)
    kept = first.clone()
    noise(2)
    assert torch.equal(first, kept)


def test_bad_noise_is_refused():
    with pytest.raises(ValueError, match=r"sample index -1: .* \[0, 2\^32\)"):
        Noise(0, [3, -1], (2,))
    with pytest.raises(ValueError, match="sample index 4294967296"):
        Noise(0, [2**32], (2,))
    with pytest.raises(ValueError, match=r"float32 or float64, not torch\.bfloat16"):
        Noise(0, [0], (2,), torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4, 64, 64), (3, 61, 61)], ids=["whole groups", "an odd size"])
def test_noise_drawn_ahead_is_the_same_bit_for_bit_and_may_be_more_or_less_than_was_expected(
    dtype, shape
):
    plain, ahead = (Noise(3, range(4), shape, dtype) for _ in range(2))
    sizes = [2, 2, 1, 2, 4, 1, 2, 2]
    now = [plain(parts).clone() for parts in sizes]
    ahead.expect(sum(sizes[:5]))
    drawn = [ahead(parts) for parts in sizes[:6]]  # one more than announced
    ahead.expect(5)  # one more than is drawn
    drawn += [ahead(parts) for parts in sizes[6:]]
    assert all(torch.equal(a, b) for a, b in zip(now, drawn, strict=True))


def test_a_run_has_its_noise_drawn_ahead():
    noise = Noise(3, range(4), (4, 64, 64))
    noise.expect(2)
    assert noise._coming
    noise(2)
    assert not noise._coming
    small = Noise(3, range(4), (1, 8, 8))
    small.expect(2)
    assert not small._coming


def test_whoever_waits_for_a_block_draws_rows_of_it_and_the_next_block_waits_for_that():
    seeds = [5, 6, 7]
    expected = torch.stack(
        [torch.randn(32, generator=torch.Generator().manual_seed(s)) for s in seeds]
    )
    block = _Block(
        [torch.Generator().manual_seed(s) for s in seeds], 32, torch.float32, pinned=False
    )
    with ThreadPoolExecutor(1) as pool:
        with block._helping:  # as if it still drew a row
            block.fill()
            assert torch.equal(block.normals, expected)
            drawn = pool.submit(block.draw)
            with pytest.raises(TimeoutError):
                drawn.result(timeout=0.1)
        drawn.result(timeout=60)
    assert torch.equal(block.normals, expected)


@pytest.mark.parametrize("indices", [np.arange(5, 8), torch.arange(5, 8)], ids=["numpy", "torch"])
def test_indices_may_be_an_array(indices):
    assert torch.equal(Noise(0, indices, (4,))(2), Noise(0, [5, 6, 7], (4,))(2))


def test_helping_leaves_every_bit_as_it_is():
    plain, ahead = (Noise(3, range(9), (3, 40, 40)) for _ in range(2))
    ahead.expect(200)
    assert all(torch.equal(plain(2), ahead(2)) for _ in range(100))


def before_mixing(x):
    """MurmurHash3's finalizer undone: there is one number for each, so no two streams meet."""
    x ^= x >> 16
    x = x * pow(0xC2B2AE35, -1, 2**32) % 2**32
    x ^= x >> 13 ^ x >> 26
    x = x * pow(0x85EBCA6B, -1, 2**32) % 2**32
    return x ^ x >> 16


@pytest.mark.parametrize("seed", [0, 7, -1])
def test_the_streams_of_a_run_are_those_of_neighbouring_numbers_mixed_without_loss(seed):
    first = before_mixing(stream_seed(seed, 0))
    for index in (1, 2, 1000, 2**31, 2**32 - 1):
        assert (before_mixing(stream_seed(seed, index)) - first) % 2**32 == index
