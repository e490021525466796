"""Reads from the code what a setting does: the arguments that it becomes, and under which choices it matters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunesmith.evaluator.filling.python_source import called
from tunesmith.tools.script_reader.reading import Setting

MAX_USES = 6
"""Number of uses of a setting that are kept."""
Guard = tuple[str, str]
"""A setting and the value that it must have for a piece of code to run; "True" for a switch."""


def with_uses(settings: Sequence[Setting], trees: Sequence[ast.AST]) -> list[Setting]:
    """Return the settings with the arguments that they become and the condition under which the code uses them."""
    names = {_last(setting): setting for setting in settings}
    uses: dict[str, list[str]] = {name: [] for name in names}
    guards: dict[str, list[frozenset[Guard]]] = {name: [] for name in names}
    for tree in trees:
        for name, use in _arguments(tree, names):
            uses[name].append(use)
        for name, guard in _reads(tree, names):
            guards[name].append(guard)
    return [
        replace(
            setting,
            uses=(*setting.uses, *dict.fromkeys(uses[_last(setting)]))[:MAX_USES],
            when=setting.when or _condition(setting, guards[_last(setting)], names),
        )
        for setting in settings
    ]


def known_conditions(settings: Sequence[Setting], tuned: Sequence[str]) -> list[Setting]:
    """Return the settings without conditions on settings that are not tuned."""
    return [s if not s.when or s.when.split()[0] in tuned else replace(s, when="") for s in settings]


def _last(setting: Setting) -> str:
    return setting.path.rpartition(".")[2] if setting.path and not setting.is_literal else setting.name


def _arguments(tree: ast.AST, names: Mapping[str, Setting]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) not in ("add_argument", "print", "format", "dict"):
            for keyword in node.keywords:
                name = _read_name(keyword.value)
                if keyword.arg and name in names:
                    yield name, f"{called(node)}.{keyword.arg}"


def _read_name(node: ast.expr) -> str:
    """Return the setting that an expression reads: `args.lr`, `cfg["lr"]`, `cfg.optim.lr`, or the name itself."""
    match node:
        case ast.Attribute(attr=attr):
            return attr
        case ast.Name(id=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return key
    return ""


def _reads(tree: ast.AST, names: Mapping[str, Setting]) -> Iterator[tuple[str, frozenset[Guard]]]:
    """Yield each place that reads a setting, with the conditions around it."""
    waiting: list[tuple[ast.AST, frozenset[Guard]]] = [(tree, frozenset())]
    while waiting:
        node, around = waiting.pop()
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Load):
            if (name := _read_name(node)) in names:
                yield name, around
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            yield node.id, around
        if isinstance(node, ast.If | ast.IfExp):
            inner = around | _guards(node.test, names)
            body = node.body if isinstance(node.body, list) else [node.body]
            orelse = node.orelse if isinstance(node.orelse, list) else [node.orelse]
            waiting += [(child, inner) for child in body]
            waiting += [(child, around | _negated(node.test, names)) for child in orelse]
        else:
            waiting += [(child, around) for child in ast.iter_child_nodes(node)]


def _guards(test: ast.expr, names: Mapping[str, Setting]) -> frozenset[Guard]:
    """Return what must hold for a branch: `args.optimizer == "sgd"`, `args.optimizer in (...)`, `args.nesterov`."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as value)]):
            subject = _subject(left)
            return frozenset({(subject, value)}) if subject in names else frozenset()
        case ast.BoolOp(op=ast.And(), values=values):
            return frozenset().union(*(_guards(value, names) for value in values))
        case ast.Attribute() | ast.Name():
            name = _read_name(test)
            is_switch = name in names and names[name].kind == "bool"
            return frozenset({(name, "True")}) if is_switch else frozenset()
    return frozenset()


def _negated(test: ast.expr, names: Mapping[str, Setting]) -> frozenset[Guard]:
    """Return what holds in the other branch of a choice between two values."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as value)]):
            subject = _subject(left)
            setting = names.get(subject)
            others = [str(c) for c in setting.choices if c != value] if setting is not None else []
            return frozenset({(subject, others[0])}) if len(others) == 1 else frozenset()
    return frozenset()


def _subject(node: ast.expr) -> str:
    """Return the setting on the left of a comparison, through `.lower()` and the like."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        return _read_name(node.func.value)
    return _read_name(node)


def _condition(setting: Setting, guards: Sequence[frozenset[Guard]], names: Mapping[str, Setting]) -> str:
    """Return the condition that holds at every use of a setting, "" for none."""
    if not guards or not all(guards):
        return ""
    for subject in sorted({subject for guard in guards for subject, _ in guard}):
        if subject == _last(setting) or not all(any(s == subject for s, _ in guard) for guard in guards):
            continue
        values = sorted({value for guard in guards for s, value in guard if s == subject})
        owner = names[subject]
        if owner.kind == "bool":
            return f"{owner.name} == true" if values == ["True"] else ""
        if owner.choices and set(values) < {str(c) for c in owner.choices}:
            return f"{owner.name} == {values[0]!r}" if len(values) == 1 else f"{owner.name} in {values!r}"
    return ""
