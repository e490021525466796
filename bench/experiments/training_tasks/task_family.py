"""What a family of training tasks is: a space with its natural default, and a function that really trains.

Knows no sampler and no file. `measure.py` runs a family, `fit_tables.py` makes tables of its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = dict[str, Any]
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """One training run.

    Attributes:
        value: the validation loss, smaller is better; nan when the run failed.
        failure: "" or why it failed: oom, nan.
        seconds: how long the run would take on a quiet machine, by the family's own clock.
    """

    value: float
    failure: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of training.

    Attributes:
        entries: the space, as in a table's JSON file (docs/benchmark.md).
        default: the configuration that the library, paper or script comes with, inactive parameters left out.
        train: trains a configuration with a seed.
        description: what is trained, as a planner would be shown it.
        source: where the default comes from.
    """

    name: str
    entries: Sequence[Entry]
    default: Params
    train: Callable[[Params, int], Result]
    description: str
    source: str


def number(name: str, low: float, high: float, *, log: bool = False, kind: str = "float", **more: Any) -> Entry:
    """Return a numeric entry of a space; `condition` says when it is active."""
    return {"name": name, "type": kind, "low": low, "high": high, "log": log, **more}


def choice(name: str, *choices: Any, ordered: bool = False, **more: Any) -> Entry:
    """Return a choice, unordered unless `ordered`."""
    return {"name": name, "type": "ordinal" if ordered else "categorical", "choices": list(choices), **more}
