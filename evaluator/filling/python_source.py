"""Finds the numbers, texts and switches that Python code sets, gives each an address, and writes other values there.

    LR                a constant of the module; `main.lr` for one in the function main
    Config.lr         a field of a class, or an argument in a call of `Config(...)`
    train.lr          the default of an argument of the function train
    config.optim.lr   an attribute that is assigned, or an entry of a dict called config
    epoch.range       the end of `for epoch in range(10)`

Of several with one address, the second is `SGD.lr#2`. The code is parsed, never run.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunesmith.study.space.condition import Value

_POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "Dropout": ("rate",), "Dropout1d": ("p",), "Dropout2d": ("p",), "Dropout3d": ("p",), "SpatialDropout1D": ("rate",),
    "Dense": ("units",), "LSTM": ("units",), "GRU": ("units",), "SimpleRNN": ("units",), "Conv2D": ("filters",),
    "Adam": ("learning_rate",), "AdamW": ("learning_rate",), "RMSprop": ("learning_rate",), "adam": ("learning_rate",),
    "SGD": ("learning_rate",), "adamw": ("learning_rate",), "sgd": ("learning_rate",),
    "StepLR": ("", "step_size", "gamma"), "ExponentialLR": ("", "gamma"), "manual_seed": ("seed",), "seed": ("seed",),
    "set_seed": ("seed",), "set_random_seed": ("seed",), "seed_everything": ("seed",), "PRNGKey": ("seed",),
    "default_rng": ("seed",), "RandomState": ("seed",),
}  # fmt: skip
"""Names of the arguments that are often given by position; "" for one that is not a number."""
_DICT_MAKERS = ("dict", "Namespace", "SimpleNamespace", "ConfigDict", "CfgNode", "CN", "EasyDict", "AttrDict", "Box")


@dataclass(frozen=True, slots=True)
class Place:
    """One value in the code.

    Attributes:
        address: how [run.files] names it.
        node: the expression.
        form: "constant", "field", "default", "entry", "attribute", "argument" or "loop".
        owner: the function, class, dict or callee that it belongs to; "" for the module.
    """

    address: str
    node: ast.expr
    form: str
    owner: str = ""

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.partition("#")[0].rpartition(".")[2]


def places(tree: ast.AST) -> list[Place]:
    """Return every value that can be replaced, in the order of the code."""
    found = sorted(_in_body(tree, ""), key=lambda p: (p.node.lineno, p.node.col_offset))
    counts: dict[str, int] = {}
    numbered = []
    for place in found:
        counts[place.address] = count = counts.get(place.address, 0) + 1
        address = place.address if count == 1 else f"{place.address}#{count}"
        numbered.append(Place(address, place.node, place.form, place.owner))
    return numbered


def parse(text: str) -> ast.Module:
    """Return the syntax tree; warnings about the code itself are not ours to give.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is not valid Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def fill(text: str, values: Mapping[str, Value]) -> str:
    """Return the code with other values at these addresses.

    Raises:
        KeyError: there is no such address.
        ValueError: the code is not valid Python.
    """
    try:
        nodes = {place.address: place.node for place in places(parse(text))}
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"is not valid Python: {error}") from None
    # Offsets of a syntax tree count bytes of UTF-8.
    lines = text.encode("utf-8").splitlines(keepends=True)
    for address, node in sorted(((a, nodes[a]) for a in values), key=lambda pair: -_offset(pair[1])):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset or 0 :]
        lines[first : last + 1] = [before + repr(values[address]).encode("utf-8") + after]
    return b"".join(lines).decode("utf-8")


def _offset(node: ast.expr) -> int:
    return node.lineno * 10**6 + node.col_offset


def _in_body(node: ast.AST, scope: str) -> Iterator[Place]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _defaults(child, scope)
                yield from _in_body(child, name)
            case ast.ClassDef(name=name):
                yield from _fields(child)
                yield from _in_methods(child)
            case ast.Assign(targets=[target], value=value):
                yield from _assigned(target, value, scope)
                yield from _in_body(child, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _assigned(target, value, scope)
                yield from _in_body(child, scope)
            case ast.Call():
                yield from _arguments(child)
                yield from _in_body(child, scope)
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range" | "trange"), args=args)):
                yield from _loop(name, args)
                yield from _in_body(child, scope)
            case _:
                yield from _in_body(child, scope)


def _in_methods(owner: ast.ClassDef) -> Iterator[Place]:
    for child in owner.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            is_init = child.name == "__init__"
            yield from _defaults(child, "", owner.name if is_init else f"{owner.name}.{child.name}")
            yield from _in_body(child, f"{owner.name}.{child.name}")
        elif isinstance(child, ast.ClassDef):
            yield from _fields(child)
            yield from _in_methods(child)


def _fields(owner: ast.ClassDef) -> Iterator[Place]:
    for child in owner.body:
        match child:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                value = _default_of_field(value)
                if is_value(value):
                    yield Place(f"{owner.name}.{name}", value, "field", owner.name)
                yield from _entries(f"{owner.name}.{name}", value)


def _default_of_field(value: ast.expr) -> ast.expr:
    """Return the default inside `field(default=...)` and the like, else the value itself."""
    if isinstance(value, ast.Call) and called(value) in ("field", "Field", "Factory", "attrib"):
        given = next((k.value for k in value.keywords if k.arg == "default"), None)
        return given or (value.args[0] if value.args else value)
    return value


def _defaults(function: ast.FunctionDef | ast.AsyncFunctionDef, scope: str, owner: str = "") -> Iterator[Place]:
    del scope
    owner = owner or function.name
    arguments = [*function.args.posonlyargs, *function.args.args]
    given = zip(reversed(arguments), reversed(function.args.defaults), strict=False)
    for argument, value in (*given, *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)):
        if value is not None and is_value(value):
            yield Place(f"{owner}.{argument.arg}", value, "default", owner)


def _assigned(target: ast.expr, value: ast.expr, scope: str) -> Iterator[Place]:
    match target:
        case ast.Tuple(elts=targets) if isinstance(value, ast.Tuple) and len(targets) == len(value.elts):
            for one, part in zip(targets, value.elts, strict=True):
                yield from _assigned(one, part, scope)
            return
        case ast.Name(id=name):
            address, form = f"{scope}.{name}" if scope else name, "constant"
        case _:
            address, form = _dotted(target), "attribute"
    if address and is_value(value):
        yield Place(address, value, form, address.rpartition(".")[0])
    elif address:
        yield from _entries(address if form == "attribute" else address.rpartition(".")[2], value)


def _entries(address: str, value: ast.expr, depth: int = 0) -> Iterator[Place]:
    """Yield the entries of a dict, of `dict(...)` and of a list of numbers."""
    match value:
        case ast.Dict(keys=keys, values=values):
            pairs = [(k.value, v) for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant)]
        case ast.Call(keywords=keywords) if called(value) in _DICT_MAKERS:
            pairs = [(k.arg, k.value) for k in keywords]
        case ast.Tuple(elts=items) | ast.List(elts=items) if 2 <= len(items) <= 6 and all(map(is_number, items)):  # noqa: PLR2004
            pairs = list(enumerate(items))
        case _:
            return
    for key, entry in pairs:
        if not isinstance(key, str | int) or (isinstance(key, str) and not key.isidentifier()):
            continue
        if is_value(entry):
            yield Place(f"{address}.{key}", entry, "entry", address)
        elif depth < 4:  # noqa: PLR2004  # deeper than any configuration that people read
            yield from _entries(f"{address}.{key}", entry, depth + 1)


def _arguments(call: ast.Call) -> Iterator[Place]:
    callee = called(call)
    if not callee or callee in _DICT_MAKERS or callee in ("add_argument", "option", "field", "Field", "print"):
        return
    for keyword in call.keywords:
        if keyword.arg and is_value(keyword.value):
            yield Place(f"{callee}.{keyword.arg}", keyword.value, "argument", callee)
        elif keyword.arg:
            for place in _entries(f"{callee}.{keyword.arg}", keyword.value):
                yield Place(place.address, place.node, "argument", callee)
    for name, value in zip(_POSITIONAL.get(callee, ()), map(_first_number, call.args), strict=False):
        if name and is_number(value):
            yield Place(f"{callee}.{name}", value, "argument", callee)


def _first_number(node: ast.expr) -> ast.expr:
    """Return the number in `1337 + rank`, anything else as it is."""
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and is_number(node.left)
    return node.left if is_sum and isinstance(node, ast.BinOp) and not is_number(node) else node


def _loop(name: str, arguments: list[ast.expr]) -> Iterator[Place]:
    end = arguments[min(1, len(arguments) - 1)] if arguments else None
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add):
        # range(1, 10 + 1), or range(start, start + 10)
        is_from_start = len(arguments) > 1 and ast.dump(end.left) == ast.dump(arguments[0])
        end = end.right if is_from_start else end.left
    if end is not None and is_number(end):
        yield Place(f"{name}.range", end, "loop", name)


def called(call: ast.Call) -> str:
    """Return the last part of the name that is called, "" if it has none."""
    return _dotted(call.func).rpartition(".")[2]


def is_number(node: ast.expr) -> bool:
    """Return whether an expression is a number, or arithmetic on numbers such as `3 * 10 ** -4`."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) and is_number(right)
    return False


def is_value(node: ast.expr) -> bool:
    """Return whether an expression is a number, a text or a switch."""
    return is_number(node) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bool))


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            owner = _dotted(value)
            return f"{owner}.{attr}" if owner else attr
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)) if key.isidentifier():
            owner = _dotted(value)
            return f"{owner}.{key}" if owner else ""
    return ""
