"""Weights in and out of files. Loading never executes what a file contains.

Read: released Lightning checkpoints (.ckpt), plain state dicts (.pt, .pth), safetensors; what a
file is, its first bytes decide, not its name. Written: safetensors, with the configuration inside
as JSON.
"""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpu_samplers.configs import CONFIGS, Config, config_of
from gpu_samplers.files import check_readable, parsed, size, whole
from gpu_samplers.memory import check_memory
from gpu_samplers.network import NCSNpp, ncsnpp

EMA, ONLINE = "ema_score_fn.", "score_fn."
"""Prefixes of the two networks in a Lightning checkpoint: the averaged weights and the trained
ones.
"""

METADATA = "splitting-analysis"
"""The one entry of a safetensors file's metadata written here: with several, their order would be
random.
"""

INERT = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf", "pathlib", "typing")
"""Objects of these packages, saved beside the weights, are read as an empty shell; their code is
not run.
"""

SHOWN = 6
"""Entries listed in an error, per kind."""
NAME = 160
"""Characters of an entry's name that are shown."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: weights by bare key, which of its networks they are, and what it says of
    itself.
    """

    weights: dict[str, Tensor]
    prefix: str
    """EMA, ONLINE, or "" for a file that holds one network."""
    config: Config | None
    record: dict[str, Any]
    """Whatever was stored beside the configuration: training settings, scores. Empty in foreign
    files.
    """


class _Shell:
    """Stands in for an object of an INERT package: takes any arguments and any state, and keeps
    nothing.
    """

    def __new__(cls, *_args: object, **_options: object) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_options: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def read_checkpoint(path: str | Path, *, ema: bool = True) -> Checkpoint:
    """The weights in a file, without building a network.

    A Lightning checkpoint gives its averaged weights; the trained ones if it has no others or `ema`
    is false. Raises ValueError, naming the file, if it cannot be read, is no checkpoint, or asks
    for code to be run.
    """
    path = Path(path)
    check_readable(path)
    with path.open("rb") as file:
        head = file.read(9)
    # safetensors: the length of a header in 8 bytes, then the header, JSON
    entries, metadata = _safetensors(path) if head[8:] == b"{" else (_state_dict(path), {})
    weights, prefix = _network(path, entries, ema=ema)
    return Checkpoint(weights, prefix, *_told(path, metadata))


def load_checkpoint(
    path: str | Path,
    config: Config | str | Path | Mapping[str, Any] | None = None,
    *,
    ema: bool = True,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> NCSNpp:
    """The network in a file, in eval mode.

    `config` is as in `ncsnpp`; a file written by `save_checkpoint` needs none. Besides what
    `read_checkpoint` refuses, ValueError lists the entries that are missing, not expected, of
    another shape or not finite.
    """
    return network_of(path, read_checkpoint(path, ema=ema), config, dtype).to(device)


def network_of(
    path: str | Path,
    stored: Checkpoint,
    config: Config | str | Path | Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> NCSNpp:
    """The network of a checkpoint that has been read, in eval mode. Errors as in
    load_checkpoint.
    """
    wanted = stored.config if config is None else config_of(config)
    if wanted is None:
        raise ValueError(
            f"{path}: the file does not say its configuration; give one of {', '.join(CONFIGS)}, "
            f"or a .json file.{_suggestion(stored.weights)}"
        )
    if stored.config and stored.config != wanted:
        own, asked = stored.config.as_dict(), wanted.as_dict()
        differ = [
            f"{name} {own[name]}, not {asked[name]}" for name in own if own[name] != asked[name]
        ]
        raise ValueError(f"{path}: holds another configuration than asked for: {'; '.join(differ)}")
    with torch.device("meta"):
        network = ncsnpp(wanted)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    check_memory(
        4 * numbers, f"{path}: a network of {numbers:,} parameters", "give another configuration"
    )
    if problems := problems_of(network.state_dict(), stored.weights):
        text = "\n".join(f"  {problem}" for problem in problems)
        raise ValueError(
            f"{path}: the weights do not fit the "
            f"configuration:\n{text}{_suggestion(stored.weights)}"
        )
    # to lower precisions the network goes as a whole, because it keeps some entries from going; the
    # copy lets go of the file
    wide = torch.promote_types(dtype, torch.float32)
    network.load_state_dict(
        {k: v.to(wide, copy=True) for k, v in stored.weights.items()}, assign=True
    )
    return network.to(dtype).eval()


def save_checkpoint(
    path: str | Path, network: NCSNpp, record: Mapping[str, Any] | None = None
) -> None:
    """Write a network as safetensors, its configuration and `record` (JSON) inside.

    The file appears complete or not at all: it is written beside its place and then renamed.
    Raises ValueError if the place cannot be written.
    """
    told = {"config": network.config.as_dict(), "record": dict(record or {})}
    metadata = {METADATA: json.dumps(told)}
    weights = {
        key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()
    }
    with whole(Path(path)) as part:
        try:
            save_file(weights, part, metadata)
        except SafetensorError as error:  # what the system said, in its words
            raise OSError(None, str(error)) from None


def unpickled(path: Path) -> Any:
    """What a file of torch.save holds, by torch's unpickler for weights; nothing else is looked up.

    Raises ValueError, naming the file, if it cannot be read. What torch says then is not repeated:
    it advises to read the file without protection.
    """
    check_readable(path)
    shells: list[Any] = []
    archive = zipfile.is_zipfile(path)
    try:
        if archive and (inside := _unpacked_bytes(path)) > path.stat().st_size:
            inflated = (
                f"refused: an archive that unpacks to {size(inside)}; torch.save packs nothing"
            )
            raise _Inflated(inflated)  # noqa: TRY301 - told below, like all that is wrong
        if archive:
            named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            shells = [(_Shell, name) for name in named if name.partition(".")[0] in INERT]
        with torch.serialization.safe_globals(shells), warnings.catch_warnings():
            # what it cannot read, it refuses
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            # mapped: the optimizer's state, twice the size of the weights, is not read
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # noqa: BLE001 - damaged bytes can make an unpickler raise anything
        asked = (
            re.search(r"GLOBAL (\S+)", str(error))
            if isinstance(error, pickle.UnpicklingError)
            else None
        )
        if isinstance(error, _Inflated):
            problem = str(error)
        elif asked:
            problem = (
                f"refused: reading it would run {asked[1]}; weights need tensors and plain data "
                "only"
            )
        elif not archive and _is_foreign_pickle(path):
            problem = "refused: a pickle that torch.save did not write; reading it could run code"
        else:
            problem = "neither safetensors nor a checkpoint of torch.save, or damaged"
        raise ValueError(f"{path}: {problem}") from None
    return content


class _Inflated(Exception):
    """An archive whose content is larger than itself."""


def _unpacked_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _state_dict(path: Path) -> dict[str, Any]:
    content = unpickled(path)
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{path}: holds no state dict, but {type(content).__name__}")
    return content


def _is_foreign_pickle(path: Path) -> bool:
    """Whether the file is a pickle of something else than torch.save's mark; nothing in it is
    run.
    """
    try:
        with path.open("rb") as file:
            return torch.serialization.MAGIC_NUMBER not in [
                found for _, found, _ in pickletools.genops(file)
            ]
    except Exception:  # noqa: BLE001 - as above
        return False


def _safetensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: damaged safetensors: {error}") from None


def _told(path: Path, metadata: Mapping[str, str]) -> tuple[Config | None, dict[str, Any]]:
    """The configuration and the record in a file's metadata; None and {} in foreign files."""
    if METADATA not in metadata:
        return None, {}
    try:
        return _pair(parsed(metadata[METADATA]))
    except ValueError as error:
        raise ValueError(f"{path}: damaged metadata {METADATA!r}: {error}") from None


def _pair(told: Any) -> tuple[Config, dict[str, Any]]:
    if not isinstance(told, dict) or not all(
        isinstance(told.get(k), dict) for k in ("config", "record")
    ):
        raise ValueError("it is no pair of a configuration and a record, {...} each")
    return config_of(told["config"]), told["record"]


def _network(path: Path, entries: Mapping[str, Any], *, ema: bool) -> tuple[dict[str, Tensor], str]:
    """The entries of one network, by bare key, and the prefix that they had."""
    for prefix in (EMA, ONLINE) if ema else (ONLINE,):
        bare = {
            key.removeprefix(prefix): value
            for key, value in entries.items()
            if key.startswith(prefix)
        }
        if bare:
            break
    else:
        if any(key.startswith(EMA) for key in entries):
            raise ValueError(f"{path}: holds averaged weights ({EMA}) only; read it with them")
        bare, prefix = dict(entries), ""
    if foreign := [key for key, value in bare.items() if not isinstance(value, Tensor)]:
        raise ValueError(f"{path}: not the weights of a network: no tensors in {_listed(foreign)}")
    return bare, prefix


def problems_of(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What keeps the given entries from being the wanted ones, kind by kind; empty where they
    are.
    """
    both = [key for key in wanted if key in given]
    shapes = [key for key in both if wanted[key].shape != given[key].shape]
    # a wrong shape may be a huge one, of no memory
    fitting = [key for key in both if key not in set(shapes)]
    finds = {
        "missing": [key for key in wanted if key not in given],
        "not expected": [key for key in given if key not in wanted],
        "of another shape": [
            f"{k} {list(given[k].shape)}, not {list(wanted[k].shape)}" for k in shapes
        ],
        "not dense real numbers": [k for k in both if not _is_plain(given[k])],
        "nan or infinite": [
            k for k in fitting if _is_plain(given[k]) and not given[k].isfinite().all()
        ],
    }
    return [f"{len(keys)} {what}: {_listed(keys)}" for what, keys in finds.items() if keys]


def _is_plain(value: Tensor) -> bool:
    return value.is_floating_point() and value.layout == torch.strided and not value.is_meta


def _listed(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(key if len(key) <= NAME else key[:NAME] + "..." for key in keys[:SHOWN]) + more


def _suggestion(weights: Mapping[str, Tensor]) -> str:
    """The named configurations that the weights fit, as a sentence; nothing if there are none."""
    shapes = {key: value.shape for key, value in weights.items()}
    fitting = [name for name, config in CONFIGS.items() if _shapes(config) == shapes]
    return f" They fit {' and '.join(fitting)}." if fitting else ""


@cache
def _shapes(config: Config) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in ncsnpp(config).state_dict().items()}
