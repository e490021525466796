"""Reads the classes that Lightning's command line is made of: `main.py fit --model.lr ...`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import (
    Found,
    annotation_kind,
    calls,
    choices_in_help,
    found,
    functions,
    last_name,
    literal_choices,
    option_word,
    parameters,
    scalar,
)


def read(sources: Sources) -> Found | None:
    """Return the arguments of the model and of the data, and the trainer's number of epochs."""
    call = next(
        (
            c
            for m in sources.modules
            for c in calls(m.tree)
            if last_name(c).endswith("CLI") and last_name(c) not in ("CLI",)
        ),
        None,
    )
    if call is None or not sources.imports("lightning", "pytorch_lightning"):
        return None
    words = () if any(word in ("fit", "validate") for word in sources.given) else ("fit",)
    return found("Lightning CLI", _settings(sources, call), words)


def _settings(sources: Sources, call: ast.Call) -> Iterator[Setting]:
    for index, prefix in enumerate(("model", "data")):
        node = keyword(call, f"{prefix}{'module' if prefix == 'data' else ''}_class")
        node = node or (call.args[index] if len(call.args) > index else None)
        located = sources.find_class(last_name(node)) if node is not None else None
        if located is not None:
            yield from _arguments(*located, prefix)
    names = sources.main.names
    defaults = keyword(call, "trainer_defaults")
    epochs = _entry(defaults, "max_epochs")
    value = scalar(literal_or(epochs, names, None)) if epochs is not None else None
    yield Setting(
        name="max_epochs",
        kind="int",
        word="--trainer.max_epochs={max_epochs}",
        default=value or 10,
        path="trainer.max_epochs",
    )
    given = literal_or(keyword(call, "seed_everything_default"), names, None)
    seed = given if isinstance(given, int) and not isinstance(given, bool) else 0
    yield Setting(name="seed_everything", kind="int", word="--seed_everything={seed_everything}", default=seed)


def _entry(node: ast.expr | None, key: str) -> ast.expr | None:
    match node:
        case ast.Dict(keys=keys, values=values):
            return next(
                (v for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant) and k.value == key), None
            )
        case ast.Call():
            return keyword(node, key)
    return None


def _arguments(module: Module, owner: ast.ClassDef, prefix: str) -> Iterator[Setting]:
    init = next((f for f in functions(owner) if f.name == "__init__"), None)
    for argument, default in parameters(init) if init is not None else ():
        value = literal_or(default, module.names, None)
        name, path = argument.arg, f"{prefix}.{argument.arg}"
        kind = annotation_kind(argument.annotation, value)
        word = option_word(f"--{path}", name, kind, value).replace(" ", "=")
        if kind == "bool":
            word = f"--{path}={{{name}?true:false}}"
        yield Setting(
            name=name, kind=kind if scalar(value) is not None else "", word=word, default=scalar(value), path=path,
            required=default is None, is_typed=True,
            choices=literal_choices(argument.annotation, module.names) or choices_in_help("", value),
        )  # fmt: skip
