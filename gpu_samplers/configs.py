"""The settings of an NCSN++ network, checked at construction, and the released ones by name.

The field names are those of the released configuration files, so that their `score_fn` sections are
accepted as they are. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from reprlib import Repr
from typing import Any

from gpu_samplers.files import is_there, read_json

FIXED: Mapping[str, Any] = {
    "name": "ncsnpp",
    "nonlinearity": "swish",
    "resblock_type": "biggan",
    "resamp_with_conv": True,
    "noise_cond": True,
    "progressive": "none",
    "progressive_combine": "sum",
}
"""Settings in which the released configurations do not differ: accepted in a dict, with this value
only.
"""


@dataclass(frozen=True)
class Config:
    """An NCSN++ network; raises ValueError for settings that cannot be built.

    The state has `in_ch` channels of `image_size` x `image_size` pixels (PSLD: position and
    momentum of an RGB image, 6). Level i has `nf * ch_mult[i]` channels at resolution image_size /
    2^i.
    """

    image_size: int
    nf: int
    ch_mult: tuple[int, ...]
    num_res_blocks: int
    attn_resolutions: tuple[int, ...]
    dropout: float
    fir: bool = True
    progressive_input: str = "residual"
    embedding_type: str = "fourier"
    in_ch: int = 6
    out_ch: int = 6
    skip_rescale: bool = True
    init_scale: float = 0.0
    fourier_scale: float = 16.0
    fir_kernel: tuple[float, ...] = (1, 3, 3, 1)

    def __post_init__(self) -> None:
        for names, holds, wanted in _KINDS:
            for name in names:
                if not holds(getattr(self, name)):
                    raise _refused(name, getattr(self, name), wanted)
        for name in ("ch_mult", "attn_resolutions", "fir_kernel"):  # JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.ch_mult or self.image_size % 2 ** (len(self.ch_mult) - 1):
            wanted = (
                "one factor per level, and image_size divisible by 2 at each level but the last"
            )
            raise _refused("ch_mult", f"{self.ch_mult} with image_size {self.image_size}", wanted)
        if not set(self.attn_resolutions) <= set(self.resolutions):
            raise _refused(
                "attn_resolutions", self.attn_resolutions, f"among the levels {self.resolutions}"
            )
        if self.progressive_input == "residual" and not self.fir:
            raise _refused("progressive_input", "residual", "none where fir is false")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Pixels along one side, level by level."""
        return tuple(self.image_size >> level for level in range(len(self.ch_mult)))

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them; `config_of` takes them back."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


SHORT = Repr()
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = 12
SHORT.maxstring = SHORT.maxother = 80
"""How a message shows a value that a file holds, however long or deep it is."""


def _shown(value: object) -> str:
    """A value as a message shows it: in short, however long or deep it is."""
    return value if isinstance(value, str) and len(value) <= SHORT.maxstring else SHORT.repr(value)


def _refused(name: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"network configuration: {name} = {_shown(value)}; it must be {wanted}")


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _up_to(most: int) -> Callable[[object], bool]:
    return lambda value: _counts(value) and isinstance(value, int) and value <= most


def _all_count(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) <= 16 and all(map(_up_to(4096), value))


def _is_number(value: object, least: float = 0.0, below: float = 1e30) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < below


def _is_filter(value: object) -> bool:
    taps = tuple(value) if isinstance(value, list | tuple) else ()
    return len(taps) == 4 and all(map(_is_number, taps)) and taps == taps[::-1] and sum(taps) > 0


_KINDS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    # The upper ends are far beyond any network that was trained: a slip is refused, not built for
    # minutes.
    (("image_size",), _up_to(4096), "a positive whole number, at most 4096"),
    (("num_res_blocks",), _up_to(256), "a positive whole number, at most 256"),
    (("in_ch", "out_ch"), _up_to(4096), "a positive whole number, at most 4096"),
    (("nf",), lambda v: _up_to(8192)(v) and v % 4 == 0, "a positive multiple of 4, at most 8192"),
    (
        ("ch_mult", "attn_resolutions"),
        _all_count,
        "a list of at most 16 positive whole numbers up to 4096",
    ),
    (("dropout",), lambda v: _is_number(v, below=1), "a number in [0, 1)"),
    (("init_scale", "fourier_scale"), _is_number, "a finite number, not negative"),
    (("fir", "skip_rescale"), lambda v: isinstance(v, bool), "true or false"),
    (("fir_kernel",), _is_filter, "four symmetric taps [a, b, b, a], not negative and not all 0"),
    (("progressive_input",), lambda v: v in ("none", "residual"), "none or residual"),
    (("embedding_type",), lambda v: v in ("fourier", "positional"), "fourier or positional"),
)

_SOTA = Config(32, 128, (2, 2, 2), 8, (16,), 0.15)
_ABLATION = replace(
    _SOTA, ch_mult=(1, 2, 2, 2), num_res_blocks=4, dropout=0.1,
    fir=False, progressive_input="none", embedding_type="positional",
)  # fmt: skip

CONFIGS: Mapping[str, Config] = {
    "cifar10_sota": _SOTA,
    "cifar10_ablation": _ABLATION,
    "cifar10_ablation_script": replace(_ABLATION, num_res_blocks=2),
    "celeba64_sota": replace(
        _SOTA, image_size=64, ch_mult=(1, 2, 2, 2), num_res_blocks=4, dropout=0.1
    ),
    "afhqv2": replace(
        _ABLATION, image_size=128, ch_mult=(1, 2, 2, 2, 3), num_res_blocks=2, dropout=0.2
    ),
    "tiny_sota": Config(16, 16, (2, 2), 1, (8,), 0.15),
    "tiny_ablation": replace(
        _ABLATION, image_size=16, nf=16, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(8,)
    ),
}
"""The networks released with PSLD (arXiv 2303.01748), the script that trains the ablation, two
small ones.
"""


def config_of(source: Config | str | Path | Mapping[str, Any]) -> Config:
    """A configuration from its name in CONFIGS, the path of a .json file, or a dict of settings.

    A dict is flat, or {"image_size": .., "score_fn": {..}} as released. ValueError for a name, a
    setting or a value that is not known here.
    """
    if isinstance(source, Config):
        return source
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".json")):
        if not is_there(source):
            raise ValueError(f"{source}: there is no such file")
        try:
            return _config(read_json(Path(source)))
        except ValueError as error:
            text = str(error)
            raise ValueError(
                text if text.startswith(f"{source}:") else f"{source}: {text}"
            ) from None
    return _config(source)


def _config(source: str | Mapping[str, Any]) -> Config:
    if isinstance(source, str):
        if source not in CONFIGS:
            raise ValueError(
                f"no network configuration {SHORT.repr(source)}; there are {', '.join(CONFIGS)}, "
                "or a .json file"
            )
        return CONFIGS[source]
    if not isinstance(source, Mapping):
        wanted = f"expected a name or a dict of settings, got {_shown(source)}"
        raise ValueError(f"network configuration: {wanted}")  # noqa: TRY004 - the file is wrong
    settings = dict(source)
    nested = settings.pop("score_fn", {})
    if not isinstance(nested, Mapping):
        raise _refused("score_fn", nested, "a dict of settings")
    if twice := sorted(map(_shown, settings.keys() & nested.keys())):
        raise ValueError(
            f"network configuration: {', '.join(twice)} both inside and outside of score_fn"
        )
    settings |= nested
    for name, only in FIXED.items():
        if (value := settings.pop(name, only)) != only:
            raise _refused(name, value, f"{only!r}: nothing else is built here")
    known = {field.name for field in fields(Config)}
    if unknown := sorted(map(_shown, settings.keys() - known)):
        more = f" and {len(unknown) - 12} more" if len(unknown) > 12 else ""
        raise ValueError(
            f"network configuration: unknown settings {', '.join(unknown[:12])}{more}; known are "
            f"{', '.join(sorted(known | FIXED.keys()))}"
        )
    if missing := [
        f.name for f in fields(Config) if f.default is MISSING and f.name not in settings
    ]:
        raise ValueError(f"network configuration: missing settings {', '.join(missing)}")
    return Config(**settings)
