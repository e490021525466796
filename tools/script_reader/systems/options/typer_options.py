"""Reads the parameters of functions that typer turns into options."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    Names,
    annotation_kind,
    calls,
    choices_in_help,
    found,
    functions,
    help_of,
    last_name,
    literal_choices,
    number,
    option_word,
    parameters,
    scalar,
)


def read(sources: Sources) -> Found | None:
    """Return the options of the command that trains."""
    if not sources.imports("typer"):
        return None
    tree, names = sources.main.tree, sources.main.names
    run = {dotted(c.args[0]) for c in calls(tree) if dotted(c.func) == "typer.run" and c.args}
    commands = [f for f in functions(tree) if any(last_name(d) == "command" for d in f.decorator_list) or f.name in run]
    if not commands:
        return None
    by_name = {f.name.replace("_", "-"): f for f in commands}
    asked = next((word for word in sources.given if word in by_name), "")
    chosen = asked or next(
        (name for name in by_name if "train" in name or name in ("main", "fit")), next(iter(by_name))
    )
    words = (chosen,) if len(commands) > 1 and not asked else ()
    others = ", ".join(name for name in by_name if name != chosen)
    notes = (f"the subcommand {chosen} was taken; others: {others}",) if words else ()
    return found("typer", _function(by_name[chosen], names), words, notes)


def _function(function: ast.FunctionDef, names: Names) -> Iterator[Setting]:
    for argument, default in parameters(function):
        annotation = argument.annotation
        if isinstance(annotation, ast.Subscript) and dotted(annotation.value).endswith("Annotated"):
            parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            marks = [p for p in parts[1:] if isinstance(p, ast.Call)]
            yield _setting(argument.arg, parts[0] if parts else None, default, marks[0] if marks else None, names)
        elif isinstance(default, ast.Call):
            first = default.args[0] if default.args else keyword(default, "default")
            yield _setting(argument.arg, annotation, first, default, names)
        else:
            yield _setting(argument.arg, annotation, default, None, names)


def _setting(
    name: str, annotation: ast.expr | None, default: ast.expr | None, mark: ast.Call | None, names: Names
) -> Setting:
    value = literal_or(default, names, None)
    given = [literal_or(arg, names, None) for arg in (mark.args if mark else [])]
    flags = sorted((f for f in given if isinstance(f, str) and f.startswith("-")), key=lambda f: f[:2] != "--")
    flag = flags[0] if flags else f"--{name.replace('_', '-')}"
    is_positional = default is None and (mark is None or dotted(mark.func).endswith("Argument"))
    help_text = help_of(mark, names)
    kind = annotation_kind(annotation, value)
    if kind == "bool":
        on, _, off = flag.partition("/")
        # Typer adds --no-x only where the script names no option itself.
        off = off or ("" if flags else f"--no-{on[2:]}")
        word = f"{{{name}?{on}{f':{off}' if off else ''}}}"
        return Setting(name=name, kind=kind, word=word, default=bool(value), help=help_text)
    low, high = (literal_or(keyword(mark, side) if mark else None, names, None) for side in ("min", "max"))
    word = f"{{{name}}}" if is_positional else option_word(flag, name, kind, value)
    choices = literal_choices(annotation, names) or choices_in_help(help_text, value)
    return Setting(
        name=name, kind=kind, word=word, default=scalar(value), help=help_text, low=number(low), high=number(high),
        required=is_positional or isinstance(value, type(...)), choices=choices, is_typed=True,
    )  # fmt: skip
