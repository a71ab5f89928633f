"""`splitting-analysis sample`: every option reaches its place, and what a person sees of a run."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

import splitting_analysis as sa  # noqa: E402
from gpu_samplers import Config, load_checkpoint, ncsnpp, sampling, save_checkpoint  # noqa: E402
from gpu_samplers.distributed import Rank  # noqa: E402
from gpu_samplers.embedded import DIGITS  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.processes import PSLD, VP  # noqa: E402
from gpu_samplers.sampling import Made, write_samples  # noqa: E402
from gpu_samplers.shards import read_shard  # noqa: E402
from reports import cli  # noqa: E402
from splitting_analysis import find, scheme  # noqa: E402

ROOT = Path(__file__).parents[1]
CONFIG = Config(4, 4, (1,), 1, (), 0.0, in_ch=2, out_ch=2)
RECORD = {"process": {"Gamma": 0.02, "nu": 4.02, "beta_min": 7.0, "beta_max": 8.0, "kappa": 0.04}}
TRAINED = PSLD(0.02, 4.02, 7.0, 8.0, 0.04)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A checkpoint that holds its configuration and its process."""
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    torch.manual_seed(0)
    network = ncsnpp(CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
    save_checkpoint(path, network, RECORD)
    return path


@pytest.fixture
def run(capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        try:
            cli.main(["sample", *map(str, arguments)])
            code: object = 0
        except SystemExit as stopped:
            code = stopped.code or 0
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def asked(monkeypatch):
    """What the command asks of `write_samples`, which is not run."""
    calls = []

    def noted(folder, job, network, **options):
        calls.append((folder, job, network, options))
        return Made(job.n, 1.0, (3, 3))

    monkeypatch.setattr(sampling, "write_samples", noted)
    return calls


def images(folder):
    return np.concatenate([read_shard(path)[0] for path in sorted(folder.glob("*.npz"))])


def test_without_options_a_run_has_the_documented_defaults(run, asked, net):
    assert run("--sampler", "roba", "--nfe", 5, "--n", 3, "--out", "x", "--checkpoint", net)[0] == 0
    ((folder, job, network, options),) = asked
    assert folder == Path("x") and job == Job(find("ROBA"), TRAINED, 3, 5)
    assert network.config == CONFIG and next(network.parameters()).dtype == torch.float32
    assert options.pop("progress") is options.pop("partly") is not None
    assert options == {
        "batch": None,
        "device": "cpu",
        "compile": False,
        "channels_last": False,
        "winograd": False,
        "graphs": False,
        "rank": Rank(0, 1, 0),
    }


def test_what_a_word_is_told_reaches_the_job_and_a_name_its_own_model(run, asked, net, monkeypatch):
    given = ("--nfe", 9, "--n", 3, "--out", "x")
    told = ("--lower-order-final", "--eta", "1/2", "--clock", "rho", "--param", "factor=upper")
    assert run("--sampler", "P2M", *given, "--checkpoint", net, *told)[0] == 0
    assert run("--sampler", "ROBA", *given, "--checkpoint", net, "--merge-noise")[0] == 0
    monkeypatch.setattr(
        "reports.commands.sample._network_and_process", lambda *_: ("network", VP())
    )
    assert run("--sampler", "DDPM", *given)[0] == 0
    first, second, third = (job for _, job, _, _ in asked)
    assert first.scheme == sa.scheme(
        "P2M", lower_order_final=True, eta="1/2", clock="rho", factor="upper"
    )
    assert (first.merge_noise, second.merge_noise) == (False, True)
    assert third.scheme == find("DDPM", "vp")


def test_every_option_reaches_its_place(run, asked, net, tmp_path):
    torch.save(load_checkpoint(net).state_dict(), tmp_path / "bare.pt")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.as_dict()))
    assert (
        run(
            "--sampler",
            "O S B A",
            "--nfe",
            9,
            "-n",
            7,
            "--out",
            tmp_path / "out",
            "--checkpoint",
            tmp_path / "bare.pt",
            "--config",
            tmp_path / "config.json",
            "--model",
            "psld",
            "--param",
            "Gamma=0.5,nu=3,T=1.5",
            "--factor",
            "upper",
            "--numerical-eps",
            1e-9,
            "--seed",
            4,
            "--grid",
            "quadratic",
            "--eps",
            0.01,
            "--no-denoise",
            "--lambda-s",
            1.2,
            "--format",
            "png",
            "--shard",
            6,
            "--batch",
            5,
            "--device",
            "cuda",
            "--precision",
            "float64",
            "--state",
            "float32",
            "--compile",
            "--channels-last",
            "--winograd",
            "--graphs",
        )[0]
        == 0
    )
    ((folder, job, network, options),) = asked
    assert folder == tmp_path / "out"
    assert job == Job(
        scheme("O S B A"),
        PSLD(0.5, 3.0, T=1.5),
        7,
        9,
        seed=4,
        grid="quadratic",
        eps=0.01,
        denoise=False,
        lambda_s=1.2,
        precision="float64",
        state="float32",
        factor="upper",
        numerical_eps=1e-9,
        shard=6,
        form="png",
    )
    assert network.config == CONFIG and next(network.parameters()).dtype == torch.float64
    del options["progress"], options["partly"]
    assert options == {
        "batch": 5,
        "device": "cuda",
        "compile": True,
        "channels_last": True,
        "winograd": True,
        "graphs": True,
        "rank": Rank(0, 1, 0),
    }


def test_the_process_is_the_checkpoints_unless_the_user_says_another(run, asked, net, tmp_path):
    given = ["--sampler", "EM", "--nfe", 5, "--n", 1, "--out", "x"]
    run(*given, "--checkpoint", net, "--param", "nu=5")
    assert asked[-1][1].process == PSLD(0.02, 5.0, 7.0, 8.0, 0.04)
    bare = tmp_path / "bare.safetensors"
    save_checkpoint(bare, load_checkpoint(net))
    run(*given, "--checkpoint", bare)
    assert asked[-1][1].process == PSLD()
    run(*given, "--checkpoint", bare, "--model", "vp", "--param", "beta_max=10")
    assert asked[-1][1].process == VP(beta_max=10.0) and asked[-1][1].scheme == find("EM", "vp")


def test_the_clock_of_a_word_reaches_the_run_where_it_acts_and_is_refused_elsewhere(
    run, asked, net
):
    word = "S E:data/2 S@1/2 E:data[2]"
    given = ["--n", 1, "--out", "x", "--model", "vp", "--nfe", 7, "--sampler"]
    assert run(*given, word, "--clock", "Rho")[0] == 0
    assert asked[-1][1].scheme == scheme(word, "vp", clock="rho")
    refused = {"--clock hours: there are tau, lambda": [word, "--clock", "hours"]}
    refused["--clock rho: it acts where"] = ["DDPM", "--clock", "rho"]
    for said, arguments in refused.items():
        code, out, error = run(*given, *arguments)
        assert (code, out) == (2, "") and said in error
    box = ["--sampler", "RK45 adaptive", "--n", 1, "--out", "x", "--clock", "rho"]
    assert "chooses its steps itself" in run(*box)[2] and len(asked) == 1


@pytest.mark.heavy
def test_a_notebook_samples_in_the_clock_as_the_command_does_whose_record_names_it(run, tmp_path):
    word, found = "S E:data/2 S@1/2 E:data[2]", {}
    for clock in ("tau", "rho"):
        out = tmp_path / clock
        given = ["--model", "vp", "--n", 2, "--nfe", 7, "--eps", 0.05, "--clock", clock]
        assert run("--sampler", word, *given, "--out", out)[0] == 0
        assert json.loads((out / "run.json").read_text())["clock"] == clock
        found[clock] = images(out)
        again = sa.sample(word, 2, 7, model="vp", eps=0.05, clock=clock)
        assert np.array_equal(found[clock], again)
    assert np.abs(found["tau"] - found["rho"]).max() > 0.01


def test_the_black_box_is_run_by_its_name_and_to_a_tolerance(run, asked, net):
    given = ["--sampler", "rk45 Adaptive", "--n", 1, "--out", "x", "--checkpoint", net]
    run(*given)
    run(*given, "--tol", 1e-2)
    assert [job.tol for _, job, _, _ in asked] == [1e-4, 1e-2]
    assert [job.scheme for _, job, _, _ in asked] == [None, None]


@pytest.mark.heavy
@pytest.mark.skipif(not DIGITS.exists(), reason="the digits network is not trained yet")
def test_without_a_checkpoint_samples_are_digits(run, tmp_path):
    code, out, _ = run("--sampler", "ROBA", "--nfe", 50, "--n", 8, "--batch", 8, "--out", tmp_path)
    assert code == 0 and "8 samples, 50 evaluations each" in out
    assert images(tmp_path).shape == (8, 1, 8, 8)
    assert np.abs(images(tmp_path)).max() < 1.6


def test_a_run_in_a_pipe_prints_plain_lines_and_what_it_did_and_again_that_all_is_there(
    run, net, tmp_path
):
    given = [
        "--sampler",
        "ROBA",
        "--nfe",
        5,
        "--n",
        10,
        "--shard",
        5,
        "--batch",
        3,
        "--checkpoint",
        net,
    ]
    code, out, err = run(*given, "--out", tmp_path / "out")
    left = r" samples, about \d+ s left\n"
    assert code == 0
    assert re.fullmatch(rf"\[3/10\]{left}\[5/10\]{left}\[8/10\]{left}\[10/10\] samples\n", err)
    pattern = r".*out: 10 samples, 5 evaluations each; 10 made now in \d+\.\d s \(\S+ ms each\)\n"
    assert re.fullmatch(pattern, out)
    write_samples(
        tmp_path / "same", Job(find("ROBA"), TRAINED, 10, 5, shard=5), load_checkpoint(net), batch=3
    )
    np.testing.assert_array_equal(images(tmp_path / "out"), images(tmp_path / "same"))
    assert run(*given, "--out", tmp_path / "out") == (
        0,
        f"{tmp_path / 'out'}: 10 samples; all were there\n",
        "",
    )


def test_a_run_on_a_terminal_shows_a_bar(run, net, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run("--sampler", "EM", "--nfe", 5, "--n", 4, "--checkpoint", net, "--out", tmp_path)
    assert "4/4" in terminal.getvalue() and "━" in terminal.getvalue()


def test_an_interrupted_run_says_how_it_goes_on_and_exits_with_130(run, net, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sampling, "_make", interrupted)
        code, out, err = run(
            "--sampler", "EM", "--nfe", 5, "--n", 4, "--checkpoint", net, "--out", tmp_path
        )
    assert (code, out) == (130, "")
    assert err == f"stopped; the same command goes on from what is in {tmp_path}\n"


def test_a_network_that_overflows_is_one_message_that_names_sampler_step_and_time(
    run, net, tmp_path
):
    broken = load_checkpoint(net)
    weights = broken.state_dict()
    weights[f"all_modules.{len(broken.all_modules) - 1}.bias"] += 3e38
    broken.load_state_dict(weights)
    path, out = tmp_path / "big.safetensors", tmp_path / "out"
    save_checkpoint(path, broken, RECORD)
    code, shown, err = run(
        "--sampler", "ROBA", "--nfe", 5, "--n", 4, "--out", out, "--checkpoint", path
    )
    assert (code, shown) == (2, "")
    assert re.fullmatch(
        r"error: ROBA \(O S B A\): .*NaN or infinite in step 1 of 4, reverse time t = 0 .*\n", err
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--sampler", "ROBOA"], "no scheme is named 'ROBOA' in model psld; did you mean ROBA"),
        (["--sampler", "O S B"], "does not add up"),
        (["--model", "langevin"], "--model langevin: a network is trained for one of: psld, vp"),
        (
            ["--model", "vp", "--sampler", "Heun", "--checkpoint", "digits"],
            "which is not --model vp",
        ),
        (["--param", "Gama=1"], "unknown key 'Gama'"),
        (["--checkpoint", "nowhere.ckpt"], "nowhere.ckpt: cannot be read"),
        (["--config", "cifar10_sota"], "holds another configuration than asked for"),
        (["--nfe", "1"], "1 evaluations buy no step of ROBA"),
        (["--format", "gif"], "no format 'gif'; there are: npz, png"),
        (["--batch", "600"], "batch = 600: a batch is a part of a shard"),
        (["--tol", "0.1"], "ROBA has fixed steps"),
    ],
)
def test_what_cannot_be_run_is_refused_with_exit_code_2(run, net, tmp_path, wrong, message):
    right = {
        "--sampler": "ROBA",
        "--nfe": "5",
        "--n": "4",
        "--out": str(tmp_path),
        "--checkpoint": str(net),
    }
    right |= dict(zip(wrong[::2], wrong[1::2], strict=True))
    code, out, err = run(*[part for pair in right.items() for part in pair])
    assert (code, out) == (2, "") and message in err and err.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_the_configuration_of_the_digits_network_cannot_be_replaced(run, tmp_path):
    code, _, err = run(
        "--sampler", "EM", "--nfe", 5, "--n", 1, "--out", tmp_path, "--config", "tiny_sota"
    )
    assert code == 2 and "give --checkpoint too" in err


# Several processes.


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_of_the_folder_is_refused_and_nothing_is_written(
    run, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--sampler", "ROBA", "--nfe", 4, "-n", 1, "--out", name)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "empty name" in err
    assert not list(tmp_path.iterdir())
