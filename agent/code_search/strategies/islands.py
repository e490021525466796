"""Islands with a check of novelty, as in ShinkaEvolve (Lange et al. 2025).

Each island holds the descendants of some edits of the user's code and evolves by itself. A parent is drawn by rank, so
that an island does not only follow its best version. An edit nearly equal to a known one is not run.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.agent.code_search.arms import Arm, best_arm
from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.agent.code_search.strategies.greedy import Greedy
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.variant import Variant, short_id

ISLANDS = 2
MIGRATION_EVERY = 10
"""Number of edits after which the next parent is the best version of all islands."""

MAX_SIMILARITY = 0.95
"""Similarity of the lines that two edits change from which on they count as one."""


@dataclass(frozen=True, slots=True)
class Islands(Greedy):
    """Evolves several lineages in turn."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return a question about a version of the island whose turn it is."""
        if Greedy.request(self, state) is None:
            return None
        edits = [v for v in state.variants.values() if v.is_edited]
        turn = len(edits)
        if turn and turn % MIGRATION_EVERY == 0:
            return Greedy.request(self, state)
        island = [
            arm for arm in state.arms if arm.best and (not arm.code or _island(arm.code, state) == turn % ISLANDS)
        ]
        return EditRequest(_drawn(island or state.arms, state, turn).code, 1)

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the parent: islands do not take edits from each other."""
        parent = state.variants.get(variant.parent or "")
        return parent.id if parent is not None and parent.is_edited else ""

    def objection(self, variant: Variant, state: SearchState) -> str:
        """Return which known edit changes nearly the same lines in nearly the same way."""
        own = _changes(variant)
        for known in state.variants.values():
            if known.id == variant.id or not known.is_edited:
                continue
            if difflib.SequenceMatcher(None, own, _changes(known), autojunk=False).ratio() > MAX_SIMILARITY:
                return f"it is nearly the same edit as {short_id(known.id)}; propose something else"
        return ""


def _island(code: str, state: SearchState) -> int:
    """Return the island of a version: that of the edit of the user's code which it descends from."""
    edits = [v.id for v in state.variants.values() if v.is_edited]
    variant = state.variants[code]
    while (parent := state.variants.get(variant.parent or "")) is not None and parent.is_edited:
        variant = parent
    return edits.index(variant.id) % ISLANDS


def _drawn(arms: Sequence[Arm], state: SearchState, turn: int) -> Arm:
    """Return an arm drawn with weights 1, 1/2, 1/3, ... by rank."""
    ranked = sorted((arm for arm in arms if arm.best is not None), key=lambda arm: arm.value)
    weights = [1.0 / rank for rank in range(1, len(ranked) + 1)]
    left = derived_seed(state.seed, "island", turn) / 2**31 * sum(weights)
    for arm, weight in zip(ranked, weights, strict=True):
        left -= weight
        if left <= 0.0:
            return arm
    best = best_arm(arms)
    assert best is not None  # noqa: S101  # a question is due only when a trial is complete
    return best


def _changes(variant: Variant) -> str:
    lines = variant.diff.splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---")))
