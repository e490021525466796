"""The environment of a trial's process: what is inherited, and what Tunesmith adds. Reads nothing but its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tunesmith.evaluator.slots import Slot
from tunesmith.study.condition import Value

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def trial_environment(
    inherited: Mapping[str, str],
    *,
    extra: Mapping[str, str],
    slot: Slot,
    values: Mapping[str, Value],
    folder: Path,
    report: Path,
) -> dict[str, str]:
    """Return the whole environment of one trial.

    Args:
        inherited: what Tunesmith itself was started with.
        extra: [run].env of the study.
        slot: its GPUs become CUDA_VISIBLE_DEVICES, its threads OMP_NUM_THREADS where the user set none.
        values: what TUNESMITH_PARAMS holds.
        folder: the trial's folder.
        report: the file that tunesmith.report() appends to.
    """
    threads = {} if any(name in inherited for name in _THREAD_VARIABLES) else {_THREAD_VARIABLES[0]: str(slot.cpus)}
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)} if slot.gpus else {}
    return {
        **inherited,
        **threads,
        **extra,
        **gpus,
        # Without it a script's lines arrive in blocks of 8 KiB, long after they were printed.
        "PYTHONUNBUFFERED": "1",
        "TUNESMITH_PARAMS": json.dumps(dict(values)),
        "TUNESMITH_REPORT": str(report),
        "TUNESMITH_ARTIFACTS": str(folder / "artifacts"),
        "TUNESMITH_TRIAL_FOLDER": str(folder),
    }
