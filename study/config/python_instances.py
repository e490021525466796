"""Reads the instances that a Python program gives, as the table [instances] of a study file has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.study.errors import Mistake, SpecError


def instances_table(given: object, aggregate: str) -> dict[str, Any] | None:
    """Return [instances] for a tuner's arguments; None without instances.

    Args:
        given: values or tables, in a list or anything else to iterate over; numbers may be NumPy's. None for none.
        aggregate: "mean", "p95" or "worst"; checked with the rest of the study.

    Raises:
        SpecError: the instances are a text or another single value, none, or missing though `aggregate` is given.
    """
    if given is None:
        if aggregate != "mean":
            raise _mistake("aggregate", f"{aggregate!r} counts over instances; give instances = [...], or leave it out")
        return None
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        example = 'give a list of them, such as ["a", "b"], or of tables, such as [{"name": "a", "size": 3}]'
        raise _mistake("instances", f"{given!r:.60} is not a list of instances; {example}")
    values = [_plain(value) for value in given]
    if not values:
        raise _mistake("instances", "has no instance; give two or more, or leave it out")
    return {"values": values, "aggregate": aggregate}


def _plain(value: Any) -> Any:
    """Return a value with NumPy's numbers as Python's own."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _mistake(key: str, message: str) -> SpecError:
    return SpecError([Mistake(key, message)], where="this tuner")
