"""Finds what decides which data a script holds out: slices, samples, filters and the sizes of splits."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted

_WORDS = r"(val(id(ation)?)?|test(ing)?|eval(uate|uation)?|held_?out|hold_?out)"
_HELD_OUT_NAME = re.compile(
    rf"(^|_)[xy]?{_WORDS}(_?(set|data(set|loader)?|loader|ds|dl|iter|split|idx|ids))?(_|\d|$)"
    r"|(^|_)([xy]_?dev|dev_?(set|data|loader|ds|dl|x|y|idx|ids))(_|\d|$)",
    re.IGNORECASE,
)
_SIZE_NAME = re.compile(
    rf"(^|_)(({_WORDS}|dev|train)_?(size|split|frac(tion)?|ratio|pct|percent|batches|samples|count|len(gth)?|examples)"
    rf"|(n|num|limit|max)_({_WORDS}|dev)(_\w+)?|n_splits|num_folds|n_folds|cv)$",
    re.IGNORECASE,
)
_DATA_NAME = re.compile(rf"^(validation_data|valid_sets|evals|{_WORDS}_?(data\w*|sets?|ds|loaders?))$", re.IGNORECASE)
"""Keywords that pass the held-out set to a training function."""
_DEVICE = re.compile(r"device|cuda|cpu", re.IGNORECASE)
_NARROWING_CALL = re.compile(
    r"(^|\.)(islice|Subset|sample|choice|choices|permutation|filter|head|tail|take|skip|select|shard|nlargest|nsmallest"
    r"|narrow|query|truncate|drop|dropna|iloc|loc|batch|repeat|takewhile|dropwhile|compress)$"
)
_SPLIT_CALL = re.compile(
    r"(^|\.)(train_test_split|random_split|StratifiedShuffleSplit|ShuffleSplit|\w*KFold|TimeSeriesSplit)$"
)


def is_held_out(name: str) -> bool:
    """Return whether a variable or function is named after a held-out set."""
    return bool(_HELD_OUT_NAME.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)))


def held_out_is_changed(before: ast.Module, after: ast.Module) -> bool:
    """Return whether an edit changes which data is held out, how it is evaluated, or no longer uses it."""
    before, after = _with_clear_names(before), _with_clear_names(after)
    return held_out_parts(before) != held_out_parts(after) or bool(_used_names(before) - _used_names(after))


def held_out_parts(tree: ast.Module) -> set[str]:
    """Return the parts that decide which data is held out, as texts to compare."""
    parts = [part for node in ast.walk(tree) for part in _parts(node)]
    return {ast.dump(part) for part in parts} | set(_size_definitions(tree, parts))


def _used_names(tree: ast.Module) -> set[str]:
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return {name for name in names if is_held_out(name)}


def _with_clear_names(tree: ast.Module) -> ast.Module:
    """Return the tree with `dev` renamed to `dev_set`, unless the script calls its device so."""
    nodes = list(ast.walk(tree))
    values = [n.value for n in nodes if isinstance(n, ast.Assign) and "dev" in map(_name, n.targets)]
    if not values or any(_DEVICE.search(ast.unparse(value)) for value in values):
        return tree
    renamed = copy.deepcopy(tree)
    for node in ast.walk(renamed):
        if _name(node) == "dev" and isinstance(node, ast.Name):
            node.id = "dev_set"
    return renamed


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if is_held_out(node.name):
            yield node
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_mentions_held_out(target) for target in targets):
                yield node
        case ast.For() | ast.AsyncFor() | ast.comprehension() if _mentions_held_out(node.iter):
            yield node
        case ast.Subscript(value=value, slice=index) if _is_cut(index) and _mentions_held_out(value):
            yield node
        case ast.Call():
            yield from _parts_of_call(node)
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            yield from (v for k, v in pairs if isinstance(k, ast.Constant) and _SIZE_NAME.search(str(k.value)))


def _parts_of_call(call: ast.Call) -> Iterator[ast.AST]:
    name = dotted(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
    if _SPLIT_CALL.search(name):
        yield from call.args[1:] if name.endswith("random_split") else call.keywords
        if not name.endswith(("random_split", "train_test_split")):
            yield from call.args
    elif _NARROWING_CALL.search(name) and _mentions_held_out(call):
        yield call
    yield from (keyword for keyword in call.keywords if keyword.arg and _is_setting(keyword.arg))


def _is_setting(keyword: str) -> bool:
    return bool(_SIZE_NAME.search(keyword) or _DATA_NAME.search(keyword))


def _is_cut(index: ast.expr) -> bool:
    """Return whether an index takes several items: a slice, a mask, a list. `batch["x"]` and `rows[0]` take one."""
    return not isinstance(index, ast.Constant)


def _mentions_held_out(node: ast.AST) -> bool:
    names = (
        n.id if isinstance(n, ast.Name) else n.attr if isinstance(n, ast.Attribute) else "" for n in ast.walk(node)
    )
    return any(is_held_out(name) for name in names)


def _size_definitions(tree: ast.Module, parts: list[ast.AST]) -> Iterator[str]:
    """Yield the assignments to the names that the sizes of the parts depend on, such as `split = int(0.8 * len(x))`."""
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            stored = [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            for name in stored:
                assigned.setdefault(name, []).append(node.value)
    names = {name for part in parts for size in _sizes(part) for name in _plain_names(size)}
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        for value in assigned.get(name, []):
            yield f"{name} = {ast.dump(value)}"
            names |= set(_plain_names(value))


def _sizes(part: ast.AST) -> Iterator[ast.AST]:
    """Yield the expressions of a part that are positions or sizes."""
    for node in [part] if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.For) else ast.walk(part):
        match node:
            case ast.Slice():
                yield node
            case ast.keyword(arg=str(name), value=value) if _SIZE_NAME.search(name):
                yield value
            case ast.Call() if _NARROWING_CALL.search(dotted(node.func)):
                yield from node.args[1:]
            case ast.Call() if dotted(node.func) == "range":
                yield node
    if isinstance(part, ast.List | ast.Tuple | ast.BinOp | ast.Name):
        yield part


def _plain_names(node: ast.AST) -> Iterator[str]:
    """Yield the names in an expression of numbers; the data in `len(x)` and `x.shape` is not part of it."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not (isinstance(node, ast.Call) and dotted(node.func) == "len") and not isinstance(node, ast.Attribute):
        for child in ast.iter_child_nodes(node):
            yield from _plain_names(child)
