"""What a training script calls: report, params, resume_from, artifacts. Imports only the standard library.

Outside of a trial `report` does nothing and the others return harmless defaults, so the script also runs by itself.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, SupportsFloat


def report(
    metrics: Mapping[str, SupportsFloat] | None = None, /, *, step: SupportsFloat | None = None, **named: SupportsFloat
) -> None:
    """Report the value of one or more metrics, for example `report(step=3, val_loss=0.41)`.

    Args:
        metrics: metrics by name, for names that cannot be keywords: `report({"val/loss": 0.41, "step": 7}, step=3)`.
        step: where on the curve they lie, such as the epoch; counted from 1 when left out.
        **named: metrics by keyword. A value is a number, nan and infinity included, or anything that float() takes,
            such as a tensor of one element.

    Raises:
        TypeError: a value is not a number; the message names the metric.
    """
    path = os.environ.get("TUNESMITH_REPORT")
    if not path:
        return
    values = {str(name): _checked_number(name, value) for name, value in {**(metrics or {}), **named}.items()}
    at_step = None if step is None else _checked_number("step", step)
    line = json.dumps({"step": at_step, "values": values, "at": time.time()})
    # One write to a file opened for appending: lines of several worker processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def numbers_in(logged: Mapping[Any, Any], names: Collection[str] | None = None) -> dict[str, float]:
    """Return the numbers among what a framework logs, without text and whatever else is not a number. Never raises.

    Args:
        logged: values by name.
        names: the metrics to keep; None for all.
    """
    found: dict[str, float] = {}
    for name, value in logged.items():
        if (names is not None and name not in names) or isinstance(value, str | bytes):
            continue
        with contextlib.suppress(Exception):
            found[str(name)] = _number(value)
    return found


def _number(value: Any) -> float:
    """Return what float() makes of a value; infinity for an int beyond the range of floats.

    Raises:
        Exception: whatever the value's own conversion raises.
    """
    try:
        # numpy warns of float() on an array of one element; item() is what both numpy and torch have for it.
        return float(value.item() if callable(getattr(value, "item", None)) else value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _checked_number(name: object, value: Any) -> float:
    try:
        return _number(value)
    except Exception as error:  # noqa: BLE001  # a tensor of two elements raises what its framework likes
        raise TypeError(f"tunesmith.report: {name} is {_shortened(value)}; expected a number") from error


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004


def params() -> dict[str, Any]:
    """Return the trial's parameters, with the fidelity and the seed; {} outside of a trial."""
    found: dict[str, Any] = json.loads(os.environ.get("TUNESMITH_PARAMS", "{}"))
    return found


def resume_from() -> Path | None:
    """Return the artifacts folder of an earlier, shorter run of the same configuration; None if there is none.

    If it holds a checkpoint, load it and train from there up to the full length; otherwise start anew.
    """
    folder = os.environ.get("TUNESMITH_RESUME_FROM")
    return Path(folder) if folder and Path(folder).is_dir() else None


def artifacts() -> Path:
    """Return the folder for files to keep; ./artifacts outside of a trial."""
    folder = Path(os.environ.get("TUNESMITH_ARTIFACTS", "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
