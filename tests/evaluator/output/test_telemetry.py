"""What is kept of a run besides its metric: on lines of their own, in files, and never in place of a metric."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes.trials import Bench, finish

from tunesmith.evaluator.readers.telemetry import telemetry


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("{'loss': 0.41, 'grad_norm': 1.9, 'learning_rate': 5e-05, 'epoch': 0.5}",
         {"loss": 0.41, "grad_norm": 1.9, "learning_rate": 5e-05}),
        ("step 10 | train loss: 2.31 | lr=3e-4 | tok/s: 12345", {"train_loss": 2.31, "lr": 3e-4, "tok/s": 12345}),
        ("iter 3: gnorm=0.7 mem=3.2 eta: 1:02:03", {"gnorm": 0.7, "mem": 3.2}),
        ("best val_acc=0.9 loss=0.3", {"loss": 0.3}),
        ("best loss: 0.3", {}),
        ("the loss of data is a problem at /s", {}),
        ("samples_per_sec=33 batch=4", {"samples_per_sec": 33}),
        ("loss: 3/10 done", {}),
        ("validation acc: 0.5", {}),
        ("grad_norm=nan", {"grad_norm": pytest.approx(float("nan"), nan_ok=True)}),
    ],
)  # fmt: skip
def test_a_line_without_the_metric_is_kept_where_a_name_says_what_it_is(line: str, kept: Mapping[str, float]) -> None:
    assert telemetry(line, ["val_acc"]) == kept


def test_a_training_loss_is_never_the_metric_loss() -> None:
    assert telemetry("train loss: 0.1 loss=0.2", ["loss"]) == {"train_loss": 0.1}


TRAIN = """
import json
for step in range(1, 7):
    print(f"step {step} train loss: {2 / step} grad_norm={step}", flush=True)
    if step % 3 == 0:
        print(f"step {step} val_acc={step / 10}", flush=True)
with open("log.jsonl", "w") as file:
    for step in range(4):
        file.write(json.dumps({"step": step, "gpu": step * 2.0}) + "\\n")
"""


def test_every_series_of_a_run_is_kept_with_its_steps(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(TRAIN)
    evaluator = bench.evaluator(
        {"command": "python -I -S train.py", "metrics_from": ["stdout", "log.jsonl"]}, study={"metric": "val_acc"}
    )
    outcome = finish(bench.start(evaluator))
    assert outcome.values == {"val_acc": 0.6, "train_loss": pytest.approx(1 / 3), "grad_norm": 6, "gpu": 6}
    steps = {name: [o.step for o in bench.seen if o.metric == name] for name in outcome.values}
    assert steps == {"val_acc": [3, 6], "train_loss": [1, 2, 3, 4, 5, 6], "grad_norm": [1, 2, 3, 4, 5, 6],
                     "gpu": [0, 1, 2, 3]}  # fmt: skip
