"""Reads options that click parses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    Names,
    choices_in_help,
    choices_of,
    found,
    functions,
    help_of,
    kind_of,
    last_name,
    number,
    option_word,
    scalar,
)


def read(sources: Sources) -> Found | None:
    """Return each `click.option` that decorates a command; of a group, those of the command that trains."""
    if not sources.imports("click", "rich_click"):
        return None
    tree, names = sources.main.tree, sources.main.names
    commands = [f for f in functions(tree) if any(last_name(d) in ("command", "group") for d in f.decorator_list)]
    is_group = any(last_name(d) == "group" for f in commands for d in f.decorator_list)
    chosen = commands or list(functions(tree))
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if is_group:
        groups = [f for f in commands if any(last_name(d) == "group" for d in f.decorator_list)]
        below = {_command_name(f, names): f for f in commands if f not in groups}
        asked = next((word for word in sources.given if word in below), "")
        best = asked or next((name for name in below if "train" in name), next(iter(below), ""))
        if best:
            chosen, words = [below[best]], () if asked else (best,)
            others = [name for name in below if name != best]
            notes = (f"the subcommand {best} was taken; others: {', '.join(others)}",) if others and not asked else ()
    return found("click", (s for f in chosen for s in _options(f, names)), words, notes)


def _command_name(function: ast.FunctionDef, names: Names) -> str:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and last_name(decorator) == "command":
            given = decorator.args[0] if decorator.args else keyword(decorator, "name")
            if isinstance(text := literal_or(given, names, None), str):
                return text
    return function.name.replace("_", "-")


def _options(function: ast.FunctionDef, names: Names) -> Iterator[Setting]:
    for call in function.decorator_list:
        if not isinstance(call, ast.Call) or last_name(call) not in ("option", "argument"):
            continue
        flags = [str(f) for arg in call.args if isinstance(f := literal_or(arg, names, None), str)]
        if flags and last_name(call) == "argument":
            default = literal_or(keyword(call, "default"), names, None)
            yield Setting(
                name=flags[0], kind="", word=f"{{{flags[0]}}}", default=scalar(default), required=default is None
            )
        elif flags:
            yield _setting(call, flags, names)


def _setting(call: ast.Call, flags: list[str], names: Names) -> Setting:
    longest = next((flag for flag in flags if flag.startswith("--")), flags[0])
    own = next((flag for flag in flags if not flag.startswith("-")), "")
    on, _, off = longest.partition("/")
    name = own or on.lstrip("-").replace("-", "_")
    default = literal_or(keyword(call, "default"), names, None)
    help_text = help_of(call, names)
    if off or literal_or(keyword(call, "is_flag"), names, False) is True:
        word = f"{{{name}?{on}{f':{off.strip()}' if off else ''}}}"
        return Setting(name=name, kind="bool", word=word, default=bool(default), help=help_text)
    kind, choices, low, high = _type(keyword(call, "type"), names, default)
    if kind == "bool":
        word = f"{on} {{{name}?True:False}}"
        return Setting(name=name, kind="bool", word=word, default=bool(default), help=help_text)
    return Setting(
        name=name, kind=kind, word=option_word(on, name, kind, default), default=scalar(default),
        choices=choices or choices_in_help(help_text, default), help=help_text, low=low, high=high, is_typed=True,
        required=literal_or(keyword(call, "required"), names, False) is True,
    )  # fmt: skip


def _type(node: ast.expr | None, names: Names, default: Any) -> tuple[str, tuple[Any, ...], float | None, float | None]:
    if not isinstance(node, ast.Call):
        return kind_of(dotted(node), default), (), None, None
    last = last_name(node)
    values = [literal_or(argument, names, None) for argument in node.args]
    if last == "Choice":
        return "str", choices_of(values[0] if values else ()), None, None
    low = literal_or(keyword(node, "min"), names, values[0] if values else None)
    high = literal_or(keyword(node, "max"), names, values[1] if len(values) > 1 else None)
    kind = {"FloatRange": "float", "IntRange": "int"}.get(last, "")
    return kind, (), number(low), number(high)
