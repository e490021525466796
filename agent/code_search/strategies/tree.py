"""Tree search, as in AIDE (Jiang et al. 2025): a few drafts from the user's code, then improvements of the best.

Its third operator, debug, is the repair that the code search asks for whenever a version fails, with every strategy.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.agent.code_search.strategies.greedy import Greedy
from tunesmith.study.variant import Variant, VariantState

DRAFTS = 5
"""Number of different edits of the user's code before the best one is improved; AIDE's own default."""


@dataclass(frozen=True, slots=True)
class Tree(Greedy):
    """Drafts first, then improves the best."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return a question about the user's code for the first drafts, then about the best version."""
        found = Greedy.request(self, state)
        edits = [v for v in state.variants.values() if v.is_edited and v.state is not VariantState.REFUSED]
        drafts = [v for v in edits if not _is_edit_of_edit(v, state)]
        has_own_arm = "" in state.by_code
        return EditRequest("", 1) if found is not None and has_own_arm and len(drafts) < DRAFTS else found

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the parent: a draft stays one."""
        return variant.parent or "" if _is_edit_of_edit(variant, state) else ""


def _is_edit_of_edit(variant: Variant, state: SearchState) -> bool:
    parent = state.variants.get(variant.parent or "")
    return parent is not None and parent.is_edited
