"""What a training script calls: report, params, artifacts. Needs the standard library alone.

Outside of a trial, `report` does nothing and the others give harmless answers, so that the script still runs by itself.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, SupportsFloat


def report(*, step: float | None = None, **metrics: SupportsFloat) -> None:
    """Report the value of one or more metrics, for example `report(step=3, val_loss=0.41)`.

    Args:
        step: where on the curve they lie, such as the epoch; counted from 1 when left out.
        **metrics: numbers, or anything that float() takes, such as a tensor of one element.

    Raises:
        TypeError: a value is no number.
    """
    path = os.environ.get("TUNESMITH_REPORT")
    if not path:
        return
    values = {name: float(value) for name, value in metrics.items()}
    line = json.dumps({"step": None if step is None else float(step), "values": values, "at": time.time()})
    # One write to a file opened for appending: lines of several worker processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def params() -> dict[str, Any]:
    """Return the trial's parameters, with the fidelity and the seed; {} outside of a trial."""
    found: dict[str, Any] = json.loads(os.environ.get("TUNESMITH_PARAMS", "{}"))
    return found


def resume_from() -> Path | None:
    """Return the folder that an earlier, shorter run of this very configuration kept files in; None without one.

    Where it holds a checkpoint, load it and train on from there up to the full length; where it does not, start anew.
    """
    folder = os.environ.get("TUNESMITH_RESUME_FROM")
    return Path(folder) if folder and Path(folder).is_dir() else None


def artifacts() -> Path:
    """Return the folder for files to keep; ./artifacts outside of a trial."""
    folder = Path(os.environ.get("TUNESMITH_ARTIFACTS", "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
