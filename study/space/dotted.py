"""Names of two parts in conditions and formulas: `mix.code` and `mix["web-en"]` are the shares of a mixture."""

from __future__ import annotations

import ast


def with_dotted_names(tree: ast.expr) -> ast.expr:
    """Return the tree with a name, such as `mix.code`, in place of each attribute and text index of a name."""
    return _Dotted().visit(tree)  # type: ignore[no-any-return]  # an expression stays one


class _Dotted(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace `mix.code`."""
        return _joined(node, node.value, node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Replace `mix["code"]`."""
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return _joined(node, node.value, index) if isinstance(index, str) else node


def _joined(node: ast.expr, whole: ast.expr, part: str) -> ast.expr:
    if not isinstance(whole, ast.Name):
        return node
    return ast.copy_location(ast.Name(id=f"{whole.id}.{part}", ctx=ast.Load()), node)
