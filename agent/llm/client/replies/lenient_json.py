"""Reads one object as models write it: JSON, and what is unambiguous besides (Python literals, comments, commas)."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, NoReturn

_TOKEN = re.compile(
    r"""
    (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<single>'(?:[^'\\\n]|\\.)*')
    | (?P<comment>//[^\n]*|/\*.*?\*/|\#[^\n]*)
    | (?P<comma>,(?=(?:\s|//[^\n]*|\#[^\n]*|/\*.*?\*/)*[\]}]))
    | (?P<word>[A-Za-z_][\w.]*)
    | (?P<opening>[{\[])
    | (?P<closing>[}\]])
    | (?P<other>[^"'/\#,A-Za-z_{\[}\]]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_ESCAPE = re.compile(r'\\(u[0-9A-Fa-f]{4}|["\\/bfnrt]|.)', re.DOTALL)


class InvalidJson(ValueError):
    """The text is not a JSON object; the message says why.

    Attributes:
        end: index at which the broken object ends; the text's end when it is not closed, `start` when unknown.
        is_hopeless: no object of the text can be read.
    """

    def __init__(self, reason: str, end: int, *, is_hopeless: bool = False) -> None:
        self.end = end
        self.is_hopeless = is_hopeless
        super().__init__(reason)


def decode_object(text: str, start: int, *, lenient: bool = True) -> tuple[dict[str, Any], int]:
    """Return the object whose first brace is at `start`, and the index after its last one.

    Args:
        text: any text.
        start: index of a brace.
        lenient: also read what is almost JSON, which takes longer.

    Raises:
        InvalidJson: it is incomplete, nested too deeply, or contains NaN or Infinity.
    """
    try:
        return _decode(text, start)
    except json.JSONDecodeError as error:
        strict = f"the JSON cannot be parsed: {error.msg} at character {error.pos - start}"
    except _NotFinite as error:
        raise InvalidJson(str(error), _to_json(text, start)[1] if lenient else start) from None
    except RecursionError:
        raise InvalidJson("the JSON is nested too deeply", len(text), is_hopeless=True) from None
    if not lenient:
        raise InvalidJson(strict, start)
    as_json, end, is_closed = _to_json(text, start)
    if is_closed:
        try:
            return _decode(as_json, 0)[0], end
        except json.JSONDecodeError:
            pass
        except _NotFinite as error:
            raise InvalidJson(str(error), end) from None
    raise InvalidJson(strict, end)


class _NotFinite(ValueError):
    """The value of a number is NaN or Infinity."""


def _decode(text: str, start: int) -> tuple[dict[str, Any], int]:
    # strict=False accepts line breaks in strings, as models write them in code.
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, strict=False)
    value, end = decoder.raw_decode(text, start)
    return value, end


def _refuse_constant(name: str) -> NoReturn:
    raise _NotFinite(f"{name} is not valid JSON; give a finite number")


def _to_json(text: str, start: int) -> tuple[str, int, bool]:
    """Return the object at `start` as JSON as far as possible, where it ends, and whether it is closed."""
    parts: list[str] = []
    depth = 0
    for token in _TOKEN.finditer(text, start):
        parts.append(_part(token))
        depth += (token.lastgroup == "opening") - (token.lastgroup == "closing")
        if depth == 0:
            return "".join(parts), token.end(), True
    return "".join(parts), len(text), False


def _part(token: re.Match[str]) -> str:
    text = token.group()
    match token.lastgroup:
        case "comment" | "comma":
            return ""
        case "word":
            return _WORDS.get(text, text)
        case "double":
            return _ESCAPE.sub(_valid_escape, text)
        case "single":
            return _python_string(text)
        case _:
            return text


def _valid_escape(escape: re.Match[str]) -> str:
    r"""Keep what JSON allows; a backslash before any other character, as in "\d", is kept as a backslash."""
    return escape.group() if re.match(r'\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt])', escape.group()) else rf"\\{escape[1]}"


def _python_string(text: str) -> str:
    try:
        return json.dumps(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
