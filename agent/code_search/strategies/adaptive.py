"""Tunesmith's own strategy: edits and tuning share the trials by what each gained, and gaining edits are joined."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.code_search.arms import best_arm, lineage
from tunesmith.agent.code_search.bandit import active_arms, choose_parent, edit_share, is_edit_due, is_stuck
from tunesmith.agent.code_search.joins import pairs_to_join
from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.variant import Variant

MAX_IDEAS = 3
"""Number of ideas asked for in one question."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Shares the trials between edits and tuning by their recent gain per trial."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return a question about the best version whenever edits have had less than their share.

        Not while the first trials of new versions fill the slots: an answer would not know what they gained.
        """
        left = state.trials_left - len(state.untried)
        if left < 1 or state.new_and_unknown >= state.slots:
            return None
        share = edit_share(state.trials, state.objective, state.constraints, noise=state.noise)
        if not is_edit_due(state.trials, share, len(state.untried)):
            return None
        parent = choose_parent(state.arms, state.variants, state.noise)
        return EditRequest("" if _starts_again(state) else parent.code, int(min(MAX_IDEAS, left)))

    def joins(self, state: SearchState) -> list[tuple[Variant, Variant]]:
        """Return pairs of versions that both gained more than noise."""
        return pairs_to_join(state.arms, state.variants, state.noise)

    def tuned(self, state: SearchState) -> str:
        """Return the version with the best optimistic bound."""
        active = active_arms(state.arms, state.variants, noise=state.noise, trials_left=state.trials_left)
        return active[0].code if active else ""

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the best version if it overtook the parent after the edit was written."""
        return overtaking(variant, state)

    def objection(self, variant: Variant, state: SearchState) -> str:  # noqa: ARG002  # part of the protocol
        """Return nothing: what the gate lets through may run."""
        return ""


def _starts_again(state: SearchState) -> bool:
    """Return whether the question shows the user's own code: half of the time, drawn from the trial's number.

    Turns could fall together with those of edits and tuning.
    """
    if "" not in state.by_code or not is_stuck(state.arms, state.variants):
        return False
    return derived_seed(state.seed, "own code", state.number) % 2 == 0


def overtaking(variant: Variant, state: SearchState) -> str:
    """Return the best version if it beats an edit's parent by more than noise and lacks the edit; else the parent."""
    parent = state.variants.get(variant.parent or "")
    code = parent.id if parent is not None and parent.is_edited else ""
    best, before = best_arm(state.arms), state.by_code.get(code)
    if best is None or before is None or best.value >= before.value - state.noise or not best.code:
        return code
    return code if variant.id in lineage(state.variants[best.code], state.variants) else best.code
