# ruff: noqa: D103  # as a user would write it
"""Measures predicted rides on held-out hours: the root of the mean squared difference of log(1 + rides)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from data import held_out  # type: ignore[import-not-found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True)
    folder = parser.parse_args().artifacts
    _, rides = held_out()
    with np.load(folder / "predictions.npz") as kept:
        predicted = kept["predicted"]
    if predicted.shape != rides.shape:
        raise SystemExit(f"predictions of shape {predicted.shape}, expected {rides.shape}")
    error = np.log1p(np.maximum(predicted, 0.0)) - np.log1p(rides)
    print(f"rmsle={np.sqrt(np.mean(error * error)):.6f}")


if __name__ == "__main__":
    main()
