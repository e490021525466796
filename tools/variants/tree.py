"""The variants of a study as a tree: every variant after its parent, with its depth. Knows no results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.variant import Variant


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One variant and where it is in the tree.

    Attributes:
        last_marks: for each level below the root, the outermost first, whether the ancestor at that level (at the
            deepest level: the variant itself) is the last child of its parent; empty for a root.
    """

    variant: Variant
    last_marks: tuple[bool, ...] = ()

    @property
    def depth(self) -> int:
        """The number of ancestors; 0 for a root."""
        return len(self.last_marks)

    def guides(self, *, below: int = 0) -> str:
        """Return the lines that lead to the variant, such as "│  └─ "; the outermost `below` levels get none."""
        marks = self.last_marks[below:]
        if not marks:
            return ""
        stems = "".join("   " if is_last else "│  " for is_last in marks[:-1])
        return stems + ("└─ " if marks[-1] else "├─ ")


def variant_tree(variants: Sequence[Variant]) -> list[TreeNode]:
    """Return the variants from the roots down, siblings in the order given, each directly after its parent's subtree.

    A variant whose parent is not among them is a root.
    """
    known = {variant.id for variant in variants}
    children: dict[str | None, list[Variant]] = {}
    for variant in variants:
        children.setdefault(variant.parent if variant.parent in known else None, []).append(variant)
    nodes: list[TreeNode] = []
    stack = [TreeNode(root) for root in reversed(children.get(None, []))]
    while stack:
        node = stack.pop()
        nodes.append(node)
        below = children.get(node.variant.id, [])
        stack += [TreeNode(child, (*node.last_marks, child is below[-1])) for child in reversed(below)]
    return nodes
