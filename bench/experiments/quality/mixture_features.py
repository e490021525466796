"""Which features of a data mixture let a Gaussian process rank mixtures: shares, roots, logarithms, or sticks.

    python -m tunesmith.bench.experiments.quality.mixture_features FOLDER

FOLDER has the runs published with RegMix (Liu et al. 2024): mixtures of 17 domains of the Pile, and the validation loss
on Pile-CC of models with 1M, 60M and 1B parameters. The model sees some of the 1M runs and ranks the held-out ones of
each size. Spearman's correlation at 1M, 60M and 1B, mean of three draws of the rows:

    rows   shares            roots             logarithms        sticks
    50     .86  .86  .87     .97  .96  .94     .98  .97  .96     .85  .84  .84
    100    .96  .95  .89     .98  .98  .97     .98  .98  .96     .92  .91  .79
    200    .98  .97  .95     .99  .98  .96     .99  .98  .96     .93  .93  .89

Logarithms of shares suit best: what the first percent of a domain brings is most of what it brings. Coordinates of
stick-breaking suit worst, so a sampler may draw by them, but its model should not see them.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
from tunesmith.tools.surrogate.gp_ensemble import fit_single

Array = NDArray[np.float64]

TARGET = "metric/the_pile_pile_cc_val_loss"
SIZES = ("1m", "60m", "1B")
ROWS = (50, 100, 200)
DRAWS = 3
SMALLEST = 1e-3
"""Share below which a domain counts as absent."""


def load(folder: Path, kind: str, size: str) -> tuple[Array, Array]:
    """Return (n, k) shares that sum to 1, and the loss (n,) of each run."""
    with (folder / f"{kind}_mixture_{size}.csv").open() as file:
        mixtures = {row.pop("index"): [float(v) for v in row.values()] for row in csv.DictReader(file)}
    with (folder / f"{kind}_pile_loss_{size}.csv").open() as file:
        losses = {row["index"]: float(row[TARGET]) for row in csv.DictReader(file)}
    known = [index for index in mixtures if index in losses]
    shares = np.array([mixtures[index] for index in known])
    return shares / shares.sum(axis=1, keepdims=True), np.array([losses[index] for index in known])


def logarithms(shares: Array) -> Array:
    """Return the logarithms, from 0 for an absent domain to 1."""
    return np.asarray(1.0 - np.log(shares + SMALLEST) / np.log(SMALLEST))


def sticks(shares: Array) -> Array:
    """Return the part that each domain takes of what those before it left; 0.5 where nothing is left."""
    left = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]
    return np.where(left[:, :-1] > 1e-9, shares[:, :-1] / np.maximum(left[:, :-1], 1e-9), 0.5)  # noqa: PLR2004


FEATURES: Mapping[str, Callable[[Array], Array]] = {
    "shares": lambda shares: shares,
    "roots": lambda shares: np.asarray(np.sqrt(shares)),
    "logarithms": logarithms,
    "sticks": sticks,
}


def main(folder: Path) -> None:
    """Print the rank correlations of each kind of features."""
    from scipy.stats import spearmanr

    shares, losses = load(folder, "train", "1m")
    held_out = {size: load(folder, "test", size) for size in SIZES}
    for count in ROWS:
        for name, features in FEATURES.items():
            found = []
            for seed in range(DRAWS):
                rows = np.random.default_rng(seed).permutation(len(losses))[:count]
                z = features(shares[rows])
                with single_threaded_blas():
                    model = fit_single(z, losses[rows], np.arange(z.shape[1]), gp.HyperPrior())
                    predicted = {size: model.predict(features(x))[0] for size, (x, _) in held_out.items()}
                found.append([spearmanr(predicted[size], held_out[size][1])[0] for size in SIZES])
            print(count, name, np.round(np.mean(found, axis=0), 3), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
