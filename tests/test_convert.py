"""The command `convert`: a checkpoint becomes safetensors."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from reports.commands.convert import convert

torch = pytest.importorskip("torch", reason="checkpoints need torch")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="checkpoints need safetensors")

from gpu_samplers import (  # noqa: E402
    CONFIGS,
    load_checkpoint,
    ncsnpp,
    save_checkpoint,
)
from tests.test_checkpoints import (  # noqa: E402
    TINY,
    file,  # noqa: F401 - a fixture
    lightning,
    network,
    same,
)


def run(*arguments):
    app = typer.Typer()
    app.command()(convert)
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.heavy
def test_convert_writes_safetensors_that_need_no_configuration(tmp_path, file):  # noqa: F811
    path = file(lightning(network(1), network(2)))
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY.as_dict()))
    averaged, trained = tmp_path / "ema.safetensors", tmp_path / "online.safetensors"
    shown = run(path, averaged, "--config", config).output
    n = sum(p.numel() for p in network().parameters())
    assert (
        shown == f"{averaged}: {len(network().state_dict())} entries, {n:,} parameters, from "
        "ema_score_fn.*\n"
    )
    assert run(path, trained, "--config", config, "--online").exit_code == 0
    assert same(load_checkpoint(averaged), network(2)) and same(
        load_checkpoint(trained), network(1)
    )
    again = tmp_path / "again.safetensors"
    assert run(averaged, again).exit_code == 0
    assert again.read_bytes() == averaged.read_bytes()


def test_convert_takes_the_averaged_weights_or_those_asked_for_and_keeps_the_record(tmp_path, file):  # noqa: F811
    path, config = file(lightning(network(1), network(2))), tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY.as_dict()))
    for online, seed in ((False, 2), (True, 1)):
        target = tmp_path / f"{seed}.safetensors"
        convert(path, target, str(config), online)
        assert same(load_checkpoint(target), network(seed))
    told, again = tmp_path / "told.safetensors", tmp_path / "again.safetensors"
    save_checkpoint(told, network(), {"loss": 0.5})
    convert(told, again)
    assert again.read_bytes() == told.read_bytes()


def test_convert_takes_a_configuration_by_name(tmp_path, file):  # noqa: F811
    target = tmp_path / "tiny.safetensors"
    convert(file(ncsnpp("tiny_ablation").state_dict()), target, config="tiny_ablation")
    assert load_checkpoint(target).config == CONFIGS["tiny_ablation"]


def test_convert_replaces_a_file_only_if_told_to(tmp_path, file):  # noqa: F811
    path, target = file(network(1).state_dict()), tmp_path / "net.safetensors"
    save_checkpoint(target, network(2))
    refused = run(path, target, "--config", "tiny_sota").exception
    assert isinstance(refused, ValueError) and "exists already; --force replaces it" in str(refused)
    assert same(load_checkpoint(target), network(2))
    assert "must be named *.safetensors" in str(run(path, tmp_path / "net.bin").exception)
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY.as_dict()))
    assert run(path, target, "--config", config, "--force").exit_code == 0
    assert same(load_checkpoint(target), network(1))


def test_the_help_of_convert_needs_no_torch():
    code = (
        "import sys, reports.commands.convert; print('torch' in sys.modules, 'numpy' in "
        "sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
