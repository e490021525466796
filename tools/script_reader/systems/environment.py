"""Reads the environment variables that a script takes settings from: `float(os.environ.get("LR", "0.1"))`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import Found, calls, found

_READERS = ("os.environ.get", "environ.get", "os.getenv", "getenv", "env.float", "env.int", "env.bool", "env.get")


def read(sources: Sources) -> Found | None:
    """Return the variables that have a default which is a number."""
    result = found("environment variables", (s for m in sources.modules for s in _variables(m)))
    return None if result is None else Found(system=result.system, settings=result.settings, is_command_line=False)


def _variables(module: Module) -> Iterator[Setting]:
    converted = {
        id(call.args[0]): dotted(call.func)
        for call in calls(module.tree)
        if dotted(call.func) in ("float", "int", "bool") and call.args
    }
    for call in calls(module.tree):
        if dotted(call.func) not in _READERS or len(call.args) < 2:  # noqa: PLR2004  # name and default
            continue
        name = literal_or(call.args[0], module.names, None)
        default = literal_or(call.args[1], module.names, None)
        kind = converted.get(id(call), "")
        value = _number(default)
        if isinstance(name, str) and kind in ("float", "int") and value is not None:
            number = float(value) if kind == "float" else int(value)
            yield Setting(name=name.lower(), kind=kind, env=name, default=number, is_typed=True, path=name)


def _number(default: object) -> float | None:
    if isinstance(default, bool) or not isinstance(default, str | int | float):
        return None
    try:
        value = ast.literal_eval(default) if isinstance(default, str) else default
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, int | float) else None
