"""Reads absl flags, and the functions and classes that fire and jsonargparse turn into command lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from tunesmith.evaluator.filling.python_source import places
from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    annotation_kind,
    calls,
    choices_in_help,
    choices_of,
    found,
    functions,
    kind_of,
    last_name,
    literal_choices,
    number,
    option_word,
    parameters,
    scalar,
)

_FLAG_KINDS = {
    "float": "float", "integer": "int", "bool": "bool", "boolean": "bool", "string": "str", "enum": "str",
    "list": "", "multi_integer": "", "multi_float": "", "multi_string": "", "enum_class": "",
}  # fmt: skip


def read_absl(sources: Sources) -> Found | None:
    """Return the flags that absl (or TensorFlow) defines, in the script and its modules."""
    if not sources.imports("absl", "tensorflow", "gflags"):
        return None
    required = {name for module in sources.modules for name in _required_flags(module)}
    flags = [s for module in sources.modules for s in _flags(module)]
    settings = [replace(s, required=s.name in required and s.default is None) for s in flags]
    return found("absl flags", iter([*settings, *_config_flags(sources, required)]))


def _required_flags(module: Module) -> Iterator[str]:
    for call in calls(module.tree):
        if last_name(call) in ("mark_flags_as_required", "mark_flag_as_required") and call.args:
            names = literal_or(call.args[0], module.names, [])
            yield from ([names] if isinstance(names, str) else names)


def _config_flags(sources: Sources, required: set[str]) -> Iterator[Setting]:
    """Yield the values of an ml_collections configuration file: `--config=configs/default.py --config.lr=0.1`."""
    for call in calls(sources.main.tree):
        if last_name(call) != "DEFINE_config_file" or not call.args:
            continue
        flag = str(literal_or(call.args[0], sources.main.names, "config"))
        rest = [literal_or(arg, sources.main.names, None) for arg in call.args[1:2]]
        given = next((w.partition("=")[2] for w in sources.given if w.startswith(f"--{flag}=")), "")
        files = [given, *(str(r) for r in rest if r), *sorted(str(p) for p in sources.root.glob("configs/*.py"))]
        existing = [sources.root / f for f in files if f.endswith(".py") and (sources.root / f).is_file()]
        preferred = next((f for f in existing if f.stem == "default" or str(f).endswith(given or "\0")), None)
        file = preferred or next(iter(existing), None)
        if file is None:
            continue
        relative = str(file.relative_to(sources.root))
        if flag in required and not given:
            yield Setting(
                name=f"{flag}_file", kind="str", word=f"--{flag}={relative}", default=relative, path=f"{flag}_file"
            )
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
        for place in places(tree):
            value = scalar(literal_or(place.node, {}, None))
            if place.form in ("attribute", "entry") and value is not None and "#" not in place.address:
                key = place.address.partition(".")[2]
                name, kind = key.replace(".", "_"), kind_of("", value)
                filled = f"{{{name}?True:False}}" if kind == "bool" else f"{{{name}}}"
                yield Setting(
                    name=name, kind=kind, word=f"--{flag}.{key}={filled}", default=value, path=f"{flag}.{key}"
                )


def _flags(module: Module) -> Iterator[Setting]:
    for call in calls(module.tree):
        last = last_name(call)
        kind = _FLAG_KINDS.get(last.removeprefix("DEFINE_").lower()) if last.startswith("DEFINE_") else None
        name = literal_or(call.args[0], module.names, None) if call.args else None
        if kind is None or not isinstance(name, str):
            continue
        rest = [literal_or(arg, module.names, None) for arg in call.args[1:]]
        default = rest[0] if rest else literal_or(keyword(call, "default"), module.names, None)
        texts = [text for text in rest[1:] if isinstance(text, str)]
        help_text = " ".join((texts[-1] if texts else str(literal_or(keyword(call, "help"), module.names, ""))).split())
        choices = choices_of(next((v for v in rest[1:] if isinstance(v, list)), ())) if "enum" in last.lower() else ()
        word = f"{{{name}?--{name}:--no{name}}}" if kind == "bool" else f"--{name}={{{name}}}"
        yield Setting(
            name=name, kind=kind, word=word, default=scalar(default), help=help_text[:200], is_typed=True,
            choices=choices or choices_in_help(help_text, default),
            low=number(literal_or(keyword(call, "lower_bound"), module.names, None)),
            high=number(literal_or(keyword(call, "upper_bound"), module.names, None)),
        )  # fmt: skip


def read_fire(sources: Sources) -> Found | None:
    """Return the parameters of the function or class that `fire.Fire` runs."""
    call = next((c for c in calls(sources.main.tree) if dotted(c.func) in ("fire.Fire", "Fire")), None)
    if call is None:
        return None
    return _of_target(sources, call.args[0] if call.args else None, "fire", sources.given)


def read_jsonargparse(sources: Sources) -> Found | None:
    """Return the parameters of the function or class that jsonargparse runs."""
    if not sources.imports("jsonargparse"):
        return None
    names = ("CLI", "auto_cli", "jsonargparse.CLI", "jsonargparse.auto_cli")
    call = next((c for c in calls(sources.main.tree) if dotted(c.func) in names), None)
    if call is None:
        return None
    return _of_target(sources, call.args[0] if call.args else None, "jsonargparse", sources.given)


def _of_target(sources: Sources, target: ast.expr | None, system: str, given: tuple[str, ...]) -> Found | None:
    """Return the settings of a function; of a class or a dict of functions, those of the one that trains."""
    words: tuple[str, ...] = ()
    names = [dotted(target)] if target is not None else []
    if isinstance(target, ast.Dict | ast.List):
        names = [dotted(v) for v in (target.values if isinstance(target, ast.Dict) else target.elts)]
    if not any(names):
        names = [f.name for f in sources.main.tree.body if isinstance(f, ast.FunctionDef) and f.name != "main"]
        names = names or ["main"]
    chosen = next((n for n in names if n in given), "") or next((n for n in names if "train" in n), names[0])
    if len(names) > 1 and chosen not in given:
        words = (chosen,)
    if located := sources.find_function(chosen.rpartition(".")[2]):
        module, function = located
        return found(system, _parameters(module, function, system), words)
    if located_class := sources.find_class(chosen.rpartition(".")[2]):
        return _of_class(located_class, system, words, given)
    return None


def _of_class(
    located: tuple[Module, ast.ClassDef], system: str, words: tuple[str, ...], given: tuple[str, ...]
) -> Found | None:
    module, owner = located
    methods = {f.name: f for f in functions(owner)}
    chosen = next((n for n in methods if n in given), "") or next(
        (n for n in methods if "train" in n or n in ("fit", "run")), ""
    )
    settings = [
        s for name in ("__init__", chosen) if name in methods for s in _parameters(module, methods[name], system)
    ]
    return found(system, iter(settings), (*words, chosen) if chosen and chosen not in given else words)


def _parameters(module: Module, function: ast.FunctionDef, system: str) -> Iterator[Setting]:
    helps = _documented(function)
    for argument, default in parameters(function):
        value = literal_or(default, module.names, None)
        name, kind = argument.arg, annotation_kind(argument.annotation, value)
        flag, help_text = f"--{name}", helps.get(name, "")
        word = f"{flag}={{{name}}}" if kind != "bool" else f"{flag}={{{name}?True:False}}"
        if system == "jsonargparse":
            word = option_word(flag, name, kind, value) if kind != "bool" else f"{flag} {{{name}?true:false}}"
        is_list = isinstance(value, list | tuple)
        yield Setting(
            name=name, kind="" if is_list else kind, word=word, default=scalar(value), help=help_text,
            required=default is None, is_typed=True,
            choices=literal_choices(argument.annotation, module.names) or choices_in_help(help_text, value),
        )  # fmt: skip


def _documented(function: ast.FunctionDef) -> dict[str, str]:
    """Return what the docstring says about each parameter."""
    found_lines: dict[str, str] = {}
    for line in (ast.get_docstring(function) or "").splitlines():
        name, colon, text = line.strip().lstrip(":*-").removeprefix("param ").partition(":")
        name = name.split("(")[0].strip()
        if colon and name.isidentifier():
            found_lines[name] = text.strip()[:200]
    return found_lines
