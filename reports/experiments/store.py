"""The store of results computed once, `reports/data/*.json`: written and read here alone.

Every file opens with what it is about, the command that makes it and the versions that did, and
carries the SHA-256 of all else that it says, its seal. A number that was changed by hand, or a
merge that mixed two runs, is refused when the file is read. That guards against accidents; against
intent, `make heavy` computes a row of every claim again. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gpu_samplers.files import write_whole

DATA = Path(__file__).parents[1] / "data"
PUBLISHED = DATA / "published.json"
JUDGE = Path(__file__).parents[2] / "analytic_models" / "probing"
SEAL = "_sha256"
"""The key of a document's own digest."""
PACKAGES = ("torch", "numpy", "scipy")


@dataclass(frozen=True)
class Kept:
    """One file of results: its name, the module of this package that makes it, and what it is
    about.

    `arguments` follow the module in its command; `packages` are those whose versions matter; of the
    list under the key `rows`, if there is one, each entry takes one line.
    """

    file: str
    module: str
    what: str
    arguments: str = ""
    packages: tuple[str, ...] = PACKAGES
    rows: str = ""

    @property
    def command(self) -> str:
        return f"python -m reports.experiments.{self.module} {self.arguments}".rstrip()

    @property
    def about(self) -> str:
        return f"{self.what}; see reports/experiments/{self.module}.py."


KEPT = {
    "local": Kept("crossval_local", "local", "Local errors on non-Gaussian scores, two ways"),
    "global": Kept(
        "crossval_global", "global_orders", "Global orders on scores that are not Gaussian"
    ),
    "reuse": Kept(
        "crossval_reuse", "reuse", "What score reuse assumes on scores that are not Gaussian"
    ),
    "rounding": Kept("crossval_rounding", "rounding", "Rounding of the network against truncation"),
    "network": Kept("crossval_network", "samples", "The digits network beside its data"),
    "patches": Kept("patches_network", "judge", "The patches network beside its data", "FOLDER"),
    "comparisons": Kept(
        "crossval_comparisons", "comparisons", "Naive against reduced samplers at one budget"
    ),
    "family": Kept(
        "family", "family", "PSLD's samplers on the digits network at one budget", rows="rows"
    ),
    "predicted": Kept(
        "predicted", "predicted", "Fréchet distances that exact laws foretell", rows="rows"
    ),
    "foreign": Kept(
        "foreign",
        "foreign",
        "Samplers of diffusers, k-diffusion and OpenMM against what they are said to be",
        packages=(*PACKAGES, "diffusers", "k-diffusion", "openmm"),
    ),
    "defects": Kept(
        "defects",
        "defects",
        "What a validation says of samplers with a seeded bug, and of right ones that look wrong",
        packages=("numpy", "scipy"),
        rows="rows",
    ),
    "gpu": Kept("gpu", "gpu", "What can be measured on a GPU alone"),
    "cifar10": Kept(
        "cifar10_exact",
        "cifar10",
        "Exact errors on the CIFAR-10 covariance spectrum of arXiv 2405.14250",
        "cifar10_covariance_eigenvalues.npy",
        ("numpy", "scipy"),
    ),
    "conjugate": Kept(
        "conjugate_lambda",
        "conjugate",
        "The best lambda of lambda-DDIM-I, the predicted one, and what both are worth",
        packages=("numpy", "scipy"),
    ),
    "conjugate_rules": Kept(
        "conjugate_rules",
        "conjugate_rules",
        "The best lambda of further conjugate words, the predicted one, and what both are worth",
        packages=("numpy", "scipy"),
    ),
    **{
        f"quality_{name}": Kept(
            f"quality_{name}",
            "quality",
            f"Quality of samples against evaluations, target: {name}",
            f"--target {name}",
            rows="cells",
        )
        for name in ("dataset", "network", "patches")
    },
    **{
        f"vp_{name}": Kept(
            f"vp_splitting_{name}",
            "vp_splitting",
            f"Splittings of the position-only flow beside its other samplers, target: {name}",
            f"--target {name}" + " --spectrum cifar10_covariance_eigenvalues.npy" * exact,
            ("numpy", "scipy") if exact else PACKAGES,
            rows="cells",
        )
        for name, exact in (("cifar10", True), ("dataset", False), ("network", False))
    },
}
"""All files of results by the names that pages and tests ask for."""


def path_of(name: str) -> Path:
    """Where the results of `name`, a key of KEPT, are."""
    return DATA / f"{KEPT[name].file}.json"


def stored(name: str) -> dict[str, Any] | None:
    """The stored results, or None where the file is absent."""
    return read(path_of(name))


def published() -> dict[str, Any]:
    """The published figures, each with its source. Raises ValueError where their file is
    missing.
    """
    found = read(PUBLISHED)
    if found is None:
        raise ValueError(f"{PUBLISHED} is missing: it belongs to the package")
    return found


def read(path: Path) -> dict[str, Any] | None:
    """A file of stored results without its seal, or None where it is absent.

    Raises ValueError where it is no JSON object, or says something else than what was written.
    """
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        problem = f"not a JSON file ({error}); take it from the repository again"
        raise ValueError(f"{path}: {problem}") from None
    if not isinstance(document, dict):
        kind = type(document).__name__
        message = f"{path}: a file of stored results is a JSON object, not a {kind}"
        raise ValueError(message)  # noqa: TRY004 - a bad file, not a bad argument
    told = document.pop(SEAL, None)
    if told != (found := seal(document)):
        command = document.get("_command")
        remedy = "take it from the repository again"
        if command:
            remedy += f", or write it anew with `{command}`"
        said = f"{SEAL} is {str(told)[:12]}, that of its content {found[:12]}"
        raise ValueError(f"{path}: not what was written there: {said}; {remedy}")
    return document


def judge() -> str:
    """A digest of what a verdict of a validation depends on: the sources of the judge.

    Comments and empty lines do not count. Stored with every verdict: another one has to be found
    anew.
    """
    digest = hashlib.sha256()
    for path in sorted(JUDGE.glob("*.py")):
        lines = (line.rstrip() for line in path.read_text("utf-8").splitlines())
        kept = [line for line in lines if line and not line.lstrip().startswith("#")]
        digest.update("\n".join([path.name, *kept]).encode())
    return digest.hexdigest()[:12]


def seal(document: dict[str, Any]) -> str:
    """SHA-256 of a document's content: JSON with sorted keys and no spaces, without the seal
    itself.

    Raises ValueError for NaN and infinite numbers: JSON has none.
    """
    # Twice, so that keys are strings before they are sorted, as they will be when the file is read.
    plain = json.loads(
        json.dumps({k: v for k, v in document.items() if k != SEAL}, allow_nan=False)
    )
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, document: dict[str, Any], rows: str = "") -> None:
    """Write a document with its seal; the file changes whole or not at all.

    Of the list under the key `rows`, if there is one, each entry takes one line. Raises ValueError
    for NaN and infinite numbers.
    """
    try:
        whole = {**document, SEAL: seal(document)}
    except ValueError as error:
        problem = f"it would hold a number that is not finite ({error})"
        raise ValueError(f"{path} is not written: {problem}") from None
    if not rows:
        write_whole(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        return
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in whole.pop(rows))
    top = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    write_whole(path, f'{top},\n "{rows}": [\n  {lines}\n ]\n}}\n')


def save(name: str, results: dict[str, Any], path: Path | None = None) -> None:
    """Write the results of `name`, a key of KEPT, under the header that all files have; to its own
    file, or to `path`.
    """
    kept = KEPT[name]
    versions = {
        "python": platform.python_version(),
        **{each: version(each) for each in kept.packages},
    }
    header = {"_about": kept.about, "_command": kept.command, "_versions": versions}
    write(path or path_of(name), {**header, **results}, kept.rows)


def readdress(name: str) -> None:
    """Write anew what a file says it is about and which command makes it, where a module has moved.

    Everything else stays as it is. Raises ValueError where the file is missing or not what was
    written.
    """
    document = stored(name)
    if document is None:
        raise ValueError(f"{path_of(name)} is missing: there is nothing to address anew")
    kept = KEPT[name]
    write(path_of(name), document | {"_about": kept.about, "_command": kept.command}, kept.rows)


def digest(path: Path) -> str:
    """The SHA-256 of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rounded(value: Any, digits: int = 6) -> Any:
    """A nested result with every float at `digits` significant digits."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
