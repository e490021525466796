"""Reads dataclasses that a package turns into options: HfArgumentParser, tyro, simple_parsing, draccus, pyrallis."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    annotation_kind,
    calls,
    choices_in_help,
    found,
    last_name,
    literal_choices,
    option_word,
    parameters,
    scalar,
)

_PARSERS = {
    "HfArgumentParser": "HfArgumentParser", "TrlParser": "HfArgumentParser", "tyro.cli": "tyro",
    "simple_parsing.parse": "simple_parsing", "add_arguments": "simple_parsing", "draccus.parse": "draccus",
    "draccus.wrap": "draccus", "pyrallis.parse": "pyrallis", "pyrallis.wrap": "pyrallis",
}  # fmt: skip
_CONTAINERS = ("list", "dict", "tuple")
MAX_DEPTH = 4
"""Depth of nesting of dataclasses."""


def read(sources: Sources) -> Found | None:
    """Return the fields of the classes that the script hands to such a package."""
    for call in (*calls(sources.main.tree), *(c for m in sources.modules[1:] for c in calls(m.tree))):
        name = dotted(call.func)
        system = _PARSERS.get(name) or _PARSERS.get(name.rpartition(".")[2] if "Parser" in name else name)
        if system == "simple_parsing" and not sources.imports("simple_parsing"):
            continue
        if system:
            result = found(system, _settings(sources, call, system))
            if result is not None:
                return result
    return None


def _settings(sources: Sources, call: ast.Call, system: str) -> Iterator[Setting]:
    given = call.args[0] if call.args else keyword(call, "config_class")
    nodes = given.elts if isinstance(given, ast.Tuple | ast.List) else [given]
    for name in (dotted(node).rpartition(".")[2] for node in nodes if node is not None):
        yield from _library(name)
        if found_class := sources.find_class(name):
            yield from class_settings(sources, *found_class, system=system)
        elif found_function := sources.find_function(name):
            module, function = found_function
            for argument, default in parameters(function):
                yield from _field(sources, module, argument.arg, argument.annotation, default, "", system, 0)


def class_settings(
    sources: Sources, module: Module, owner: ast.ClassDef, *, system: str, prefix: str = "", depth: int = 0
) -> Iterator[Setting]:
    """Yield the fields of a dataclass, those of its bases first."""
    for base in owner.bases:
        name = dotted(base).rpartition(".")[2]
        yield from _library(name)
        inherited = sources.find_class(name)
        if inherited is not None and depth < MAX_DEPTH and inherited[1] is not owner:
            yield from class_settings(sources, *inherited, system=system, prefix=prefix, depth=depth + 1)
    for statement, following in zip_longest(owner.body, owner.body[1:]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, annotation = statement.target.id, statement.annotation
            for setting in _field(sources, module, name, annotation, statement.value, prefix, system, depth):
                yield setting if setting.help else replace(setting, help=_text_below(following))


def _field(  # noqa: PLR0913  # what a field is, and where
    sources: Sources,
    module: Module,
    name: str,
    annotation: ast.expr | None,
    value: ast.expr | None,
    prefix: str,
    system: str,
    depth: int,
) -> Iterator[Setting]:
    nested = sources.find_class(last_name(annotation)) if annotation is not None else None
    if nested is not None and _is_dataclass(nested[1]) and depth < MAX_DEPTH:
        yield from class_settings(sources, *nested, system=system, prefix=f"{prefix}{name}.", depth=depth + 1)
        return
    default, help_text, is_missing = _default(module, value)
    kind = annotation_kind(annotation, default)
    flag = f"--{prefix}{name}"
    key = f"{prefix}{name}".replace(".", "_")
    if system == "tyro":
        flag = flag.replace("_", "-")
    choices = literal_choices(annotation, module.names) or choices_in_help(help_text, default)
    is_container = isinstance(annotation, ast.Subscript) and last_name(annotation.value).lower() in _CONTAINERS
    word = _word(flag, key, kind, default, system)
    yield Setting(
        name=key, kind="" if is_container else kind, word=word, default=scalar(default), choices=choices,
        help=help_text, required=is_missing, path=f"{prefix}{name}", is_typed=True,
    )  # fmt: skip


def _text_below(statement: ast.stmt | None) -> str:
    """Return the text below a field, which several packages show as its help."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str() as text)):
            return " ".join(text.split())[:200]
    return ""


def _word(flag: str, name: str, kind: str, default: Any, system: str) -> str:
    if kind == "bool":
        is_flag = system == "tyro"
        head, _, last = flag.rpartition(".")
        off = f"{head}.no-{last}" if head else f"--no-{flag[2:]}"
        return f"{{{name}?{flag}:{off}}}" if is_flag else f"{flag} {{{name}?true:false}}"
    return option_word(flag, name, kind, default)


def _default(module: Module, value: ast.expr | None) -> tuple[Any, str, bool]:
    """Return a field's default, its help, and whether it must be given."""
    if value is None:
        return None, "", True
    if not isinstance(value, ast.Call):
        return literal_or(value, module.names, None), "", False
    given = keyword(value, "default") or (value.args[0] if value.args else None)
    factory = keyword(value, "default_factory")
    metadata = keyword(value, "metadata")
    help_text = str(literal_or(keyword(value, "help"), module.names, "") or "")
    if isinstance(metadata, ast.Dict):
        pairs = zip(metadata.keys, metadata.values, strict=True)
        entries = {key.value: entry for key, entry in pairs if isinstance(key, ast.Constant)}
        help_text = str(literal_or(entries.get("help"), module.names, ""))
    is_missing = last_name(value) in ("field", "Field") and given is None and factory is None
    return literal_or(given, module.names, None), " ".join(help_text.split())[:200], is_missing


def _library(name: str) -> Iterator[Setting]:
    """Yield the options of a library's class."""
    table = _libraries().get(name)
    if table is None:
        return
    merged = {**_libraries().get(str(table.get("inherits", "")), {}), **table}
    for option, entry in merged.items():
        if not isinstance(entry, dict):
            continue
        word = f"--{option} {entry['fixed']}" if "fixed" in entry else f"--{option} {{{option}}}"
        yield Setting(
            name=option, kind=entry["kind"], word=word, default=entry.get("default"), is_typed=True,
            choices=tuple(entry.get("choices", ())), help=entry.get("help", ""), required="fixed" in entry,
        )  # fmt: skip


@cache
def _libraries() -> dict[str, dict[str, Any]]:
    text = (
        files("tunesmith.tools.script_reader.systems.options")
        .joinpath("library_arguments.toml")
        .read_text(encoding="utf-8")
    )
    return tomllib.loads(text)


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(
        last_name(d) in ("dataclass", "define", "attrs", "frozen", "chz", "config_dataclass")
        for d in node.decorator_list
    )
