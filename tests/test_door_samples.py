"""`sa.sample`: the samples of the command, what is refused, and the package without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import splitting_analysis as sa


@pytest.mark.heavy
def test_samples_are_those_of_the_command(tmp_path):
    torch = pytest.importorskip("torch")
    import numpy as np

    from gpu_samplers.embedded import digits_network
    from gpu_samplers.job import Job
    from gpu_samplers.sampling import write_samples

    images = sa.sample("O S B A", n=3, nfe=4, seed=7, lambda_s="5/4", grid="Quadratic")
    network, process = digits_network()
    job = Job(sa.scheme("O S B A"), process, 3, 4, seed=7, lambda_s=1.25, grid="quadratic")
    write_samples(tmp_path, job, network)
    (shard,) = tmp_path.glob("*.npz")
    assert images.shape == (3, 1, 8, 8) and np.array_equal(images, np.load(shard)["images"])
    drawn = sa.sample("EM", model="vp", n=2000, nfe=50, score=lambda z, tau: -z, shape=(2,))
    assert drawn.shape == (2000, 2) and abs(drawn.var() - 1) < 5 * (2 / 4000) ** 0.5 + 0.01
    assert torch.is_grad_enabled()


@pytest.mark.heavy
def test_the_adaptive_solver_samples_as_the_command_does(tmp_path):
    pytest.importorskip("torch")
    import numpy as np

    from gpu_samplers.embedded import digits_network
    from gpu_samplers.job import Job
    from gpu_samplers.sampling import write_samples

    images = sa.sample("rk45 Adaptive", n=2, seed=7, tol=0.1)
    network, process = digits_network()
    write_samples(tmp_path, Job(None, process, 2, seed=7, tol=0.1), network)
    (shard,) = tmp_path.glob("*.npz")
    assert np.array_equal(images, np.load(shard)["images"])
    for given, said in (
        ({"nfe": 5}, "nfe = 5: RK45 adaptive takes what its tolerance"),
        ({"eta": 1}, "RK45 adaptive has no lambda, factor, eta, clock or skip"),
        ({"lambda_s": 1}, "lambda_s: RK45 adaptive has no letter O"),
        ({"score": abs, "shape": (2,)}, "RK45 adaptive samples a network here"),
    ):
        with pytest.raises(ValueError, match=said):
            sa.sample("RK45 adaptive", **given)
    with pytest.raises(ValueError, match=r"tol = 0\.1: EM has fixed steps"):
        sa.sample("EM", tol=0.1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "langevin"}, "EM is a langevin scheme: a network is trained for psld, vp"),
        ({"model": "vp", "checkpoint": "digits"}, "which is not model vp"),
        ({"nfe": 0}, "0 evaluations buy no step"),
        ({"shape": (2,)}, "a network has its own"),
        ({"score": abs}, "needs the shape of one sample"),
        ({"lambda_s": 1}, "lambda_s: EM has no letter O"),
        ({"gamma": 1}, "has no parameter 'gamma'"),
        ({"grid": "log"}, "no grid 'log'"),
        ({"score": abs, "shape": (2,), "n": 0}, "n = 0"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(given, said):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=said):
        sa.sample("EM", **given)


@pytest.mark.heavy
def test_without_torch_the_package_works_and_sampling_says_what_to_install():
    code = """
import sys
sys.modules["torch"] = None
import splitting_analysis as sa
assert not {"numpy", "sympy", "scipy", "matplotlib", "mpmath"} & set(sys.modules)
sa.gaussian("EM", nfe=5, spectrum=1)
try:
    sa.sample("ROBA")
except ImportError as error:
    print(type(error).__name__, error)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout == (
        "ImportError sa.sample needs torch, which is not installed: pip install "
        "'splitting-analysis[torch]'\n"
    )
