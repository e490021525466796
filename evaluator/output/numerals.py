"""Reads a number as programs and people write it. A text is a number as a whole or not at all: no part of one is taken.

Every pattern has bounded repetitions or possessive ones, so that a line of a megabyte costs no more than its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SPACES = "\u00a0\u202f\u2009"
"""Spaces that do not break: French and others group digits by them."""
_PLAIN = re.compile(r"[-+]?(?:\d++(?:_\d++)*+(?:\.\d*+)?|\.\d++)(?:[eEdD][-+]?\d{1,6})?", re.ASCII)
_SPECIAL = re.compile(r"([-+]?)(?:(nan|1\.#(?:ind|qnan|snan)\d{0,9})|inf|infinity|∞|1\.#inf\d{0,9})", re.IGNORECASE)
_GROUPED = re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:([,'’{_SPACES}])\d{{3}}(?:\1\d{{3}}){{0,9}})(?:\.\d++)?", re.ASCII)
_DECIMAL_COMMA = re.compile(
    rf"[-+]?(?:[1-9]\d{{0,2}}(?:([.'’ {_SPACES}])\d{{3}}(?:\1\d{{3}}){{0,9}})|\d++),\d++(?:[eE][-+]?\d{{1,6}})?",
    re.ASCII,
)
_SPACED = re.compile(r"[-+]?[1-9]\d{0,2}(?: \d{3}){2,9}(?:[.,]\d++)?", re.ASCII)
_WITH_SPREAD = re.compile(r"([^±+]{1,40}+)(?:±|\+/?-).{1,40}+")

_WORD = re.compile(rf"(?:[^\s()\[\]{{}}<>;|│┃\"'=:,]|[,'{_SPACES}](?=\d)){{1,64}}+(?![^\s()\[\]{{}}<>;|│┃\"'=:,])")
_WRAPPER = re.compile(
    r"(?:(?:np|numpy|jnp|jax|torch|mx|tf)\.)?(?:b?float\d{0,3}|u?int\d{0,3}|tensor|array|decimal|longdouble)\(\s{0,4}"
    r"|<tf\.Tensor:\ [^<>]{0,80}?numpy=",
    re.IGNORECASE,
)
_RATIO_SLASH = re.compile(r"\s{0,4}/\s{0,4}(?=\d)")
_PERCENT_BEHIND = re.compile(r"\s{0,4}[(\[]\s{0,4}([-+\d.,eE]{1,40}+)\s{0,4}%\s{0,4}[)\]]")
_MORE_OF_IT = re.compile(r":\d|\s{0,2}[×·*^x]\s{0,2}\d")
_SPACED_GROUPS = re.compile(r"(?: \d{3}){1,9}(?:[.,]\d++)?(?![\w.,])", re.ASCII)


class Reading(NamedTuple):
    """The number at a place in a text, None if there is none; and where it ends."""

    value: float | None
    end: int


def read_number(text: str) -> float | None:
    """Return the number that the whole text is, None if it is not one.

    Read are 0.41, .5, 1e-3, 4.1D-01, 1_000, nan and infinity in their spellings, thousands in groups (1,234,567.5;
    1'234; 1.234.567,5), decimal commas (0,87), and 93.1%, which is 93.1. `1,234` is 1234: programs group by commas
    far more often than they write three decimals after one.
    """
    text = text.strip().replace("\u2212", "-").removesuffix("%").rstrip()
    if _PLAIN.fullmatch(text):
        return float(text.replace("_", "").lower().replace("d", "e"))
    if special := _SPECIAL.fullmatch(text):
        return float("nan") if special[2] else float(f"{special[1]}inf")
    if _GROUPED.fullmatch(text):
        return float(re.sub(r"[^\d.+-]", "", text))
    if _DECIMAL_COMMA.fullmatch(text):
        return float(re.sub(r"[^\d,+eE-]", "", text).replace(",", "."))
    if _SPACED.fullmatch(text):
        return float(text.replace(" ", "").replace(",", "."))
    spread = _WITH_SPREAD.fullmatch(text)
    return read_number(spread[1]) if spread and _PLAIN.fullmatch(spread[1].strip()) else None


def read_value(text: str, start: int) -> Reading:
    """Return the value at `start`, such as a number, `tensor(0.41)`, `"0.41"`, or `327/719 (45.48%)`.

    A share a/b is the quotient; with its percentage behind it, it is the percentage, for which the quotient is used
    where the percentage has no decimals.
    """
    start, opened = _opened(text, start)
    word = _WORD.match(text, start)
    if word is None:
        return Reading(None, start)
    end = word.end()
    if opened == "[" and not re.compile(r"\s{0,4}\]").match(text, end):
        return Reading(None, end)  # a list
    written = word[0].rstrip(".,!?…") or word[0]
    if "/" in written.replace("+/-", ""):
        return _share(text, written.partition("/")[0], written.partition("/")[2], end)
    if (slash := _RATIO_SLASH.match(text, end)) and (total := _WORD.match(text, slash.end())):
        return _share(text, written, total[0].rstrip(".,"), total.end())
    if re.fullmatch(r"[-+]?\d{1,3}", written) and (groups := _SPACED_GROUPS.match(text, end)):
        return Reading(_spaced(written + groups[0]), groups.end())
    if not opened and _MORE_OF_IT.match(text, end):
        return Reading(None, end)
    return Reading(read_number(written), end)


def read_count(text: str, start: int) -> float | None:
    """Return the number of the epoch or step at `start`; of `3/10` and `3 of 10` it is 3."""
    word = _WORD.match(text, start)
    return read_number(word[0].partition("/")[0].rstrip(".,")) if word else None


def _opened(text: str, start: int) -> tuple[int, str]:
    """Return where the number itself begins, and the bracket or quote before it."""
    if wrapper := _WRAPPER.match(text, start):
        start, opened = wrapper.end(), "("
    else:
        opened = ""
    if text[start : start + 1] in ("[", '"', "'"):
        return start + 1, text[start]
    return start, opened


def _share(text: str, counts: str, total: str, end: int) -> Reading:
    part, whole = read_number(counts), read_number(total)
    behind = _PERCENT_BEHIND.match(text, end)
    if part is None or not whole or not part.is_integer() or not whole.is_integer():
        return Reading(None, end)
    percent = read_number(behind[1]) if behind else None
    if behind is None or percent is None:
        return Reading(part / whole, end)
    return Reading(100 * part / whole if percent.is_integer() else percent, behind.end())


def _spaced(text: str) -> float | None:
    """Return the number with groups parted by spaces; None where it may be two numbers in a row."""
    return read_number(text) if "," in text or text.count(" ") > 1 else None
