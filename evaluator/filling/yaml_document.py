"""Reads the values of a YAML file by dotted keys, and writes others in their place; comments and order stay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # PyYAML ships no types

from tunesmith.study.space.condition import Value

_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*+\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?")
_WHOLE = re.compile(r"[-+]?\d[\d_]*")
_SWITCHES = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
MAX_DEPTH = 12
"""Depth of nesting below which nothing is read."""


def entries(text: str) -> dict[str, Value]:
    """Return the numbers, texts and switches by key: `optim.lr`, and `betas.0` in lists.

    Raises:
        ValueError: it is not valid YAML.
    """
    return {key: _value(node) for key, node in _scalars(_parsed(text), "")}


def fill(text: str, values: Mapping[str, Value]) -> str:
    """Return the text with other values.

    Raises:
        KeyError: there is no such key.
        ValueError: it is not valid YAML.
    """
    nodes = dict(_scalars(_parsed(text), ""))
    for key, node in sorted(((k, nodes[k]) for k in values), key=lambda pair: -pair[1].start_mark.index):
        text = text[: node.start_mark.index] + _written(values[key]) + text[node.end_mark.index :]
    return text


def _parsed(text: str) -> Any:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"is not valid YAML: {str(error).splitlines()[0]}") from None


def _scalars(node: Any, key: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.ScalarNode):
        yield key, node
    elif depth < MAX_DEPTH and isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                yield from _scalars(value, f"{key}.{name.value}" if key else str(name.value), depth + 1)
    elif depth < MAX_DEPTH and isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _scalars(value, f"{key}.{index}" if key else str(index), depth + 1)


def _value(node: Any) -> Value:
    """Return a scalar's value; 1e-3 is a number, as every training script means it, although YAML 1.1 has a text."""
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if _WHOLE.fullmatch(text):
        return int(text.replace("_", ""))
    if _NUMBER.fullmatch(text):
        return float(text.replace("_", ""))
    if text.lower() in _SWITCHES:
        return _SWITCHES[text.lower()]
    return None if text.lower() in ("", "null", "~", "none") else text


def _written(value: Value) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, float):
        # YAML 1.1 reads 1e-05 as a text; it needs the point.
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)
