"""A file of code in a few lines: its classes and functions with their arguments, for projects larger than a prompt."""

from __future__ import annotations

import ast

_MAX_NAMES = 40


def outline(path: str, text: str) -> str:
    """Return a file's path, its number of lines, and the signatures in it."""
    head = f"{path} ({text.count(chr(10)) + 1} lines)"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return head
    found = list(_signatures(tree))
    more = f"; and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    return f"{head}: {'; '.join(found[:_MAX_NAMES])}{more}" if found else head


def _signatures(tree: ast.Module) -> list[str]:
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [_signature(n) for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            found.append(f"class {node.name} ({', '.join(methods)})" if methods else f"class {node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(_signature(node))
    return found


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs] if a.arg != "self"]
    return f"{node.name}({', '.join(names)})"
