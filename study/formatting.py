"""Renders values as text and JSON: parameter values, configurations, numbers, text without control characters.

Every package that shows a value uses these functions, so that one value reads the same everywhere. Uses the standard
library only. Knows no terminal and no markup: cutting to a width and escaping for HTML are up to the caller.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

SHORT_DIGITS = 4
"""Significant digits of a parameter's value in tables and lines for people."""

_MOST_SHARES = 6
"""Number of sources of a mixture that a short text names."""

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|\x1b[^\[\]PX^_]?"
)
"""CSI sequences (colours, cursor), string sequences (titles, clipboard) and two-character sequences of ECMA-48."""

_REPLACEMENT = "\ufffd"

_JOINERS = "\u200c\u200d"
"""Zero-width joiners are invisible, but Persian, Indic scripts and emoji are misspelled without them."""


def render_parameter(value: object, *, digits: int = 6) -> str:
    """Return a parameter's value as people write it: 0.003, 1e-05, 64, true, none, adam.

    Floats have at most `digits` significant digits and no trailing zeros; whole floats below 10^7 keep all digits.
    """
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float():
            text = f"{value:.{digits}g}"
            # 98,270 in four digits is 98270 to people, not 9.827e+04.
            return f"{value:.0f}" if "e+" in text and abs(value) < 10**7 else text
    return one_line(str(value), limit=None)


def render_short(value: object) -> str:
    """Return a parameter's value for tables and plots, floats with 4 significant digits."""
    return render_parameter(value, digits=SHORT_DIGITS)


def render_params(params: Mapping[str, object], *, digits: int = 6) -> str:
    """Return a configuration as a line: `lr=0.003 hidden=64 mix={code 0.52, prose 0.48}`."""
    values: dict[str, object] = {}
    shares: dict[str, dict[str, object]] = {}
    for name, value in params.items():
        mixture, _, source = name.rpartition(".")
        if mixture:
            shares.setdefault(mixture, {})[source] = values[mixture] = value
        else:
            values[name] = value
    texts = {name: render_shares(whole, digits=digits) for name, whole in shares.items()}
    shown = ((n, texts[n] if n in texts else render_parameter(value, digits=digits)) for n, value in values.items())
    return " ".join(f"{name}={text}" for name, text in shown)


def render_shares(shares: Mapping[str, object], *, digits: int = 6) -> str:
    """Return a mixture as text: `{code 0.52, prose 0.48}`; with few digits, the largest shares of many sources."""
    shown = list(shares.items())
    if digits <= SHORT_DIGITS and len(shown) > _MOST_SHARES + 1:
        shown = sorted(shown, key=lambda item: -_as_number(item[1]))[:_MOST_SHARES]
    parts = [f"{source} {_render_share(value, digits)}" for source, value in shown]
    left = [_as_number(value) for source, value in shares.items() if source not in dict(shown)]
    return (
        "{" + ", ".join([*parts, *([f"{len(left)} others {_render_share(sum(left), digits)}"] if left else [])]) + "}"
    )


def _render_share(value: object, digits: int) -> str:
    return f"{value:.3g}" if isinstance(value, float) and digits <= SHORT_DIGITS else render_parameter(value)


def _as_number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def render_exact(value: object) -> str:
    """Return a value as a command line takes it: floats with all their digits, so that float() gives them back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def render_literal(value: object, *, longest: int = 60) -> str:
    """Return a value as study.toml and JSON spell it ("adam", true, 0.1, [1, 2]), for messages about wrong input.

    What is longer than `longest` characters is cut and ends with an ellipsis.
    """
    if isinstance(value, float):
        return str(value)
    text = escape_control(json.dumps(value, ensure_ascii=False, default=str, skipkeys=True))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def json_number(value: float) -> float | None:
    """Return the number, or None for nan and the infinities, which JSON cannot hold."""
    return value if math.isfinite(value) else None


def json_number_or_text(value: float) -> float | str:
    """Return the number; nan and the infinities as the texts "nan", "inf" and "-inf", which float() reads back."""
    return value if math.isfinite(value) else str(float(value))


def json_values(value: Any, *, digits: int | None = None) -> Any:
    """Return a nested value that strict JSON can hold: nan and the infinities as None, keys as text, tuples as lists.

    With `digits`, floats are rounded to that many significant digits.
    """
    if isinstance(value, float):
        finite = json_number(value)
        return finite if finite is None or digits is None else float(f"{finite:.{digits}g}")
    if isinstance(value, Mapping):
        return {str(key): json_values(item, digits=digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item, digits=digits) for item in value]
    return value


def strip_escapes(text: str) -> str:
    """Return the text without the escape sequences of terminals, such as colours; other characters stay."""
    return _ESCAPE_SEQUENCE.sub("", text) if "\x1b" in text else text


def strip_control(text: str) -> str:
    """Return the text without escape sequences and unprintable characters; line breaks and tabs stay.

    A terminal, a browser and a model all act on such characters, and training scripts print them. Carriage returns
    become line breaks; half of a surrogate pair, which means an undecodable byte, becomes a question mark.
    """
    if text.isprintable():
        return text
    clean = strip_escapes(text).encode("utf-8", "replace").decode("utf-8")
    clean = clean.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(_printable(character) for character in clean)


def escape_control(line: str) -> str:
    r"""Return the line with each unprintable character spelled out, such as `\x1b` or `\u202e`.

    For what a person decides on, such as a file name, a command or a diff, where leaving characters out would mislead:
    control characters act on a terminal, and bidirectional ones show text in another order than it has.
    """
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else _spelled(character) for character in line)


def valid_text(text: str) -> str:
    """Return text from outside so that every file, database and terminal can hold it.

    Half of a surrogate pair, which no encoding has, and the zero byte, which ends a text in C, become U+FFFD.
    """
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def valid_values(value: Any) -> Any:
    """Return a decoded JSON value whose texts and keys are all `valid_text`."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, Mapping):
        return {valid_text(key) if isinstance(key, str) else key: valid_values(item) for key, item in value.items()}
    return [valid_values(item) for item in value] if isinstance(value, list) else value


def position_between(value: float, low: float, high: float) -> float:
    """Return where a number lies between two others, from 0 to 1; 0 where they are equal. No finite range overflows."""
    reach = high - low
    if math.isinf(reach):
        # From -1e308 to 1e308 it is too far for a float, half of it is not.
        return position_between(value / 2, low / 2, high / 2)
    return min(max((value - low) / reach, 0.0), 1.0) if reach > 0 else 0.0


def count(number: int, noun: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str, limit: int | None = 200) -> str:
    """Return the text without control characters on one line, cut to at most `limit` characters."""
    flat = " ".join(strip_control(text).split())
    return flat if limit is None or len(flat) <= limit else f"{flat[: limit - 1]}…"


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _printable(character: str) -> str:
    if character.isprintable() or character in "\n\t" or character in _JOINERS:
        return character
    # str.isprintable is true for one space only; the others, from form feed to the no-break space, still part words.
    return " " if character.isspace() else ""
