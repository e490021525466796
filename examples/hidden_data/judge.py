"""Judges a saved model by rows that the search never saw. Only [confirm] runs it; no trial and no model sees it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    with np.load(Path(sys.argv[1]) / "model.npz", allow_pickle=False) as model:
        weights = model["weights"]
    rows = np.loadtxt(Path("vault/rows.csv"), delimiter=",", skiprows=1)
    print(f"mse={np.mean((rows[:, -1] - rows[:, :-1] @ weights) ** 2):.5f}")


if __name__ == "__main__":
    main()
