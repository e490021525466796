"""Decides whether two variants are equivalent by their syntax trees, ignoring what cannot change the result.

Ignored are names of local variables, comments, docstrings, formatting and unreachable code. Variants that differ here
may still compute the same; that shows only when they run (agent/code_search). Cf. "Unified functional hashing
in automatic machine learning" (Gillard et al. 2023).
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

BYTE_ORDER_MARK = "\ufeff"
"""First character of files of some Windows editors. Python accepts it in a file, but not in a text to parse."""

_JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def equivalence_hash(files: Mapping[str, str]) -> str:
    """Return a hash that is equal for equivalent variants. A file that is not valid Python is compared as text."""
    digest = hashlib.blake2b(digest_size=16)
    for path, text in sorted(files.items()):
        digest.update(
            f"\0{path}\0{_file_hash(text, is_python=path.endswith('.py'))}".encode("utf-8", "surrogateescape")
        )
    return digest.hexdigest()


def parse_python(text: str) -> ast.Module | None:
    """Return the syntax tree; None for text that is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix(BYTE_ORDER_MARK))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=512)  # each new edit is compared with every earlier variant
def _file_hash(text: str, *, is_python: bool) -> str:
    canonical = _canonical_text(text) if is_python else text
    return hashlib.blake2b(canonical.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _canonical_text(text: str) -> str:
    tree = parse_python(text)
    if tree is None:
        return text
    try:
        return ast.dump(_Canonicalizer().visit(tree))
    except RecursionError:
        return text


class _Canonicalizer(ast.NodeTransformer):
    """Removes statements without effect and renames local variables."""

    def visit(self, node: ast.AST) -> ast.AST:
        found = super().visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(found, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(found, name, _effective(block) or ([ast.Pass()] if name == "body" else []))
        return cast("ast.AST", found)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        return _with_numbered_locals(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        return _with_numbered_locals(node)


def _effective(block: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return the statements that can be reached and have an effect."""
    found: list[ast.stmt] = []
    for statement in block:
        if isinstance(statement, ast.Pass) or _is_constant(statement):
            continue
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Constant):
            found += statement.body if statement.test.value else statement.orelse
        else:
            found.append(statement)
        if found and isinstance(found[-1], _JUMPS):
            break
    return found


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _with_numbered_locals(function: _Function) -> ast.AST:
    """Rename the function's local variables to numbers, in the order of the text; changes the function in place.

    Arguments keep their names, since callers may pass them by name; so do names that inner functions or `global` share.
    """
    shared = {name for n in ast.walk(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    arguments = {a.arg for n in ast.walk(function) if isinstance(n, ast.arguments) for a in _all_arguments(n)}
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    own = {name for name in stored if name not in shared | arguments and not name.startswith("_local")}
    order: dict[str, str] = {}
    for name in _names_in_text_order(function):
        if name in own and name not in order:
            order[name] = f"_local{len(order)}"
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in order:
            node.id = order[node.id]
    return function


def _names_in_text_order(function: _Function) -> list[str]:
    names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
    return [n.id for n in sorted(names, key=lambda n: (n.lineno, n.col_offset))]


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    variadic = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variadic]
