"""The texts that a trial writes for its examples: one JSON object a line. Plain data and a parser; opens no file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.formatting import render_literal, valid_text

MAX_EXAMPLES = 2000
"""Number of examples of which a trial may write texts."""
MAX_FILE_BYTES = 64 * 2**20
"""Largest file of texts."""
_MAX_ID_CHARS = 200


class TextsUnusable(ValueError):
    """The texts of a trial cannot be read. The message says which line and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleText:
    """What a trial wrote for one example.

    Attributes:
        id: name of the example.
        input: what the text answers, summarizes or translates; "" if the file has none.
        output: the text.
        score: the script's own score, larger is better; None without one.
        feedback: what the script says about the text; "" without any.
    """

    id: str
    input: str
    output: str
    score: float | None = None
    feedback: str = ""


Texts = Mapping[str, ExampleText]
"""Texts by the name of their example, in the order of the file."""


def read_texts(lines: Sequence[str]) -> dict[str, ExampleText]:
    """Return the texts of a file's lines; empty lines are passed over.

    Raises:
        TextsUnusable: a line is not valid, an example occurs twice, or there are none or too many.
    """
    found: dict[str, ExampleText] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        text = _read_line(line, number)
        if text.id in found:
            raise TextsUnusable(f"line {number} repeats the id {render_literal(text.id)}")
        found[text.id] = text
        if len(found) > MAX_EXAMPLES:
            raise TextsUnusable(f"it has over {MAX_EXAMPLES:,} examples; write fewer")
    if not found:
        raise TextsUnusable("it is empty")
    return found


def write_texts(texts: Texts) -> str:
    """Return the lines that `read_texts` reads these texts from."""
    rows = [
        {"id": t.id, "input": t.input, "output": t.output}
        | ({} if t.score is None else {"score": t.score})
        | ({"feedback": t.feedback} if t.feedback else {})
        for t in texts.values()
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _read_line(line: str, number: int) -> ExampleText:
    wanted = 'expected an object such as {"id": "7", "input": "...", "output": "..."}'
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise TextsUnusable(f"line {number} is not valid JSON; {wanted}") from None
    if not isinstance(row, dict):
        raise TextsUnusable(f"line {number} is not an object; {wanted}")
    name, output = row.get("id"), row.get("output")
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise TextsUnusable(f"line {number} has no id; {wanted}")
    if len(str(name)) > _MAX_ID_CHARS:
        raise TextsUnusable(f"line {number} has an id of over {_MAX_ID_CHARS} characters")
    if not isinstance(output, str):
        raise TextsUnusable(f"line {number} has no output, or one that is not a text; {wanted}")
    return ExampleText(
        id=valid_text(str(name)),
        input=valid_text(_as_text(row.get("input"))),
        output=valid_text(output),
        score=_score(row, number),
        feedback=valid_text(_as_text(row.get("feedback"))),
    )


def _as_text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _score(row: Mapping[str, Any], number: int) -> float | None:
    value = row.get("score")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise TextsUnusable(f"line {number} has a score that is not a number")
    return float(value)
