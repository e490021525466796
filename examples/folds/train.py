"""One fold of a cross-validation: a support vector machine predicts how a diabetes progresses (scikit-learn's data).

    python train.py --C 10 --gamma 0.01 --fold 3 --folds 20

Prints the mean squared error on the fold, as a part of the variance of all targets: predicting their mean gives 1.
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--C", type=float, default=1.0)
    parser.add_argument("--gamma", type=float, default=0.1)
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--folds", type=int, default=20)
    args = parser.parse_args()
    inputs, targets = load_diabetes(return_X_y=True)
    targets = (targets - targets.mean()) / targets.std()
    splits = list(KFold(args.folds, shuffle=True, random_state=0).split(inputs))
    train, test = splits[args.fold]
    model = make_pipeline(StandardScaler(), SVR(C=args.C, gamma=args.gamma, epsilon=args.epsilon))
    model.fit(inputs[train], targets[train])
    print(f"error={mean_squared_error(targets[test], model.predict(inputs[test])):.6f}")


if __name__ == "__main__":
    main()
