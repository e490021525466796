"""Greedy search, as in autoresearch (Karpathy 2026): the best version is edited again and again; nothing is joined."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.code_search.arms import best_arm
from tunesmith.agent.code_search.strategies.adaptive import overtaking
from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.study.variant import Variant


@dataclass(frozen=True, slots=True)
class Greedy:
    """Edits the best version with every trial; only while an answer is on its way a trial tunes."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return a question about the best version, unless the first trials of new ones fill the slots."""
        best = best_arm(state.arms)
        if best is None or state.new_and_unknown >= state.slots or state.trials_left - len(state.untried) < 1:
            return None
        return EditRequest(best.code, 1)

    def joins(self, state: SearchState) -> list[tuple[Variant, Variant]]:  # noqa: ARG002  # part of the protocol
        """Return nothing: every edit is made on the best version."""
        return []

    def tuned(self, state: SearchState) -> str:
        """Return the best version."""
        best = best_arm(state.arms)
        return best.code if best is not None else ""

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the best version if it overtook the parent after the edit was written."""
        return overtaking(variant, state)

    def objection(self, variant: Variant, state: SearchState) -> str:  # noqa: ARG002  # part of the protocol
        """Return nothing."""
        return ""
