"""Writes a judge for edits: a script that compares a trial's predictions with labels that no trial can read."""

from __future__ import annotations

import re

from tunesmith.study.config.spec import StudySpec

FILE = "evaluate.py"
"""The judge's file, next to study.toml."""

TABLE = f"""\
[evaluate]
command = "python {FILE} {{artifacts}}"
data = ["labels.npz"]
"""

ASK = (
    "edits without a judge: what edited code gains is what it reports itself. A judge measures it from predictions, "
    "with labels that no trial can read"
)

_SCORES = (
    (r"acc", "accuracy", "np.mean((predicted.argmax(axis=1) if predicted.ndim > 1 else predicted) == labels)"),
    (r"err", "share of errors", "np.mean((predicted.argmax(axis=1) if predicted.ndim > 1 else predicted) != labels)"),
    (r"rmse", "root of the mean squared error", "np.sqrt(np.mean((predicted - labels) ** 2))"),
    (r"mse", "mean squared error", "np.mean((predicted - labels) ** 2)"),
    (r"mae", "mean absolute error", "np.mean(np.abs(predicted - labels))"),
    (
        r"loss|nll|xent|entropy",
        "cross-entropy of probabilities, a row per sample",
        "-np.mean(np.log(np.clip(predicted[np.arange(len(labels)), labels], 1e-12, 1.0)))",
    ),
)


def judge_script(spec: StudySpec) -> str:
    """Return the text of a judge for the study's first objective."""
    metric = spec.objectives[0].metric
    what, formula = _score(metric)
    return f'''\
"""Judges a trial: compares its predictions with labels.npz and prints {metric}. Edits must not change this file.

A trial saves its predictions for the held-out samples, in their order:

    np.savez(tunesmith.artifacts() / "predictions.npz", predictions=predictions)

labels.npz holds the right answers under "labels". [evaluate] data keeps it from trials.
"""

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    predicted = np.load(Path(sys.argv[1]) / "predictions.npz", allow_pickle=False)["predictions"]
    labels = np.load("labels.npz", allow_pickle=False)["labels"]
    if len(predicted) != len(labels):
        sys.exit(f"predictions.npz has {{len(predicted)}} rows, labels.npz {{len(labels)}}")
    print(f"{metric}={{score(predicted, labels)}}")


def score(predicted: np.ndarray, labels: np.ndarray) -> float:
    """{what[:1].upper()}{what[1:]}."""
    return float({formula})


if __name__ == "__main__":
    main()
'''


def judge_steps() -> list[str]:
    """Return what a person does once the judge is written."""
    return [
        'save labels.npz: np.savez("labels.npz", labels=labels), with the answers for the held-out samples',
        'let the script save its predictions: np.savez(tunesmith.artifacts() / "predictions.npz", predictions=...)',
        f"add {FILE} to [edits].protect",
    ]


def _score(metric: str) -> tuple[str, str]:
    for pattern, what, formula in _SCORES:
        if re.search(pattern, metric, re.IGNORECASE):
            return what, formula
    return "mean squared error; replace it by your own measure", "np.mean((predicted - labels) ** 2)"
