"""Reads the globals that nanoGPT's configurator takes from the command line: those that stand before it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from tunesmith.evaluator.filling.python_source import places
from tunesmith.tools.script_reader.literals import constants, dotted, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources
from tunesmith.tools.script_reader.systems.base import Found, calls, choices_in_help, comments, found, kind_of, scalar


def read(sources: Sources) -> Found | None:
    """Return the globals before `exec(open("configurator.py").read())`."""
    tree = sources.main.tree
    executed = (c for c in calls(tree) if dotted(c.func) == "exec" and "configurator" in ast.unparse(c))
    line = next((call.lineno for call in executed), None)
    return None if line is None else found("configurator", _globals(sources, line))


def _globals(sources: Sources, line: int) -> Iterator[Setting]:
    helps, overwritten = comments(sources.main.file), _overwritten(sources)
    for place in places(sources.main.tree):
        own = scalar(literal_or(place.node, sources.main.names, None))
        is_global = place.form == "constant" and not place.owner and "#" not in place.address
        if not is_global or place.node.lineno >= line or own is None:
            continue
        value = _as_type_of(own, scalar(overwritten.get(place.address)))
        name, kind = place.address, kind_of("", value)
        # The configurator refuses a value of another type than the global has, so a switch is True or False.
        word = f"--{name}={{{name}?True:False}}" if kind == "bool" else f"--{name}={{{name}}}"
        text = helps.get(place.node.lineno, "")
        choices = choices_in_help(text, value)
        yield Setting(name=name, kind=kind, word=word, default=value, is_typed=True, help=text, choices=choices)


def _overwritten(sources: Sources) -> dict[str, Any]:
    """Return the constants of the configuration files that the command line gives."""
    values: dict[str, Any] = {}
    for word in sources.given:
        file = sources.root / word
        if word.endswith(".py") and not word.startswith("-") and file.is_file():
            values |= constants(ast.parse(file.read_text(encoding="utf-8-sig")))
    return values


def _as_type_of(own: Any, new: Any) -> Any:
    if new is None:
        return own
    return float(new) if isinstance(own, float) and isinstance(new, int) else new
