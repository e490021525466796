"""Lays out a study file: one line per key, a parameter as an inline table on its line.

tomli-w spells keys and single values. It would write a parameter as a table with a line per key and a list with a line
per item, so tables and lists inside a line are put together here. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w


def toml_line(key: str, value: object) -> str:
    """Return `key = value` on one line.

    Raises:
        TypeError: TOML has no such value; None is one of them.
    """
    return f"{_key(key)} = {_value(value)}"


def render_study(document: Mapping[str, Any]) -> str:
    """Return the text of a study file with the given tables; keys whose value is None are left out.

    Raises:
        TypeError: a list contains None, which TOML cannot express.
    """
    return "\n".join(_lines(document)).strip() + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for name, content in document.items():
        is_array = isinstance(content, list)
        for table in content if is_array else [content]:
            yield f"[[{_key(name)}]]" if is_array else f"[{_key(name)}]"
            yield from (toml_line(key, value) for key, value in table.items() if value is not None)
            yield ""


def _key(name: str) -> str:
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        entries = ", ".join(toml_line(str(key), item) for key, item in value.items() if item is not None)
        return f"{{ {entries} }}" if entries else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        # A script may contain half of a surrogate pair, which no UTF-8 file can hold.
        value = value.encode("utf-8", "replace").decode("utf-8")
    return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")
