"""Numbers that an edit brought into the code, as parameters to be: which there are, and a trial's values in the text.

A number with a name, such as `cross_entropy(..., label_smoothing=0.1)`, is worth fitting once its edit gains (Lion,
LLM-SR). It becomes a parameter of the version whose table has one key more than those of [space]: `fill`, the file and
the address of the number there, as in [run.files]. Seeds, lengths of the training, shapes and states are none.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tunesmith.evaluator.filling.files import fill_text
from tunesmith.evaluator.filling.python_source import Place, places
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant
from tunesmith.tools.script_reader.meanings.budgets import is_budget
from tunesmith.tools.script_reader.meanings.names import reason_to_leave
from tunesmith.tools.script_reader.meanings.ranges import guess_range
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.variants.ast_equivalence import parse_python
from tunesmith.tools.variants.gaming.duration import is_limit
from tunesmith.tools.variants.gaming.held_out import is_held_out
from tunesmith.tools.variants.gaming.seed_arithmetic import SEED_NAME

FILL = "fill"
"""Key of a declared parameter that is a number in the code: where it is, such as `train.py:AdamW.weight_decay`."""
MAX_OFFERED = 8
"""Largest number of constants that are offered of one edit."""

_SHAPE = re.compile(
    r"(^|_)(dims?|axis|axes|shape|size|index|idx|offset|channels|features|stride|padding|dilation|groups|ndim|classes"
    r"|vocab|vocabulary|context|device|dtype|start|begin|end|low|high|minlength|line|indent|width|height)$",
    re.IGNORECASE,
)
"""Names of numbers that other parts of the code depend on."""
_PRINTING = frozenset({"print", "round", "format", "report", "linspace", "arange", "range", "zeros", "ones", "full"})
"""Calls whose arguments are no settings of the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeConstant:
    """A number that an edit brought into the code.

    Attributes:
        name: the name of the parameter that it may become.
        fill: its place, as of FILL.
        table: the parameter, as a table like those of [space].
    """

    name: str
    fill: str
    table: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The constant with its place and range, for people and models."""
        choices = [short_number(value) for value in self.table.get("choices", ())]
        ends = [short_number(self.table[key]) for key in ("low", "high") if key in self.table]
        span = ", ".join(choices) or " to ".join(ends)
        return f"{self.name} = {short_number(self.table['default'])} ({self.fill}), range {span}"

    @property
    def declaration(self) -> dict[str, Any]:
        """The table with its place, as a version declares it."""
        return {**self.table, FILL: self.fill}


def code_constants(variant: Variant, known: Mapping[str, Variant], taken: Sequence[str] = ()) -> list[CodeConstant]:
    """Return the numbers that a version's edit brought in and that are no parameters yet, in the order of the code.

    Args:
        variant: the version.
        known: every version, by id.
        taken: names of the study's parameters.
    """
    parent = known.get(variant.parent or "")
    if parent is None or not variant.files:
        return []
    filled = {str(table.get(FILL)) for table in variant.declared.values()}
    names = {*taken, *variant.declared}
    found: list[CodeConstant] = []
    for path, text in variant.files.items():
        if path.endswith(".py") and parent.files.get(path) != text:
            for place, value in _new_numbers(parent.files.get(path, ""), text):
                constant = _constant(path, place, value, names)
                if constant is not None and constant.fill not in filled:
                    names.add(constant.name)
                    found.append(constant)
    return found[:MAX_OFFERED]


def fit_constants(variant: Variant, chosen: Sequence[CodeConstant]) -> Variant:
    """Return the version with constants as parameters."""
    return replace(variant, declared={**variant.declared, **{c.name: c.declaration for c in chosen}})


def choose_constants(offered: Sequence[CodeConstant], names: Sequence[str]) -> list[CodeConstant]:
    """Return the constants of these names; all of them where none is given.

    Raises:
        ValueError: one is not offered; the text says which are.
    """
    by_name = {constant.name: constant for constant in offered}
    if not by_name:
        raise ValueError("its edit brought no number into the code that could be a parameter")
    for name in names:
        if name not in by_name:
            raise ValueError(f"{name} is none of its constants ({', '.join(by_name)}){did_you_mean(name, by_name)}")
    return [by_name[name] for name in names or by_name]


def own_tables(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return declared parameters as tables that [space] may have: without their places."""
    return {name: {k: v for k, v in table.items() if k != FILL} for name, table in declared.items()}


def is_filled(table: Mapping[str, Any]) -> bool:
    """Return whether a declared parameter is a number in the code, rather than an option of the script."""
    return FILL in table


def filled_files(
    files: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]], params: Mapping[str, Value]
) -> dict[str, str]:
    """Return the files of a version with a trial's values of its constants.

    Raises:
        ValueError: a file lacks the place of one, which a version that passed the gate does not.
    """
    by_path: dict[str, dict[str, Value]] = {}
    for name, table in declared.items():
        if is_filled(table) and name in params:
            path, _, address = str(table[FILL]).partition(":")
            by_path.setdefault(path, {})[address] = params[name]
    return {path: fill_text(path, text, by_path.get(path, {})) for path, text in files.items()}


def with_values(variant: Variant, params: Mapping[str, Value] | None) -> Variant:
    """Return a version whose text has a trial's values of its constants; as it is where there are none."""
    if not params or not any(map(is_filled, variant.declared.values())):
        return variant
    return replace(variant, files=filled_files(variant.files, variant.declared, params))


def kept_declarations(
    declared: Mapping[str, Mapping[str, Any]], before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """Return the declared parameters of a version's parent that the version keeps.

    A constant whose number the edit changed or removed is the edit's own again.
    """

    def stays(table: Mapping[str, Any]) -> bool:
        path, _, address = str(table[FILL]).partition(":")
        old, new = _numbers(before.get(path, "")), _numbers(after.get(path, ""))
        return address in new and old.get(address) == new[address]

    return {name: table for name, table in declared.items() if not is_filled(table) or stays(table)}


@lru_cache(maxsize=16)  # several parameters are in one file
def _numbers(text: str) -> Mapping[str, float]:
    tree = parse_python(text)
    found = places(tree) if tree is not None else []
    return {place.address: value for place in found if (value := _number(place.node)) is not None}


def _number(node: ast.expr) -> float | None:
    """Return a number that is written as one, with or without a sign; None for other values."""
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if not isinstance(inner, ast.Constant) or isinstance(inner.value, bool):
        return None
    return sign * inner.value if isinstance(inner.value, int | float) else None


def _new_numbers(before: str, after: str) -> Iterator[tuple[Place, float]]:
    """Yield the numbers of a file that it did not have before, under this name and with this value."""
    old, new = parse_python(before), parse_python(after)
    if new is None:
        return
    known = Counter(_key(place) for place in places(old)) if old is not None else Counter()
    stored = Counter(n.id for n in ast.walk(new) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    for place in places(new):
        if known[_key(place)] > 0:
            known[_key(place)] -= 1
            continue
        value = _number(place.node)
        # A variable that gets several values is a state, such as a counter.
        is_state = place.form == "constant" and stored[place.name] > 1
        if value is not None and value != 0 and place.form != "loop" and not is_state:
            yield place, value


def _key(place: Place) -> tuple[str, str]:
    return place.address.partition("#")[0], ast.dump(place.node)


def _constant(path: str, place: Place, value: float, names: set[str]) -> CodeConstant | None:
    """Return the constant at a place, None for a number that does not set anything."""
    name, owner = place.name, place.owner.rpartition(".")[2]
    if name.isdigit() and isinstance(value, float):
        # Of `betas=(0.9, 0.95)`, the second is beta2.
        group = place.address.partition("#")[0].split(".")[-2]
        name = f"{group.removesuffix('s')}{int(name) + 1}"
    if not name.isidentifier() or name.startswith("__") or owner in _PRINTING:
        return None
    is_other = any(pattern.search(name) for pattern in (SEED_NAME, _SHAPE)) or is_limit(name, "") or is_held_out(name)
    setting = Setting(
        name=name, kind="int" if isinstance(value, int) else "float", default=value, file=path, key=place.address,
        is_literal=True, path=f"{owner}.{name}" if owner else name, uses=(f"{owner}.{name}",) if owner else (),
    )  # fmt: skip
    if is_other or is_budget(setting) or reason_to_leave(setting) or (isinstance(value, int) and value in (1, -1)):
        return None
    try:
        table = _table(guess_range(setting).parameter)
    except (ValueError, OverflowError):
        return None
    free = next(n for n in (name, f"{owner}_{name}", *(f"{name}_{k}" for k in range(2, 99))) if n not in names and n)
    return None if table is None else CodeConstant(name=free, fill=f"{path}:{place.address}", table=table)


def _table(parameter: object) -> dict[str, Any] | None:
    """Return a parameter as a table of [space]."""
    match parameter:
        case Float(low=low, high=high, log=log, default=default) if low < high:
            return {"type": "float", "low": low, "high": high, "log": log, "default": default}
        case Int(low=low, high=high, log=log, default=default) if low < high:
            return {"type": "int", "low": low, "high": high, "log": log, "default": default}
        case Choice(choices=choices, default=default):
            return {"type": "choice", "choices": list(choices), "ordered": True, "default": default}
    return None
