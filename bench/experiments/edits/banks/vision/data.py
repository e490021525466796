"""Digits of 8 x 8 pixels from scikit-learn: few to learn from, and more from another camera to be measured on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
TRAINING = 400


def training() -> tuple[Images, Labels]:
    """Return (n, 8, 8) images with pixels from 0 to 16 and (n,) digits, as they are stored: by digit."""
    images, labels = _digits()
    order = np.argsort(labels[:TRAINING], kind="stable")
    return images[:TRAINING][order], labels[:TRAINING][order]


def held_out() -> tuple[Images, Labels]:
    """Return the images that the result is measured on: moved by up to a pixel, and not all equally bright."""
    images, labels = _digits()
    rng = np.random.default_rng(8)
    moves = rng.integers(-1, 2, size=(len(images) - TRAINING, 2))
    brightness = rng.uniform(0.6, 1.1, size=(len(images) - TRAINING, 1, 1))
    moved = [np.roll(image, move, axis=(0, 1)) for image, move in zip(images[TRAINING:], moves, strict=True)]
    return np.clip(np.stack(moved) * brightness, 0.0, 16.0).astype(np.float32), labels[TRAINING:]


def _digits() -> tuple[Images, Labels]:
    # The file of sklearn.datasets.load_digits(), without the second that importing scikit-learn takes.
    table = np.loadtxt(Path(str(find_spec("sklearn").origin)).parent / "datasets/data/digits.csv.gz", delimiter=",")  # type: ignore[union-attr]
    table = table[np.random.default_rng(1797).permutation(len(table))]
    return table[:, :64].reshape(-1, 8, 8).astype(np.float32), table[:, 64].astype(np.int64)
