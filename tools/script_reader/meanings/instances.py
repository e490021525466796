"""Finds the option of a script that says which fold, data set or workload one run is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.meanings.names import spelled
from tunesmith.tools.script_reader.reading import Setting

_FOLD = re.compile(r"^(cv_?|val_?|test_?)?(fold|split)(_?(id|idx|index|number|no|nr|num))?$")
_COUNT = re.compile(r"^((n|num|number_of|k)_?)?(cv_?)?(folds|splits)$|^(k_?fold|cv)$")
_LISTED = re.compile(
    r"^(data_?set|workload|instance|problem|scenario|benchmark|subject|graph|env|environment)(_?(name|id))?$"
)
_FOLDERS = ("KFold", "StratifiedKFold", "GroupKFold", "TimeSeriesSplit", "RepeatedKFold", "StratifiedGroupKFold")
MAX_FOLDS = 100


@dataclass(frozen=True, slots=True)
class ScriptInstances:
    """The option of a script that takes an instance, and the instances."""

    setting: Setting
    values: tuple[Value, ...]


def instances_of(settings: Sequence[Setting], trees: Sequence[ast.AST]) -> ScriptInstances | None:
    """Return the instances of a script; None if no option names one of several."""
    options = [s for s in settings if s.word and "{" in s.word and not s.is_literal]
    for setting in options:
        name = spelled(setting.name)
        if (_LISTED.match(name) or _FOLD.match(name)) and len(setting.choices) > 1 and _are_names(setting.choices):
            return ScriptInstances(setting, setting.choices)
    fold = next((s for s in options if _FOLD.match(spelled(s.name)) and s.kind in ("int", "") and not s.choices), None)
    if fold is None or isinstance(fold.default, str | bool):
        return None
    count = next((n for n in (*_counts_of(settings), *_counts_in(trees)) if 1 < n <= MAX_FOLDS), None)
    first = 1 if fold.default == 1 else 0
    return ScriptInstances(fold, tuple(range(first, first + count))) if count else None


def _are_names(choices: Sequence[Value]) -> bool:
    return all(isinstance(choice, str | int) and not isinstance(choice, bool) for choice in choices)


def _counts_of(settings: Sequence[Setting]) -> Iterator[int]:
    for setting in settings:
        is_whole = isinstance(setting.default, int) and not isinstance(setting.default, bool)
        if _COUNT.match(spelled(setting.name)) and is_whole:
            yield int(setting.default or 0)


def _counts_in(trees: Sequence[ast.AST]) -> Iterator[int]:
    """Yield the numbers of folds that calls such as KFold(5) have."""
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or _called(node) not in _FOLDERS:
                continue
            given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "n_splits")]
            yield from (g.value for g in given if isinstance(g, ast.Constant) and isinstance(g.value, int))


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
