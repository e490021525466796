"""Reads settings that a script takes from `sys.argv` by position: `alpha = float(sys.argv[1])`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import Found, found, number


def read(sources: Sources) -> Found | None:
    """Return the words that become numbers, in their order; only those without a gap can be set."""
    by_index = dict(sorted(_words(sources.main)))
    in_order = [setting for index, (place, setting) in enumerate(by_index.items(), start=1) if place == index]
    return found("sys.argv", iter(in_order))


def _words(module: Module) -> Iterator[tuple[int, Setting]]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value: ast.expr = node.value
        default = None
        if isinstance(value, ast.IfExp):
            default = number(literal_or(value.orelse, module.names, None))
            value = value.body
        match value:
            case ast.Call(
                func=ast.Name(id="float" | "int" as kind),
                args=[ast.Subscript(value=owner, slice=ast.Constant(value=int() as index))],
            ):  # noqa: E501
                if dotted(owner) in ("sys.argv", "argv"):
                    name = node.targets[0].id
                    yield (
                        index,
                        Setting(
                            name=name,
                            kind=kind,
                            word=f"{{{name}}}",
                            default=default,
                            required=default is None,
                            is_typed=True,
                        ),
                    )
