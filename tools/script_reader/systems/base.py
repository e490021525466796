"""What every reader of a configuration system returns, and what the readers share."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources

Names = Mapping[str, Any]
_OPTIONS_IN_HELP = re.compile(
    r"(?:options|choices?|one of|either|can be|supported|available|possible values|select)?\W{0,20}"
    r"((?:['\"]?\w[\w.-]{0,30}['\"]?\s{0,20}(?:\||,|/)\s{0,20}(?:or\s{1,20})?){1,12}"
    r"(?:or\s{1,20})?['\"]?\w[\w.-]{0,30}['\"]?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The settings of one configuration system.

    Attributes:
        system: its name, for people.
        settings: each with how it is set.
        words: words of the command behind the script's name, such as a subcommand.
        notes: what a person should look at.
        is_command_line: whether the settings are options of the command.
    """

    system: str
    settings: tuple[Setting, ...]
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_command_line: bool = True


class System(Protocol):
    """A reader of one configuration system; a module-level function, called once."""

    def __call__(self, sources: Sources) -> Found | None:
        """Return the settings, None if the script does not use this system."""


def found(
    system: str, settings: Iterator[Setting], words: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> Found | None:
    """Return the settings, of several with one name the last; None for none."""
    by_name = {setting.name: setting for setting in settings if can_be_a_key(setting.name)}
    return Found(system=system, settings=tuple(by_name.values()), words=words, notes=notes) if by_name else None


def can_be_a_key(name: str) -> bool:
    """Return whether study files and command templates allow the name."""
    return name.isidentifier() and name.isascii()


def kind_of(annotation: str, default: Any) -> str:
    """Return float, int, bool or str as an annotation or converter says, else as the default is; "" for others."""
    last = annotation.rpartition(".")[2]
    if last in ("float", "int", "bool", "str"):
        # type=int with default=1e-3 means a float.
        return "float" if last == "int" and isinstance(default, float) else last
    return type(default).__name__ if isinstance(default, bool | int | float | str) else ""


def annotation_kind(node: ast.expr | None, default: Any) -> str:
    """Return the kind that an annotation such as `float`, `Optional[float]` or `float | None` names."""
    match node:
        case ast.Subscript(value=value, slice=inner) if dotted(value).rpartition(".")[2] in ("Optional", "Annotated"):
            first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
            return annotation_kind(first, default)
        case ast.Subscript(value=value) if dotted(value).rpartition(".")[2] in ("Literal", "List", "list", "Tuple"):
            return kind_of("", default)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            kinds = [annotation_kind(left, None), annotation_kind(right, None)]
            return next((kind for kind in kinds if kind), kind_of("", default))
        case ast.Constant(value=str() as text):
            return kind_of(text, default)
    return kind_of(dotted(node), default)


def literal_choices(node: ast.expr | None, names: Names) -> tuple[Any, ...]:
    """Return the values of a `Literal[...]` annotation, () for another one."""
    if not isinstance(node, ast.Subscript) or not dotted(node.value).endswith("Literal"):
        return ()
    inner = node.slice
    return choices_of([literal_or(e, names, None) for e in (inner.elts if isinstance(inner, ast.Tuple) else [inner])])


def choices_in_help(text: str, default: Any) -> tuple[Any, ...]:
    """Return the values that a help text lists, such as `adam|sgd`, if the default is among them."""
    if not isinstance(default, str) or not default:
        return ()
    for match in _OPTIONS_IN_HELP.finditer(text):
        words = [word.strip(" '\"").removeprefix("or ").strip(" '\"") for word in re.split(r"[|,/]|\bor\b", match[1])]
        values = tuple(dict.fromkeys(word for word in words if word))
        if default in values and 2 <= len(values) <= 12:  # noqa: PLR2004  # a list of choices
            return values
    return ()


def choices_of(values: Any) -> tuple[Any, ...]:
    """Return the values of a list of numbers, texts and switches; () for anything else."""
    if not isinstance(values, list | tuple) or any(scalar(value) is None for value in values):
        return ()
    return tuple(dict.fromkeys(values))


def scalar(value: Any) -> Any:
    """Return a number, text or switch, None for anything else."""
    return value if isinstance(value, bool | int | float | str) else None


def number(value: Any) -> float | None:
    """Return a number, None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call, in the order of the code."""
    found_calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return iter(sorted(found_calls, key=lambda call: (call.lineno, call.col_offset)))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield every function."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def last_name(node: ast.expr | None) -> str:
    """Return `c` of `a.b.c` and of a call of it, "" for anything else."""
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def help_of(call: ast.Call | None, names: Names) -> str:
    """Return the help of an option, on one line."""
    text = literal_or(keyword(call, "help"), names, "") if call is not None else ""
    return " ".join(str(text or "").split())[:200]


def parameters(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield each parameter of a function with its default, without self and cls."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    padded: list[ast.expr | None] = [None] * (len(arguments) - len(function.args.defaults))
    pairs = [*zip(arguments, [*padded, *function.args.defaults], strict=True)]
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return ((argument, default) for argument, default in pairs if argument.arg not in ("self", "cls"))


def option_word(flag: str, name: str, kind: str, default: Any) -> str:
    """Return an option's part of the command; with `=` where its value may be negative, which parsers take for one."""
    if not flag.startswith("-"):
        return f"{{{name}}}"
    may_be_negative = kind == "float" and number(default) is not None and default <= 0 and flag.startswith("--")
    return f"{flag}{'=' if may_be_negative else ' '}{{{name}}}"


def comments(file: Path) -> dict[int, str]:
    """Return the comment at the end of each line of a file, which explains a constant."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = ((number, line.partition("#")[2].strip()) for number, line in enumerate(lines, start=1))
    return {number: text[:200] for number, text in pairs if text}
