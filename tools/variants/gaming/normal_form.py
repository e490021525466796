"""Rewrites what reaches a name indirectly into plain code: a rule sees `args.seed = 3` however it is written."""

from __future__ import annotations

import ast
import copy
from functools import lru_cache
from typing import cast

from tunesmith.tools.script_reader.literals import dotted

_DICTIONARY_CALLS = ("vars", "globals", "locals")


def normal_form(tree: ast.Module) -> ast.Module:
    """Return a copy in which texts are joined and getattr, setattr, vars, globals and `+=` are plain code."""
    return ast.fix_missing_locations(cast("ast.Module", _Plain().visit(copy.deepcopy(tree))))


@lru_cache(maxsize=8)
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return every node of a tree, which must not change any more; the rules look at them dozens of times."""
    return tuple(ast.walk(tree))


@lru_cache(maxsize=8)
def imported_names(tree: ast.Module) -> dict[str, str]:
    """Return the full name of each imported name: {"np": "numpy", "nn": "torch.nn"}."""
    found: dict[str, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                top = name.name.partition(".")[0]
                found[name.asname or top] = name.name if name.asname else top
        elif isinstance(node, ast.ImportFrom):
            found |= {name.asname or name.name: f"{node.module or ''}.{name.name}" for name in node.names}
    return found


def full_name(node: ast.AST, imports: dict[str, str]) -> str:
    """Return the dotted name of an expression, with its import resolved: "numpy.load"; "" for other expressions."""
    if isinstance(node, ast.Attribute):
        before = full_name(node.value, imports)
        return f"{before}.{node.attr}" if before else ""
    return imports.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def called_name(call: ast.Call) -> str:
    """Return the dotted name of what is called; its last part for a method of an expression, such as `f().mean()`."""
    return dotted(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")


def value_names(node: ast.AST) -> list[str]:
    """Return the names and attributes in a node, without those of functions that it calls."""
    functions = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    found = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute) and id(n) not in functions]
    return [n.id if isinstance(n, ast.Name) else n.attr for n in found]


class _Plain(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        left, right = _text(node.left), _text(node.right)
        if isinstance(node.op, ast.Add) and left is not None and right is not None:
            return ast.copy_location(ast.Constant(left + right), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts = [_text(v.value if isinstance(v, ast.FormattedValue) else v) for v in node.values]
        if all(part is not None for part in parts):
            return ast.copy_location(ast.Constant("".join(part or "" for part in parts)), node)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        loaded = copy.deepcopy(node.target)
        for part in ast.walk(loaded):
            if isinstance(part, ast.Name | ast.Attribute | ast.Subscript):
                part.ctx = ast.Load()
        value = ast.BinOp(loaded, node.op, node.value)
        return ast.copy_location(ast.Assign([cast("ast.expr", node.target)], value), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if _is_call_of(node, "getattr") and len(node.args) >= 2 and (name := _text(node.args[1])) is not None:  # noqa: PLR2004
            return ast.copy_location(ast.Attribute(node.args[0], name, ast.Load()), node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join" and _text(node.func.value) is not None:
            items = node.args[0].elts if node.args and isinstance(node.args[0], ast.List | ast.Tuple) else []
            texts = [_text(item) for item in items]
            if texts and all(text is not None for text in texts):
                joined = (_text(node.func.value) or "").join(text or "" for text in texts)
                return ast.copy_location(ast.Constant(joined), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = _text(node.slice)
        return node if key is None else _member(node.value, key, node.ctx) or node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        call = node.value
        if not isinstance(call, ast.Call):
            return node
        if _is_call_of(call, "setattr") and len(call.args) == 3 and (name := _text(call.args[1])) is not None:  # noqa: PLR2004
            return _assigned(ast.Attribute(call.args[0], name, ast.Store()), call.args[2], node)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "update":
            pairs: list[tuple[str | None, ast.expr]] = [(k.arg, k.value) for k in call.keywords]
            if call.args and isinstance(given := call.args[0], ast.Dict):
                pairs += [(_text(k), v) for k, v in zip(given.keys, given.values, strict=True) if k is not None]
            found = [(_member(call.func.value, name, ast.Store()), v) for name, v in pairs if name]
            if found and all(target is not None for target, _ in found):
                return [_assigned(target, value, node) for target, value in found if target is not None]
        return node


def _member(holder: ast.expr, name: str, ctx: ast.expr_context) -> ast.expr | None:
    """Return `x.name` for a holder such as vars(x) or x.__dict__, `name` for globals(); None for others."""
    if isinstance(holder, ast.Attribute) and holder.attr == "__dict__":
        return ast.Attribute(holder.value, name, ctx)
    if isinstance(holder, ast.Call) and isinstance(holder.func, ast.Name) and holder.func.id in _DICTIONARY_CALLS:
        return ast.Attribute(holder.args[0], name, ctx) if holder.args else ast.Name(name, ctx)
    return None


def _assigned(target: ast.expr, value: ast.expr, place: ast.AST) -> ast.Assign:
    return ast.copy_location(ast.Assign([target], value), place)


def _is_call_of(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == name


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
