"""A small classifier of the 8x8 digits, whose features are the space of the Fréchet distance.

    python -m gpu_samplers.features

trains it anew, in seconds on one core, and writes `weights/digits_classifier.safetensors`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from gpu_samplers.data import Images, digits
from gpu_samplers.files import whole
from gpu_samplers.processes import Array

FILE = Path(__file__).parent / "weights" / "digits_classifier.safetensors"
METADATA = "splitting-analysis"
FEATURES = 48
SEED = 0
EPOCHS = 40
BATCH = 64


def labels() -> torch.Tensor:
    """The digits' classes, (1797,), in the order of `data.digits`."""
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().target).long()


class Classifier(nn.Module):
    """Two convolutions and a hidden layer; `features` (N, 48) are what the last layer sees.

    SiLU throughout: a feature that is smooth in the image still moves with noise of any size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, FEATURES),
            nn.SiLU(),
        )
        self.last = nn.Linear(FEATURES, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 1, 8, 8)."""
        logits: torch.Tensor = self.last(self.features(images))
        return logits


def train(epochs: int = EPOCHS) -> tuple[Classifier, dict[str, float]]:
    """The classifier trained from SEED, and what is known of it: accuracy on held-out images,
    settings.

    The images held out are those that `gpu_samplers.data` holds out from a network's training, too.
    """
    images, test_images = digits().split()
    classes, test_classes = Images("labels", labels()).split()
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = Classifier()
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(images)), BATCH):
                loss = nn.functional.cross_entropy(network(images[rows]), classes[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
    return network.eval(), {
        "accuracy": accuracy(network, test_images, test_classes),
        "train_images": len(images),
        "test_images": len(test_images),
        "epochs": epochs,
        "seed": SEED,
    }


@torch.no_grad()
def accuracy(network: Classifier, images: torch.Tensor, classes: torch.Tensor) -> float:
    """Share of images whose largest logit is their label's."""
    return float((network(images).argmax(1) == classes).double().mean())


@cache
def classifier() -> tuple[Classifier, dict[str, float]]:
    """The classifier that is shipped, in float64, and its record. Raises ValueError if the file is
    bad.
    """
    try:
        with safe_open(FILE, "pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            record = json.loads((file.metadata() or {})[METADATA])
        network = Classifier()
        network.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        remedy = "python -m gpu_samplers.features writes it anew"
        raise ValueError(f"{FILE}: not the weights of the classifier ({error}); {remedy}") from None
    return network.double().eval(), record


@torch.no_grad()
def digit_features(images: torch.Tensor) -> Array:
    """Features (N, 48), float64, of images (N, 1, 8, 8) in [-1, 1]. Raises ValueError for another
    shape.
    """
    if images.ndim != 4 or images.shape[1:] != (1, 8, 8):
        raise ValueError(f"digit images are (N, 1, 8, 8), not {tuple(images.shape)}")
    features: Array = classifier()[0].features(images.detach().cpu().double()).numpy()
    return features


def save(network: Classifier, record: dict[str, float], path: Path = FILE) -> None:
    """Write weights and record; the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        save_file(network.state_dict(), part, {METADATA: json.dumps(record)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained, known = train()
    save(trained, known)
    print(f"{FILE.name}: {FILE.stat().st_size} bytes, {known}")
