"""Finds a metric by name in text, in the spellings that frameworks use. Never takes one metric for another.

`val_loss` is also written "Val Loss", "val/loss", "validation loss" and "valLoss". "best val_loss" is another metric,
and so is "train loss" for `loss`; "test loss" may be what is meant by `loss`, if nothing else is.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache
from itertools import islice
from typing import NamedTuple

_SYNONYMS = (
    ("val", "valid", "validation"),
    ("eval", "evaluation"),
    ("train", "training"),
    ("acc", "accuracy"),
    ("err", "error"),
    ("ppl", "perplexity"),
)
_HELD_OUT = {"val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev", "holdout"}
_OTHER = {
    "best", "lowest", "highest", "min", "minimum", "max", "maximum", "top", "old", "prev", "previous", "initial",
    "target", "baseline", "running", "smoothed", "ema", "train", "training", "last", "delta", "std",
}  # fmt: skip
"""Words before a metric's name that make it another metric."""
_MAX_MENTIONS = 100
"""Number of places in a line that are looked at for one metric."""
_WORD_BEFORE = re.compile(r"([A-Za-z]{1,20})[ _]{1,3}\Z")
_SEPARATOR = (
    r"""["'`]?(?:\s{0,8}\([^()\d\n]{0,24}\))?"""
    r"""(?:\s{0,40}+(?:[=:→|│┃]|[-=]>)\s{0,60}+|\s{0,8}\.{3,80}+\s{0,8}[:=]?\s{0,8}|(?P<space>[ \t]{1,40}+))"""
)
"""What may be between a name and its value: a quote, a unit in parentheses, and a sign, dots or a space."""
_COUNTED = re.compile(
    r"\s{1,4}(?:full |more )?(?:epoch|step|time|batch|iteration|round|evaluation|check|trial)", re.IGNORECASE
)


class Closeness(IntEnum):
    """How surely a name in the output is the metric's.

    EXACT: its own spelling. VARIANT: another spelling of it. QUALIFIED: with a word such as "test" before it.
    """

    EXACT = 0
    VARIANT = 1
    QUALIFIED = 2


class Mention(NamedTuple):
    """A metric's name in a text: how it is written, and where its value would begin.

    `closeness` is None for another metric, such as "best val_loss"; `by_space` is true where only a space parts name
    and value.
    """

    spelling: str
    closeness: Closeness | None
    value_at: int
    by_space: bool


@cache
def tokens(name: str) -> tuple[str, ...]:
    """Return the parts of a name in lower case: ("val", "loss") for val_loss, val/loss and valLoss."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name[:200])
    return tuple(part.lower() for part in re.split(r"[\W_]+", parted) if part)


@cache
def search_word(name: str) -> str:
    """Return a text in lower case that is in every spelling of the name."""
    words = [min((form for form in _synonyms(part)), key=len) for part in tokens(name)]
    return max(words, key=len, default=name.lower())


def is_spelling_of(text: str, name: str) -> bool:
    """Return whether the whole text is a spelling of the name."""
    return text == name or _pattern(name).fullmatch(text.strip()) is not None


def mentions(text: str, name: str) -> list[Mention]:
    """Return where the name is in the text with room for a value behind it."""
    return [
        Mention(*_closeness(text, match.start("name"), match["name"], name), match.end(), match["space"] is not None)
        for match in islice(_mention(name).finditer(text), _MAX_MENTIONS)
    ]


def has_name(text: str, name: str) -> bool:
    """Return whether the text has the name in one of its spellings."""
    return _named(name).search(text) is not None


def counts_something(text: str, end: int) -> bool:
    """Return whether the number that ends there counts epochs or the like: "no better val_loss 3 epochs in a row"."""
    return _COUNTED.match(text, end) is not None


def _closeness(text: str, start: int, spelling: str, name: str) -> tuple[str, Closeness | None]:
    before = _WORD_BEFORE.search(text[max(0, start - 24) : start])
    word = before[1].lower() if before else ""
    if word in _OTHER:
        return f"{word} {spelling}", None
    if word in _HELD_OUT and not set(tokens(name)) & _HELD_OUT:
        return f"{word} {spelling}", Closeness.QUALIFIED
    return spelling, Closeness.EXACT if spelling == name else Closeness.VARIANT


def _synonyms(part: str) -> tuple[str, ...]:
    return next((group for group in _SYNONYMS if part in group), (part,))


@cache
def _spelled(name: str) -> str:
    parts: list[str] = []
    for part in tokens(name):
        forms = "|".join(re.escape(form) for form in sorted(_synonyms(part), key=len, reverse=True))
        # "loss 2" is the metric loss and its value, not loss_2.
        gap = "" if not parts else r"[_./@-]" if part.isdigit() else r"[\s_./@-]{0,2}"
        parts.append(f"{gap}(?:{forms})")
    return f"(?:{re.escape(name)}|{''.join(parts) or re.escape(name)})"


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(_spelled(name), re.IGNORECASE)


@cache
def _named(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w./@-])(?P<name>{_spelled(name)})(?![\w@/]|[.-]\w)", re.IGNORECASE)


@cache
def _mention(name: str) -> re.Pattern[str]:
    return re.compile(_named(name).pattern + _SEPARATOR, re.IGNORECASE)
