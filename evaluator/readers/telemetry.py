"""Reads what scripts print of a run besides the study's metrics: training loss, gradient norm, learning rate, speed.

A line without a metric of the study is read only if a name on it says that it is one of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from tunesmith.evaluator.output.numerals import read_value
from tunesmith.evaluator.readers.metric_names import is_spelling_of, tokens
from tunesmith.evaluator.readers.printed_objects import object_in

WORDS = (
    "loss",
    "grad",
    "gnorm",
    "lr",
    "learning",
    "throughput",
    "/s",
    "per_sec",
    "mfu",
    "mem",
    "ppl",
    "perplex",
    "acc",
)
"""Texts in lower case, one of which is in every name that is read."""
MAX_PAIRS = 50
"""Number of pairs that are read on one line."""
_TOKENS = {
    "loss", "losses", "grad", "gradient", "gnorm", "lr", "learning", "throughput", "mfu", "mem", "memory", "ppl",
    "perplexity", "acc", "accuracy",
}  # fmt: skip
_RATE = re.compile(r"(?:/s(?:ec(?:ond)?)?|_per_s(?:ec(?:ond)?)?)\Z", re.IGNORECASE)
_PAIR = re.compile(
    r"(?:(?<![\w./@-])(?P<part>train|training|val|valid|validation|eval|test|dev)[ ]{1,3})?"
    r"(?<![\w./@-])(?P<name>[^\W\d][\w./@-]{0,60}+)[\"']?\s{0,8}+[=:]\s{0,8}+(?=[\"'\w.+−-])",
    re.IGNORECASE,
)
_OTHER_BEFORE = re.compile(
    r"\b(?:best|lowest|highest|min|max|target|baseline|initial|previous)[ ]{1,3}\Z", re.IGNORECASE
)


def telemetry(line: str, names: Sequence[str]) -> dict[str, float]:
    """Return the telemetry on a line by name, without anything that could be a metric of the study.

    Args:
        line: a line of output.
        names: the study's metrics.
    """
    found = {name: value for name, value in object_in(line).items() if is_telemetry(name)}
    if not found:
        found = _pairs(line)
    return {name: value for name, value in found.items() if not any(is_spelling_of(name, own) for own in names)}


def is_telemetry(name: str) -> bool:
    """Return whether a name is one of a training loss, a gradient's norm, a learning rate, memory or speed."""
    return bool(_TOKENS & set(tokens(name)) or _RATE.search(name))


def _pairs(line: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for match in islice(_PAIR.finditer(line), MAX_PAIRS):
        name = f"{match['part'].lower()}_{match['name']}" if match["part"] else match["name"]
        if not is_telemetry(name) or _OTHER_BEFORE.search(line[max(0, match.start() - 12) : match.start()]):
            continue
        value, end = read_value(line, match.end())
        # A share is a progress.
        if value is not None and "/" not in line[match.end() : end]:
            found.setdefault(name, value)
    return found
