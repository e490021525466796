# ruff: noqa: D103, RET504  # as a user would write it
"""Fits gradient boosting to the rides from bicycle stations and saves the predictions for other hours."""

from __future__ import annotations

import argparse

import numpy as np
from data import COLUMNS, Array, held_out, training  # type: ignore[import-not-found]
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import tunesmith


def main() -> None:
    args = parse_args()
    x, y = training()
    test_x, _ = held_out()
    x, test_x = features(x), features(test_x)
    model = build(args)
    model.fit(x, y)
    predicted = model.predict(test_x)
    fitted = model.predict(x)
    error = np.sqrt(np.mean((fitted - y) ** 2))
    tunesmith.report(step=1, train_rmse=float(error))
    print(f"{x.shape[1]} features of {len(COLUMNS)} columns, train_rmse={error:.4f}", flush=True)
    np.savez(tunesmith.artifacts() / "predictions.npz", predicted=predicted)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--trees", type=int, default=60)
    parser.add_argument("--max-depth", type=int, default=3)
    parser.add_argument("--min-samples-leaf", type=int, default=1)
    parser.add_argument("--subsample", type=float, default=0.8)
    parser.add_argument("--max-features", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def features(x: Array) -> Array:
    x = x.copy()
    return x


def build(args: argparse.Namespace) -> Pipeline:
    model = GradientBoostingRegressor(
        loss="squared_error",
        learning_rate=args.learning_rate,
        n_estimators=args.trees,
        max_depth=args.max_depth,
        min_samples_leaf=args.min_samples_leaf,
        subsample=args.subsample,
        max_features=args.max_features,
        random_state=args.seed,
    )
    return Pipeline([("scale", StandardScaler()), ("select", SelectKBest(f_regression, k=6)), ("model", model)])


if __name__ == "__main__":
    main()
