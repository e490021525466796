"""Reads options that argparse parses: those of the script, else those of the modules that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tunesmith.tools.script_reader.literals import constants, dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    Names,
    calls,
    choices_in_help,
    choices_of,
    found,
    functions,
    help_of,
    kind_of,
    option_word,
    scalar,
)

_TRUE_FALSE = ("str2bool", "strtobool", "boolean", "bool_flag", "parse_bool", "str_to_bool", "bool_arg", "to_bool")
MAX_ELEMENTS = 8
"""Longest list of values of one option that becomes a parameter for each element."""


def read(sources: Sources) -> Found | None:
    """Return the options of the first module that has any; the script itself comes first."""
    notes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    for module in _modules(sources):
        settings = [*_options(module), *_options_from_dicts(sources, module)]
        if not settings:
            continue
        if commands := _subcommands(module.tree):
            words, settings, notes = _with_subcommand(sources, module, commands, settings)
        system = "argparse" if module is sources.main else f"argparse in {module.path}"
        return found(system, iter(settings), words, notes)
    return None


def _modules(sources: Sources) -> Iterator[Module]:
    """Yield the script, then the modules with their options joined: base classes of options are in other files."""
    yield sources.main
    others = [m for m in sources.modules[1:] if any(_is_option(call) for call in calls(m.tree))]
    if len(others) > 1:
        body = [statement for m in others for statement in m.tree.body]
        joined = ast.Module(body=body, type_ignores=[])
        yield Module(path=others[0].path, file=others[0].file, tree=joined, names=constants(joined))
    elif others:
        yield others[0]


def _is_option(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in ("add_argument", "add_arg")


def _options(module: Module) -> Iterator[Setting]:
    for call in calls(module.tree):
        if not _is_option(call):
            continue
        flags = [str(flag) for arg in call.args if isinstance(flag := literal_or(arg, module.names, None), str)]
        flags = [flag for flag in flags if flag.strip("-")]
        if flags and _takes_values(keyword(call, "action"), module.names):
            yield from _settings(call, flags, module.names)


def _takes_values(action: ast.expr | None, names: Names) -> bool:
    """Return whether the option is a switch or takes values, unlike count, append, store_const and version."""
    return action is None or _spelled(action, names) in ("store", "store_true", "store_false", "BooleanOptionalAction")


def _spelled(action: ast.expr | None, names: Names) -> str:
    return str(literal_or(action, names, dotted(action).rpartition(".")[2]))


def _settings(call: ast.Call, flags: list[str], names: Names) -> Iterator[Setting]:
    longest = next((flag for flag in flags if flag.startswith("--")), flags[0])
    name = str(literal_or(keyword(call, "dest"), names, longest.lstrip("-").replace("-", "_")))
    default = literal_or(keyword(call, "default"), names, None)
    help_text = help_of(call, names)
    switch = _switch_word(_spelled(keyword(call, "action"), names), longest, name)
    if switch:
        off = _spelled(keyword(call, "action"), names) == "store_false"
        value = True if off else scalar(default) if "BooleanOptional" in ast.dump(call) else bool(default)
        yield Setting(name=name, kind="bool", word=switch, default=value, help=help_text)
    elif keyword(call, "nargs") is not None:
        yield from _list(call, longest, name, default, names)
    else:
        yield _single(call, longest, name, default, names)


def _switch_word(action: str, flag: str, name: str) -> str:
    """Return the word of a switch, "" for an option that takes a value."""
    words = {
        "store_true": f"{{{name}?{flag}}}",
        "store_false": f"{{{name}?:{flag}}}",
        "BooleanOptionalAction": f"{{{name}?{flag}:--no-{flag[2:]}}}",
    }
    return words.get(action, "")


def _single(call: ast.Call, flag: str, name: str, default: Any, names: Names) -> Setting:
    help_text = help_of(call, names)
    default = _path_text(keyword(call, "default")) if default is None else default
    is_required = literal_or(keyword(call, "required"), names, False) is True or not flag.startswith("-")
    converter = dotted(keyword(call, "type"))
    last = converter.rpartition(".")[2].lower()
    if last in _TRUE_FALSE or (isinstance(keyword(call, "type"), ast.Lambda) and isinstance(default, bool)):
        word = f"{flag} {{{name}?True:False}}"
        return Setting(name=name, kind="bool", word=word, default=bool(default), help=help_text)
    choices = choices_of(literal_or(keyword(call, "choices"), names, ())) or choices_in_help(help_text, default)
    # bool("false") is True: such an option cannot be switched off. Without a type the script gets a text.
    is_text = not converter and not choices and not isinstance(keyword(call, "type"), ast.Lambda)
    kind = "" if converter == "bool" or (is_text and not isinstance(default, float)) else kind_of(converter, default)
    if isinstance(default, str) and kind in ("int", "float"):
        default = literal_or(_parsed(default), names, default)
    return Setting(
        name=name, kind=kind, word=option_word(flag, name, kind, default), default=scalar(default), choices=choices,
        help=help_text, required=is_required and default is None, is_typed=True,
    )  # fmt: skip


def _path_text(node: ast.expr | None) -> str | None:
    """Return the path in `ROOT / "data/hyp.yaml"`, None for anything else."""
    match node:
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str() as text)):
            return text
    return None


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _list(call: ast.Call, flag: str, name: str, default: Any, names: Names) -> Iterator[Setting]:
    """Yield a parameter for each element of a list of numbers; the option's name is in the word of the first."""
    kind = kind_of(dotted(keyword(call, "type")), None)
    help_text = help_of(call, names)
    count = literal_or(keyword(call, "nargs"), names, None)
    values = default if isinstance(default, list | tuple) else []
    if count == "?":
        yield replace(_single(call, flag, name, default, names), required=False)
        return
    if kind not in ("float", "int") or not 1 <= len(values) <= MAX_ELEMENTS or not all(map(_is_number, values)):
        word = f"{flag} {{{name}}}" if flag.startswith("-") else f"{{{name}}}"
        is_asked = literal_or(keyword(call, "required"), names, False) is True
        is_required = is_asked or (not flag.startswith("-") and count != "*" and not values)
        yield Setting(name=name, kind="", word=word, help=help_text, required=is_required)
        return
    for index, value in enumerate(values):
        element = f"{name}_{index}" if len(values) > 1 else name
        word = f"{flag} {{{element}}}" if index == 0 else f"{{{element}}}"
        path = f"{name}.{index}" if len(values) > 1 else name
        yield Setting(name=element, kind=kind, word=word, default=value, help=help_text, path=path, is_typed=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _options_from_dicts(sources: Sources, module: Module) -> Iterator[Setting]:
    """Yield the entries of dicts that a loop over their items turns into options."""
    loops = (node for m in sources.modules for node in ast.walk(m.tree) if isinstance(node, ast.For))
    if not any(_adds_each_entry(loop) for loop in loops):
        return
    for m in sources.modules:
        for function in functions(m.tree):
            if m is module or "default" in function.name:
                for call in calls(function):
                    if dotted(call.func) == "dict":
                        yield from _entries(call, m.names)


def _adds_each_entry(loop: ast.For) -> bool:
    iterates = isinstance(loop.iter, ast.Call) and dotted(loop.iter.func).endswith(".items")
    return iterates and any(
        _is_option(call) and call.args and isinstance(call.args[0], ast.JoinedStr) for call in calls(loop)
    )


def _entries(call: ast.Call, names: Names) -> Iterator[Setting]:
    for entry in call.keywords:
        value = scalar(literal_or(entry.value, names, None))
        if entry.arg and value is not None:
            kind = kind_of("", value)
            word = option_word(f"--{entry.arg}", entry.arg, kind, value)
            if kind == "bool":
                word = f"--{entry.arg} {{{entry.arg}?True:False}}"
            yield Setting(name=entry.arg, kind=kind, word=word, default=value, is_typed=True)


def _subcommands(tree: ast.AST) -> list[tuple[str, str]]:
    """Return the subcommands: the variable of each one's parser, and its name."""
    commands = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=variable)], value=ast.Call(func=func, args=[ast.Constant(value=str() as name), *_])
            ) if (  # noqa: E501
                dotted(func).endswith(".add_parser")
            ):
                commands.append((variable, name))
    return commands


def _with_subcommand(
    sources: Sources, module: Module, commands: list[tuple[str, str]], settings: list[Setting]
) -> tuple[tuple[str, ...], list[Setting], tuple[str, ...]]:
    """Return the subcommand that trains, its own settings, and what to say about the others."""
    names = [name for _, name in commands]
    asked = next((word for word in sources.given if word in names), "")
    chosen = asked or next((n for n in names if "train" in n or n in ("fit", "run")), names[0])
    others = {variable for variable, name in commands if name != chosen}
    foreign = {
        str(literal_or(call.args[0], module.names, "")).lstrip("-").replace("-", "_")
        for call in calls(module.tree)
        if _is_option(call) and call.args and dotted(call.func).rpartition(".")[0] in others
    }
    own_variable = next(variable for variable, name in commands if name == chosen)
    own = {
        str(literal_or(call.args[0], module.names, "")).lstrip("-").replace("-", "_")
        for call in calls(module.tree)
        if _is_option(call) and call.args and dotted(call.func).rpartition(".")[0] == own_variable
    }
    kept = [s for s in settings if s.name not in foreign or s.name in own]
    note = (
        ()
        if asked or len(names) == 1
        else (f"the subcommand {chosen} was taken; others: {', '.join(n for n in names if n != chosen)}",)
    )  # noqa: E501
    return () if asked else (chosen,), kept, note
