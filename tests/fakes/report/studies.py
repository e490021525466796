"""The kinds of studies that a report must cope with, by name."""

from __future__ import annotations

import math

from fakes.report.simulated import HOSTILE, complete, failed, record, report, study

from tunesmith.study.trials.trial import FailureKind, Source
from tunesmith.tools.report import ReportInput

NAMES = ["ordinary", "one trial", "all failed", "nothing yet", "two objectives", "three objectives", "hostile", "nan"]
TWO = {"name": "two", "metric": ["val_loss", "latency_ms"]}
THREE = {"name": "three", "metric": ["val_loss", "latency_ms", "val_acc"],
         "direction": ["minimize", "minimize", "maximize"]}  # fmt: skip


def hostile() -> ReportInput:
    """Return a study whose script, parameters and log try to take the page over."""
    space = {"name": {"type": "choice", "choices": [HOSTILE, "x" * 5000, "plain"]},
             "x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}  # fmt: skip
    rec = record(space=space, run={"command": f"python f.py --x {{x}} --name {{name}} {{epochs}} '{HOSTILE}'"},
                 study={"name": "hostile", "metric": "val_loss", "description": HOSTILE})  # fmt: skip
    some = [
        complete(n, {"val_loss": 1 / (n + 1)}, params={"name": ["plain", HOSTILE, "x" * 5000][n % 3], "x": n / 40},
                 source=Source.DEFAULT if n == 0 else Source.LLM)
        for n in range(30)
    ]  # fmt: skip
    some += [failed(30 + n, FailureKind.CRASH, HOSTILE, tail=HOSTILE * 20, params={"name": HOSTILE, "x": 0.5})
             for n in range(3)]  # fmt: skip
    return report(rec, some)


def made(name: str) -> ReportInput:
    """Return the study of that name, one of NAMES."""
    if name == "nan":
        rec = record(
            space={"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}},
            run={"command": "f {x} {epochs}"},
            fidelity={"name": "epochs", "min": 1, "max": 3},
        )
        return report(rec, [complete(n, {"val_loss": [math.nan, math.inf, 0.5][n % 3]}) for n in range(12)])
    makers = {
        "ordinary": lambda: study(48),
        "one trial": lambda: study(1, confirm=False),
        "all failed": lambda: report(record(), [failed(n, FailureKind.OOM, f"out at step {n}") for n in range(5)]),
        "nothing yet": lambda: report(record(), []),
        "two objectives": lambda: study(60, confirm=False, study=TWO),
        "three objectives": lambda: study(60, confirm=False, study=THREE),
        "hostile": hostile,
    }
    return makers[name]()
