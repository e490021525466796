"""Finds what decides which data a script holds out, and where else they are used.

Slices, samples, filters and sizes of splits must stay. So must every statement that uses held-out data: an edit may
evaluate another model, but it may not train on these data, change them, or choose by them.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.variants.gaming.duration import has_exit
from tunesmith.tools.variants.gaming.normal_form import called_name, full_name, imported_names, nodes, value_names

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
_METRIC_NAME = re.compile(
    r"(loss(es)?|acc(uracy)?|score|err(or)?|metric|auc|f1|mse|mae|rmse|bleu|rouge|ppl|perplexity|bp[bcd]|r2|nll|kl|iou|map"
    r"|interval|every|freq(uency)?|time|seconds|mode|fn|function|step|steps)s?$",
    re.IGNORECASE,
)
"""The end of a held-out name that is not one of data: a result, or when and how it is computed."""
_READING_CALL = re.compile(
    r"(^|\.)(loadtxt|genfromtxt|read_(csv|parquet|json|pickle|feather|hdf|table)|load_(digits|iris|wine|breast_cancer"
    r"|diabetes|dataset|files|svmlight_file)|fetch_\w+|load_data|ImageFolder|(Fashion)?MNIST|CIFAR10+|SVHN)$"
)
NO_DATA = re.compile(r"^(eval|evaluate|evaluation|test|testing|validate|validation)$")
"""Words that are as often a method or a module as data."""
_FILE = re.compile(r"[\w./-]{1,200}\.(npz?|csv|tsv|jsonl?|parquet|pt|pkl|pickle|txt|bin|h5|hdf5|arrow|tar|zip|gz|lmdb)")
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
    """Return whether an edit changes which data is held out, or how or where it is used."""
    before, after = _with_clear_names(before), _with_clear_names(after)
    splits = _split_functions(before) | _split_functions(after)
    return (
        held_out_parts(before, splits) != held_out_parts(after, splits)
        or bool(_used_names(before) - _used_names(after))
        or bool(_data_uses(after, splits) - _data_uses(before, splits))
        or _reading_calls(after) > _reading_calls(before)
    )


def held_out_is_imported(before: ast.Module, after: ast.Module) -> bool:
    """Return whether an edit takes more of the held-out data, which are the judge's, than the script did.

    It imports them, names a file of them, asks for them once more, or keeps a part that was left, such as the labels.
    """
    own, edited = _taken_parts(before), _taken_parts(after)
    more = any(len(parts) > len(own.get(name, ())) for name, parts in edited.items())
    further = any(set().union(*parts) - set().union(*own.get(name, ())) for name, parts in edited.items())
    return bool(_foreign_names(after) - _foreign_names(before)) or more or further


def held_out_parts(tree: ast.Module, splits: frozenset[str] = frozenset()) -> set[str]:
    """Return the parts that decide which data is held out, as texts to compare."""
    parts = [part for node in nodes(tree) for part in _parts(node)]
    functions = [n for n in nodes(tree) if isinstance(n, ast.FunctionDef) and n.name in splits]
    parts += [part for function in functions for part in _split_parts(function)]
    return {_text(part) for part in parts} | set(_size_definitions(tree, parts))


def _text(part: ast.AST) -> str:
    """Return a part as text; in `val_loss = evaluate(network, held_out)`, another model may be evaluated."""
    if isinstance(part, ast.Assign) and all(_METRIC_NAME.search(_name(n)) for n in _target_names(part)):
        return ast.dump(_with_any_model(part))
    return ast.dump(part)


def _target_names(statement: ast.Assign) -> list[ast.AST]:
    return [n for target in statement.targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _with_any_model(node: ast.AST) -> ast.AST:
    """Return a copy in which the first argument of each call is a placeholder, if it is a name of no held-out data."""
    found = copy.deepcopy(node)
    for call in ast.walk(found):
        first = call.args[0] if isinstance(call, ast.Call) and len(call.args) > 1 else None
        if isinstance(first, ast.Name | ast.Attribute) and not _mentions_held_out(first):
            call.args[0] = ast.Name("_", ast.Load())  # type: ignore[attr-defined]  # it is a call
    return found


def _split_functions(tree: ast.Module) -> frozenset[str]:
    """Return the functions of the file that make held-out data: `train, held_out = load_split()`."""
    functions = {n.name for n in nodes(tree) if isinstance(n, ast.FunctionDef)}
    assigned = [n for n in nodes(tree) if isinstance(n, ast.Assign) and any(map(_mentions_data, n.targets))]
    called = {dotted(n.func) for a in assigned for n in ast.walk(a.value) if isinstance(n, ast.Call)}
    return frozenset(name for name in functions & called if not is_held_out(name))


def _split_parts(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what a function returns, and its slices, masks, samples and splits."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) or (isinstance(node, ast.Subscript) and _selects_rows(node.slice)):
            yield node
        elif isinstance(node, ast.Call):
            name = called_name(node)
            if _NARROWING_CALL.search(name) or name.endswith("slice"):
                yield node


def _selects_rows(index: ast.expr) -> bool:
    """Return whether an index selects rows; `table[:, :64]` selects columns."""
    first = index.elts[0] if isinstance(index, ast.Tuple) and index.elts else index
    is_all = isinstance(first, ast.Slice) and first.lower is None and first.upper is None and first.step is None
    return _is_cut(first) and not is_all


def _data_uses(tree: ast.Module, splits: frozenset[str]) -> Counter[str]:
    """Return the statements that use held-out data, call what makes them, or end the script by a held-out metric."""
    found = []
    for node in nodes(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for part in _own_parts(node):
            calls = {dotted(n.func) for n in ast.walk(part) if isinstance(n, ast.Call)}
            if _mentions_data(part) or calls & splits:
                found.append(ast.dump(_with_any_model(part)))
        if isinstance(node, ast.If | ast.While) and _mentions_held_out(node.test) and has_exit(node):
            found.append(ast.dump(node.test))
    return Counter(found)


def _own_parts(statement: ast.stmt) -> list[ast.AST]:
    """Return a statement, or the head of a compound one: its condition, what it loops over, its context managers."""
    match statement:
        case ast.If(test=test) | ast.While(test=test):
            return [test]
        case ast.For(iter=items) | ast.AsyncFor(iter=items):
            return [items]
        case ast.With(items=items) | ast.AsyncWith(items=items):
            return [item.context_expr for item in items]
        case ast.Try() | ast.Match():
            return []
    return [statement]


def _mentions_data(node: ast.AST) -> bool:
    """Return whether a node names held-out data; not a function such as `evaluate`, nor a metric such as `val_loss`."""
    names = value_names(node)
    return any(is_held_out(name) and not _METRIC_NAME.search(name) and not NO_DATA.match(name) for name in names)


def _reading_calls(tree: ast.Module) -> int:
    return sum(isinstance(n, ast.Call) and bool(_READING_CALL.search(dotted(n.func))) for n in nodes(tree))


def _foreign_names(tree: ast.Module) -> Counter[str]:
    """Return the held-out names that a file takes from other modules, and the names of files that it reads."""
    imported = {a.asname or a.name for n in nodes(tree) if isinstance(n, ast.Import) for a in n.names}
    found = [a.name for n in nodes(tree) if isinstance(n, ast.ImportFrom) for a in n.names]
    found += [
        n.attr
        for n in nodes(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in imported
    ]
    texts = [n.value for n in nodes(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    files = [part for text in texts if _FILE.fullmatch(text) for part in re.split(r"[/.]", text)]
    return Counter(name for name in [*found, *files] if is_held_out(name.strip("_")) and not NO_DATA.match(name))


def _taken_parts(tree: ast.Module) -> dict[str, list[set[str]]]:
    """Return the parts that are taken of what functions of other modules with held-out names return.

    For each function, a set for each mention of it: `x, _ = held_out()` takes part 0, `held_out()[1]` part 1.
    """
    imports = imported_names(tree)
    parts = {id(part): taken for node in nodes(tree) for part, taken in _unpacked(node)}
    found: dict[str, list[set[str]]] = {}
    for node in nodes(tree):
        name = full_name(node, imports) if isinstance(node, ast.Name | ast.Attribute) else ""
        is_foreign = "." in name and is_held_out(name.rpartition(".")[2]) and not NO_DATA.match(name.rpartition(".")[2])
        if is_foreign and isinstance(getattr(node, "ctx", None), ast.Load):
            found.setdefault(name, []).append(parts.get(id(node), {"all"}))
    return found


def _unpacked(node: ast.AST) -> Iterator[tuple[ast.AST, set[str]]]:
    """Yield the function whose result a node takes parts of, with these parts."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call(func=function)):
            if not any(isinstance(target, ast.Starred) for target in targets):
                yield function, {str(n) for n, target in enumerate(targets) if _name(target) != "_"}
        case ast.Subscript(value=ast.Call(func=function), slice=ast.Constant(value=int(number))):
            yield function, {str(number)}


def _used_names(tree: ast.Module) -> set[str]:
    names = {n.id for n in nodes(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return {name for name in names if is_held_out(name)}


def _with_clear_names(tree: ast.Module) -> ast.Module:
    """Return the tree with `dev` renamed to `dev_set`, unless the script calls its device so."""
    values = [n.value for n in nodes(tree) if isinstance(n, ast.Assign) and "dev" in map(_name, n.targets)]
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
    name = called_name(call)
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
    for node in nodes(tree):
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
