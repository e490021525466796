"""Reads the code of a Jupyter notebook as one Python text, and writes it back with other values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tunesmith.evaluator.filling import python_source
from tunesmith.study.space.condition import Value

_MAGIC = re.compile(r"^(\s*)([%!?].*|.*\?\s*$|\w+\s*=\s*!.*)$")


def code(text: str) -> str:
    """Return the code of all cells, with magics as comments, and cells that are not Python left out.

    Raises:
        ValueError: it is not a notebook.
    """
    return "\n".join(source for source in _sources(_parsed(text)) if source)


def fill(text: str, values: Mapping[str, Value]) -> str:
    """Return the notebook with other values in its code; what has been printed before is removed.

    Raises:
        KeyError: there is no such address.
        ValueError: it is not a notebook.
    """
    notebook = _parsed(text)
    sources = _sources(notebook)
    lines = python_source.fill("\n".join(source for source in sources if source), values).split("\n")
    for cell, source in zip(_code_cells(notebook), sources, strict=True):
        count = len(source.split("\n")) if source else 0
        cell["source"], lines = "\n".join(lines[:count]), lines[count:]
        cell["outputs"] = []
    return json.dumps(notebook)


def _parsed(text: str) -> Any:
    try:
        notebook = json.loads(text)
        if isinstance(notebook["cells"], list):
            return notebook
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError("is not a notebook")


def _code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "code"]


def _sources(notebook: Any) -> list[str]:
    return [_python(cell.get("source", "")) for cell in _code_cells(notebook)]


def _python(source: Any) -> str:
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    if text.lstrip().startswith("%%"):
        return ""
    text = "\n".join(_MAGIC.sub(r"\1pass  # \2", line) for line in text.split("\n"))
    try:
        python_source.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return text
