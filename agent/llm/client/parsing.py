"""Finds the JSON object in what a model wrote: alone, in a code fence, or in the middle of prose."""

from __future__ import annotations

import json
import re
from typing import Any


class NoJsonObject(ValueError):
    """There is no object in the text, or it ends before it is closed, or a number in it is no number."""


def find_json_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in a text.

    Raises:
        NoJsonObject: the message says what is wrong with what was found.
    """
    last = "there is no JSON object in the answer"
    decoder = json.JSONDecoder(parse_constant=_refuse)
    # An inner object of a broken outer one is not what was asked for: beside the first, only those that open a line.
    openings = [text.find("{"), *(match.start() for match in re.finditer(r"^\s*\{", text, re.MULTILINE))]
    for start in dict.fromkeys(openings):
        if start < 0:
            continue
        try:
            found, _ = decoder.raw_decode(text, text.index("{", start))
        except json.JSONDecodeError as error:
            last = f"the JSON cannot be read: {error.msg} at character {error.pos - start}"
        except RecursionError:
            last = "the JSON is nested too deeply"
        else:
            if isinstance(found, dict) and found:
                return found
    raise NoJsonObject(last)


def _refuse(name: str) -> Any:
    raise NoJsonObject(f"{name} is no number; give a finite one")
