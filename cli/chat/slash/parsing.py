"""Reads the arguments of slash commands: numbers of trials, values by name, bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tunesmith.study.errors import ToolRefused


def trial_number(text: str, example: str) -> int:
    """Return a trial's number, with or without #."""
    if not text.lstrip("#").isdigit():
        raise ToolRefused(f"give a trial's number, for example {example}")
    return int(text.lstrip("#"))


def named_values(text: str, example: str) -> dict[str, Any]:
    """Return the values of words such as lr=0.01."""
    words = [word.partition("=") for word in text.split()]
    if not words or any(not sign or not name for name, sign, _ in words):
        raise ToolRefused(f"give values by name, for example {example}")
    return {name: json_value(value) for name, _, value in words}


def json_value(text: str) -> Any:
    """Return what a word means as JSON; the word itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def bound(text: str) -> Mapping[str, Any]:
    """Return the arguments of a bound such as gpu_mem_gb <= 70."""
    for sign, side in (("<=", "max"), (">=", "min")):
        metric, found, value = text.partition(sign)
        if found:
            return {"metric": metric.strip(), side: json_value(value.strip())}
    raise ToolRefused("give a bound, for example /constrain gpu_mem_gb <= 70")
