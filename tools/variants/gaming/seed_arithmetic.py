"""Follows where the value of a seed comes from, and tries it with several seeds of the study.

`args.seed * 1000 + epoch` is another seed for each seed of the study and each epoch; `args.seed * 0 + 42` is not. Names
are followed through assignments, loops and the arguments of functions of the file. Nothing is executed: what is neither
arithmetic nor a plain function of numbers counts as unknown.
"""

from __future__ import annotations

import ast
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.variants.gaming.normal_form import imported_names, nodes

SEED_NAME = re.compile(r"seed|random_?state|prng", re.IGNORECASE)
"""Names of seeds: of variables, options, keywords and keys."""

_SEEDS = (0, 1, 2, 3, 7, 42, 1234, 99_991, 2**31 - 2)
"""Seeds of the study that a derived value is tried with."""
_UNKNOWN = (2, 3, 11)
"""Values that stand for an unknown name."""
_MAX_DEPTH = 8
_MAX_UNKNOWN = 3
"""Number of unknown names that are varied; the others keep one value."""
_MAX_BITS = 256
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.BitXor: operator.xor,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
    "sum": sum,
    "len": len,
    "ord": ord,
    "bool": bool,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a seed comes from.

    Attributes:
        has_seed: whether a seed of the script takes part in it.
        is_same: whether the value is that seed itself.
        is_distinct: whether each seed of the study gives another value.
        varies: whether something else takes part that changes while the script runs, such as a loop's variable.
        is_constant: whether it consists of numbers only.
    """

    has_seed: bool
    is_same: bool
    is_distinct: bool
    varies: bool
    is_constant: bool


class SeedOrigins:
    """Looks up what the names of a file stand for.

    Args:
        tree: the file in normal form.
        own: texts of further values that count as seeds of the script, such as the number that a seed was before.
    """

    def __init__(self, tree: ast.Module, own: Collection[str] = ()) -> None:
        self._own = frozenset(own)
        self._modules = frozenset(imported_names(tree))
        self._values: dict[str, list[ast.expr]] = defaultdict(list)
        self._loops: dict[str, list[ast.expr]] = defaultdict(list)
        self._arguments: dict[str, set[str]] = defaultdict(set)
        for node in nodes(tree):
            self._note(node)
        self._note_arguments(tree)

    def of(self, value: ast.expr) -> Origin:
        """Return where a value comes from; the worst case where a name has several values."""
        found = [self._tried(plain) for plain in self._resolved(value, 0, frozenset())]
        return Origin(
            has_seed=all(origin.has_seed for origin in found),
            is_same=all(origin.is_same for origin in found),
            is_distinct=all(origin.is_distinct for origin in found),
            varies=all(origin.varies for origin in found) or self._has_several(value),
            is_constant=any(origin.is_constant for origin in found),
        )

    def _has_several(self, value: ast.expr) -> bool:
        """Return whether a value depends on an argument that calls give several values."""
        names = [name.id for name in self._names(value) if isinstance(name, ast.Name)]
        return any(len(self._arguments.get(name, ())) > 1 for name in names)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._note_target(target, value)
            case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value) if value:
                self._note_target(target, value)
            case ast.For(target=target, iter=items) | ast.comprehension(target=target, iter=items):
                if isinstance(target, ast.Tuple) and isinstance(items, ast.Call) and dotted(items.func) == "enumerate":
                    counted, target = target.elts[0], target.elts[-1]
                    self._note_loop(counted, ast.Call(ast.Name("range"), [ast.Constant(2)], []))
                self._note_loop(target, items)

    def _note_loop(self, target: ast.expr, items: ast.expr) -> None:
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                self._loops[part.id].append(items)

    def _note_target(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._values[target.id].append(value)
        elif isinstance(target, ast.Tuple | ast.List):
            given = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            if len(given) == len(target.elts):
                for part, own in zip(target.elts, given, strict=True):
                    self._note_target(part, own)

    def _note_arguments(self, tree: ast.Module) -> None:
        """Note what the functions of the file are called with, by the names of their arguments."""
        functions = {n.name: n for n in nodes(tree) if isinstance(n, ast.FunctionDef)}
        for node in nodes(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions):
                continue
            arguments = functions[node.func.id].args
            names = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
            given = list(zip(names, node.args, strict=False))
            given += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
            for name, value in given:
                self._values[name].append(value)
                self._arguments[name].add(ast.dump(value))

    def children(self, node: ast.expr) -> list[ast.expr]:
        """Return the expressions that a value is computed from; the function's name or module is none of them."""
        if isinstance(node, ast.Lambda):
            return []
        if not isinstance(node, ast.Call):
            return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        holder = node.func.value if isinstance(node.func, ast.Attribute) else None
        root = dotted(holder).partition(".")[0] if holder is not None else ""
        own = [holder] if holder is not None and root not in self._modules else []
        return [*own, *node.args, *(keyword.value for keyword in node.keywords)]

    def _names(self, value: ast.expr) -> list[ast.expr]:
        """Return the variables and attributes that a value is computed from."""
        if isinstance(value, ast.Name | ast.Attribute):
            return [value]
        return [name for child in self.children(value) for name in self._names(child)]

    def _resolved(self, value: ast.expr, depth: int, seen: frozenset[str]) -> list[_Plain]:
        """Return what a value is made of, for each of the values that its names have."""
        names = [name for name in self._names(value) if not self.is_base(name)]
        choices: list[Sequence[_Plain]] = []
        for name in names:
            given = self._values.get(name.id, []) if isinstance(name, ast.Name) and name.id not in seen else []
            if depth < _MAX_DEPTH and given:
                deeper = seen | {name.id} if isinstance(name, ast.Name) else seen
                choices.append([p for one in given for p in self._resolved(one, depth + 1, deeper)][:4])
            else:
                choices.append([self._of_loop(name, depth, seen)])
        found = []
        for chosen in list(product(*choices))[:8]:
            parts = {ast.dump(name): plain for name, plain in zip(names, chosen, strict=True)}
            found.append(_Plain(value, parts))
        return found

    def _of_loop(self, name: ast.expr, depth: int, seen: frozenset[str]) -> _Plain:
        """Return what a loop's variable is: one of what the loop runs over, which may depend on the seed."""
        loops = self._loops.get(name.id, []) if isinstance(name, ast.Name) and name.id not in seen else []
        if len(loops) != 1 or depth >= _MAX_DEPTH:
            return _Plain(name, {})
        assert isinstance(name, ast.Name)  # noqa: S101  # it has loops
        if (only := _only_item(loops[0])) is not None:
            return self._resolved(only, depth + 1, seen | {name.id})[0]
        items = self._resolved(loops[0], depth + 1, seen | {name.id})[0]
        is_known = items.mentions_seed(self) or not items.unknown(self)[0]
        return _Plain(name, {}, items if is_known else None)

    def is_base(self, node: ast.expr) -> bool:
        """Return whether a node is a seed of the script: by its name or key, unless the file says what it is."""
        match node:
            case ast.Constant():
                return ast.dump(node) in self._own
            case ast.Subscript(slice=ast.Constant(value=str(key))) | ast.Attribute(attr=key):
                return bool(SEED_NAME.search(key))
            case ast.Name(id=name):
                return bool(SEED_NAME.search(name)) and name not in self._loops and not self._is_explained(name)
        return False

    def _is_explained(self, name: str) -> bool:
        """Return whether the file says what a seed is: a number, or what it makes of another seed."""
        for value in self._values.get(name, []):
            parts = [node for node in ast.walk(value) if isinstance(node, ast.expr)]
            is_number = not any(isinstance(n, ast.Name | ast.Attribute | ast.Call | ast.Subscript) for n in parts)
            if is_number or any(_has_seed_name(node) for node in parts if _name_of(node) != name):
                return True
        return False

    def _tried(self, plain: _Plain) -> Origin:
        names, calls = plain.unknown(self)
        unknown = [*names, *calls]
        has_seed = plain.mentions_seed(self)
        varied = unknown[:_MAX_UNKNOWN]

        def value(seed: int, numbers: Sequence[int]) -> Any:
            return plain.value(seed, dict(zip(varied, numbers, strict=True)), self)

        first = [_UNKNOWN[number % len(_UNKNOWN)] for number in range(len(varied))]
        of_seeds = [value(seed, first) for seed in _SEEDS]
        others = [value(7, numbers) for numbers in product(_UNKNOWN, repeat=len(varied))]
        return Origin(
            has_seed=has_seed,
            is_same=of_seeds == list(_SEEDS),
            is_distinct=has_seed and len(set(map(repr, of_seeds))) == len(_SEEDS),
            varies=len(set(map(repr, others))) > 1,
            is_constant=not has_seed and not names and plain.has_number(),
        )


@dataclass(frozen=True, slots=True)
class _Plain:
    """An expression with what its names stand for. `items` is what a loop's variable runs over: seeds, or numbers."""

    node: ast.expr
    parts: Mapping[str, _Plain]
    items: _Plain | None = None

    def mentions_seed(self, origins: SeedOrigins) -> bool:
        own = any(isinstance(n, ast.expr) and origins.is_base(n) for n in ast.walk(self.node))
        inner = [*self.parts.values(), *([self.items] if self.items else [])]
        return own or any(part.mentions_seed(origins) for part in inner)

    def has_number(self) -> bool:
        own = any(isinstance(n, ast.Constant) and isinstance(n.value, int | float) for n in ast.walk(self.node))
        inner = [*self.parts.values(), *([self.items] if self.items else [])]
        return own or any(part.has_number() for part in inner)

    def unknown(self, origins: SeedOrigins) -> tuple[list[str], list[str]]:
        """Return the texts of the names that may be anything, and those of such calls."""
        names: dict[str, None] = {}
        calls: dict[str, None] = {}
        waiting = [(self, self.node)]
        while waiting:
            plain, node = waiting.pop()
            if origins.is_base(node):
                continue
            if isinstance(node, ast.Name | ast.Attribute):
                part = plain.parts.get(ast.dump(node))
                if part is None or part.node is node:
                    # What a loop over numbers or seeds counts is known to be one of them.
                    (calls if part is not None and part.items else names)[ast.dump(node)] = None
                else:
                    waiting.append((part, part.node))
                continue
            if isinstance(node, ast.Call) and _is_unknown_call(node):
                calls[ast.dump(node)] = None
            waiting += [(plain, child) for child in origins.children(node)]
        return list(names), list(calls)

    def value(self, seed: int, numbers: Mapping[str, int], origins: SeedOrigins) -> Any:
        """Return the value for a seed and for values of what is unknown; a tuple where it is not a number."""
        return self._value(self.node, seed, numbers, origins)

    def _value(self, node: ast.expr, seed: int, numbers: Mapping[str, int], origins: SeedOrigins) -> Any:
        if origins.is_base(node):
            return seed
        text = ast.dump(node)
        if isinstance(node, ast.Name | ast.Attribute):
            part = self.parts.get(text)
            if part is not None and part.node is not node:
                return part.value(seed, numbers, origins)
            number = numbers.get(text, _UNKNOWN[0])
            items = part.items if part is not None else None
            if items is None or not items.mentions_seed(origins):
                return number
            return ("item", items.value(seed, numbers, origins), number)
        given = [self._value(child, seed, numbers, origins) for child in origins.children(node)]
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Call) and _is_unknown_call(node):
            return ("call", numbers.get(text, _UNKNOWN[0]), *given)
        return _combined(node, given)


def _combined(node: ast.expr, given: Sequence[Any]) -> Any:
    """Return what an operator or a function of numbers gives; a tuple of its parts where that cannot be computed."""
    whole = (type(node).__name__, *given)
    try:
        match node:
            case ast.BinOp(op=ast.Pow() | ast.LShift() as op):
                if any(not isinstance(v, int | float) or abs(v) > _MAX_BITS for v in given):
                    return whole
                return given[0] ** given[1] if isinstance(op, ast.Pow) else given[0] << given[1]
            case ast.BinOp(op=ast.RShift()):
                return given[0] >> given[1]
            case ast.BinOp(op=op) if all(isinstance(v, int | float) for v in given):
                return _OPERATORS[type(op)](*given)
            case ast.UnaryOp(op=ast.USub()):
                return -given[0]
            case ast.Call(func=ast.Name(id=name)):
                return _FUNCTIONS[name](*given)
    except (ArithmeticError, TypeError, ValueError, KeyError):
        return whole
    return whole


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _has_seed_name(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))) | ast.Attribute(attr=key) | ast.Name(id=key):
            return bool(SEED_NAME.search(key))
    return False


def _is_unknown_call(call: ast.Call) -> bool:
    return not (isinstance(call.func, ast.Name) and call.func.id in _FUNCTIONS)


def _only_item(items: ast.expr) -> ast.expr | None:
    """Return the only item that a loop runs over, None where there are more or they are not known."""
    if isinstance(items, ast.List | ast.Tuple | ast.Set) and len(items.elts) == 1:
        return items.elts[0]
    if isinstance(items, ast.Call) and dotted(items.func) == "range":
        bounds = [n.value for n in items.args if isinstance(n, ast.Constant) and isinstance(n.value, int)]
        if len(bounds) == len(items.args) and len(span := range(*bounds)) == 1:
            return ast.Constant(span[0])
    return None
