"""What a training script calls: report, params, resume_from, artifacts. Needs only the standard library.

Outside of a trial `report` does nothing and the others return harmless defaults, so that the script runs without
Tunesmith too. Inside of one, no name or value of a metric raises: a long training must not end because of its report.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

_warned: set[str] = set()


def report(
    metrics: Mapping[str, SupportsFloat] | None = None, /, *, step: SupportsFloat | None = None, **named: SupportsFloat
) -> None:
    """Report the value of one or more metrics, for example `report(step=3, val_loss=0.41)`.

    A value that is not a number is left out, with a warning on standard error. A step that is not a finite
    number counts as left out.

    Args:
        metrics: metrics by name, for names that cannot be keywords: `report({"val/loss": 0.41, "step": 7}, step=3)`.
        step: position on the curve, such as the epoch; counted from 1 if left out.
        **named: metrics by keyword. A value is a number, nan and infinity included, or a value that float() accepts,
            such as a tensor with one element.
    """
    path = os.environ.get("TUNESMITH_REPORT")
    if not path:
        return
    numbers = {str(name): _as_float(name, value) for name, value in {**(metrics or {}), **named}.items()}
    values = {name: number for name, number in numbers.items() if number is not None}
    if not values:
        return
    at_step = None if step is None else _as_float("step", step)
    if at_step is not None and not math.isfinite(at_step):
        at_step = None
    line = json.dumps({"step": at_step, "values": values, "at": time.time()})
    # One write to a file opened for appending, so that lines of several worker processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def numbers_in(logged: Mapping[Any, Any], names: Collection[str] | None = None) -> dict[str, float]:
    """Return the numbers among the values that a framework logs; text and all else is left out without a warning.

    Args:
        logged: values by name.
        names: the metrics to keep; None for all.
    """
    numbers: dict[str, float] = {}
    for name, value in logged.items():
        if (names is None or name in names) and not isinstance(value, str | bytes):
            with contextlib.suppress(Exception):
                numbers[str(name)] = _to_float(value)
    return numbers


def params() -> dict[str, Any]:
    """Return the trial's parameters, with the fidelity and the seed; {} outside of a trial.

    A mixture is a table of its shares: `params()["mix"]["code"]`.
    """
    given: dict[str, Any] = json.loads(os.environ.get("TUNESMITH_PARAMS", "{}"))
    values: dict[str, Any] = {}
    for name, value in given.items():
        whole, _, part = name.rpartition(".")
        # `instance` is a value as well as the name before those of its columns.
        if whole and whole not in given:
            values.setdefault(whole, {})[part] = value
        else:
            values[name] = value
    return values


def resume_from() -> Path | None:
    """Return the folder with the files of an earlier, shorter run of the same configuration; None if there is none.

    If it holds a checkpoint, load it and train from there up to the full length; if it does not, start from scratch.
    """
    folder = os.environ.get("TUNESMITH_RESUME_FROM")
    return Path(folder) if folder and Path(folder).is_dir() else None


def artifacts() -> Path:
    """Return the folder for files to keep; ./artifacts outside of a trial."""
    folder = Path(os.environ.get("TUNESMITH_ARTIFACTS", "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _as_float(name: object, value: Any) -> float | None:
    """Return a value as a float, None if it is not a number; warns once per name."""
    try:
        return _to_float(value)
    except Exception as error:  # noqa: BLE001  # float() runs code of the value's type, which may raise anything
        if str(name) not in _warned:
            _warned.add(str(name))
            kind = type(value).__name__
            text = f"tunesmith.report: {name!a} is a {kind}, not a number, and is left out ({type(error).__name__})"
            sys.stderr.write(f"{text}\n")
        return None


def _to_float(value: Any) -> float:
    # numpy warns of float() on an array of one element; item() is what both numpy and torch have for it.
    return float(value.item() if callable(getattr(value, "item", None)) else value)
