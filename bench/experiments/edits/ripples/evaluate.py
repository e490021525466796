# ruff: noqa: D103  # as a user would write it
"""Measures the predictions of a trained network on held-out points: the root of the mean squared error."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from data import held_out  # type: ignore[import-not-found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True)
    folder = parser.parse_args().artifacts
    _, distance = held_out()
    with np.load(folder / "predictions.npz") as kept:
        predicted = kept["predicted"]
    error = predicted - distance
    print(f"rmse={np.sqrt(np.mean(np.square(error))) if predicted.shape == distance.shape else np.inf:.6f}")


if __name__ == "__main__":
    main()
