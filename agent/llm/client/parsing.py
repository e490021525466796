"""Finds the JSON object in a model's answer: bare, in a code fence, or inside prose."""

from __future__ import annotations

import json
import re
from typing import Any


class NoJsonObject(ValueError):
    """The text contains no complete JSON object; the message says why."""


def find_json_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in a text.

    Raises:
        NoJsonObject: there is none, or it is incomplete, nested too deeply, or contains NaN or Infinity.
    """
    problem = "the answer contains no JSON object"
    decoder = json.JSONDecoder(parse_constant=_reject_constant)
    # Inside a broken object, an inner object is not the answer. So after the first brace, only line starts count.
    starts = [text.find("{"), *(match.start() for match in re.finditer(r"^\s*\{", text, re.MULTILINE))]
    for start in dict.fromkeys(starts):
        if start < 0:
            continue
        try:
            decoded, _ = decoder.raw_decode(text, text.index("{", start))
        except json.JSONDecodeError as error:
            problem = f"the JSON cannot be parsed: {error.msg} at character {error.pos - start}"
        except RecursionError:
            problem = "the JSON is nested too deeply"
        else:
            if isinstance(decoded, dict) and decoded:
                return decoded
    raise NoJsonObject(problem)


def _reject_constant(name: str) -> Any:
    raise NoJsonObject(f"{name} is not valid JSON; give a finite number")
