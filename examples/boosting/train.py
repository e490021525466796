"""Gradient boosting on the diabetes data that comes with scikit-learn; prints the error of 5-fold cross-validation."""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_score

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--trees", type=int, default=100)
parser.add_argument("--max-depth", type=int, default=3)
parser.add_argument("--min-samples-leaf", type=int, default=1)
parser.add_argument("--subsample", type=float, default=1.0)
parser.add_argument("--max-features", type=float, default=1.0)
parser.add_argument("--loss", choices=["squared_error", "huber"], default="squared_error")
parser.add_argument("--alpha", type=float, default=0.9, help="quantile beyond which huber is linear")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

features, target = load_diabetes(return_X_y=True)
model = GradientBoostingRegressor(
    learning_rate=args.learning_rate,
    n_estimators=args.trees,
    max_depth=args.max_depth,
    min_samples_leaf=args.min_samples_leaf,
    subsample=args.subsample,
    max_features=args.max_features,
    loss=args.loss,
    alpha=args.alpha,
    random_state=args.seed,
)
folds = KFold(n_splits=5, shuffle=True, random_state=0)
errors = -cross_val_score(model, features, target, cv=folds, scoring="neg_root_mean_squared_error")
print("error per fold:", np.round(errors, 2))
print(f"val_rmse={errors.mean():.4f}")
