"""Types of the fields of study.toml: what they accept, and what is wrong with what they refuse."""

from __future__ import annotations

import math
import re
from datetime import time
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tunesmith.study.trials.view import Direction
from tunesmith.study.units import parse_clock

UNREADABLE_SUFFIXES = (".wandb", ".db", ".sqlite", ".pt", ".pth", ".npz", ".npy", ".pkl", ".parquet", ".h5", ".yaml")
"""Endings of files that no metrics are read from."""

MAX_METRIC_CHARS = 100
"""Longest name of a metric."""
MAX_ABOVE = 3
"""Number of folders above the project that a shared folder may lie in."""


class Table(BaseModel):
    """A table that refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def metric_name(name: str) -> str:
    """Return a metric's name.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[^\W\d][\w./@%()#:+-]*(?: [\w./@%()#:+-]+)*", name) or len(name) > MAX_METRIC_CHARS:
        raise ValueError("not a metric name")
    return name


def as_list(value: Any) -> Any:
    """Return one text as a list of it, and anything else unchanged."""
    return [value] if isinstance(value, str) else value


def clock(value: Any) -> Any:
    """Return a time of day from a TOML time or text such as "07:00".

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, time | str):
        raise ValueError("not a time of day")
    return value if isinstance(value, time) else parse_clock(value)


def folder_name(name: str) -> str:
    """Return a study's name, which is also the name of its folder.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        raise ValueError("not a study name")
    return name


def no_bool(value: Any) -> Any:
    """Return a value that pydantic may read as a number.

    Raises:
        ValueError: it is a switch or a text, which pydantic would turn into a number.
    """
    if isinstance(value, bool | str):
        raise ValueError("not a number")
    return value


def metric_source(name: str) -> str:
    """Return "stdout", "stderr" or a pattern of files below the trial's folder.

    Raises:
        ValueError: it lies elsewhere, or its format cannot be read.
    """
    path = PurePosixPath(name)
    if name not in ("stdout", "stderr") and (path.is_absolute() or ".." in path.parts or name.startswith("~")):
        raise ValueError("not below the trial's folder")
    if path.suffix in UNREADABLE_SUFFIXES:
        raise ValueError("a format that cannot be read")
    return name


def project_file(name: str) -> str:
    """Return the path of a file in the project.

    Raises:
        ValueError: it lies elsewhere.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise ValueError("not in the project")
    return str(path)


def shared_folder(name: str) -> str:
    """Return the path of a folder in the project, or at most three folders above it.

    Raises:
        ValueError: it lies elsewhere, or is the project itself or one of the folders above it.
    """
    parts = PurePosixPath(name).parts
    above = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if name.startswith(("/", "~")) or ".." in parts[above:] or above == len(parts) or above > MAX_ABOVE:
        raise ValueError("not a folder in the project or next to it")
    return str(PurePosixPath(name))


def file_entry(value: Any) -> str | float:
    """Return what is written into a file for a trial: a number, a switch, or a text that may have placeholders.

    Raises:
        ValueError: it is none of these.
    """
    if not isinstance(value, str | int | float):
        raise ValueError("not a text, number or switch")
    return value


def share_of_gpus(value: Any) -> float | Literal["auto"]:
    """Return GPUs per trial: "auto", a part of one, or a whole number.

    Raises:
        ValueError: it is none of these.
    """
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("not a number of GPUs")
    if value > 1 and value != int(value):
        raise ValueError("a fraction of several GPUs")
    return float(value)


def option(value: Any) -> str | int:
    """Return the value of an option of sbatch.

    Raises:
        ValueError: it is neither a text, a number nor a switch.
    """
    if not isinstance(value, str | int):
        raise ValueError("not a text, number or switch")
    return value


Count = Annotated[int, BeforeValidator(no_bool), Field(ge=1)]


Positive = Annotated[float, BeforeValidator(no_bool), Field(gt=0, allow_inf_nan=False)]


Amount = Annotated[float, BeforeValidator(no_bool), Field(ge=0, allow_inf_nan=False)]


Text = Annotated[str, Field(min_length=1, strict=True)]


Scale = dict[Text, Positive]


Metrics = Annotated[list[Annotated[Text, AfterValidator(metric_name)]], BeforeValidator(as_list)]


Directions = Annotated[list[Direction], BeforeValidator(as_list)]


def scaled_value(value: Any) -> bool | int | float | str:
    """Return a value of [confirm].scale: a number, a text, or a factor such as "x2".

    Raises:
        ValueError: it is a table or a list, or not finite.
    """
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("expected a number, a text or a factor")
    return value
