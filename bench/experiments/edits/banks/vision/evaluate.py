# ruff: noqa: D103  # as a user would write it
"""Measures the predictions of a trained network on held-out images: the mean cross-entropy."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from data import held_out  # type: ignore[import-not-found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True)
    folder = parser.parse_args().artifacts
    _, labels = held_out()
    with np.load(folder / "predictions.npz") as kept:
        logits = kept["logits"].astype(np.float64)
    if logits.shape != (len(labels), 10):
        raise SystemExit(f"logits of shape {logits.shape}, expected {(len(labels), 10)}")
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    print(f"val_loss={-log_p[np.arange(len(labels)), labels].mean():.6f}")


if __name__ == "__main__":
    main()
