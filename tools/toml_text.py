"""Writes TOML: values, and a whole study file from its document. Reads nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """Return a value as it stands behind a key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {toml_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, str):
        # JSON leaves DEL as it is and half characters stand; TOML takes neither.
        whole = value.encode("utf-8", "replace").decode("utf-8")
        return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def study_text(document: Mapping[str, Any]) -> str:
    """Return a study file that holds the document."""
    return "\n".join(_tables(document)).strip() + "\n"


def _tables(document: Mapping[str, Any]) -> Iterator[str]:
    for name, table in document.items():
        for entries in table if isinstance(table, list) else [table]:
            yield f"[[{_key(name)}]]" if isinstance(table, list) else f"[{_key(name)}]"
            yield from (f"{_key(key)} = {toml_value(value)}" for key, value in entries.items() if value is not None)
            yield ""


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)
