"""Ridge regression on chosen pairs of features: 60 rows to train on, 60 to validate on. Saves it as arrays."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tunesmith


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--penalty", type=float, default=1.0, help="penalty on the squares of the weights")
    parser.add_argument("--pairs", type=int, nargs="*", default=[], help="pairs of features that are used, from 0 to 9")
    args = parser.parse_args()
    rows = np.loadtxt(Path("rows.csv"), delimiter=",", skiprows=1)
    train, validate = rows[:60], rows[60:]
    used = [column for pair in args.pairs for column in (2 * pair, 2 * pair + 1)]
    x = train[:, used]
    weights = np.zeros(rows.shape[1] - 1)
    weights[used] = np.linalg.solve(x.T @ x + args.penalty * np.eye(len(used)), x.T @ train[:, -1])
    np.savez(tunesmith.artifacts() / "model.npz", weights=weights)
    print(f"mse={np.mean((validate[:, -1] - validate[:, :-1] @ weights) ** 2):.5f}")


if __name__ == "__main__":
    main()
