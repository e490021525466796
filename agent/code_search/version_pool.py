"""The versions of one study's code: which exist, which wait for their first trial, and those made of others.

Keeps what is new for the history; records nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.study.trials.trial import Trial
from tunesmith.study.variant import COMBINE, PERSON, Variant, VariantState, has_same_files, root_variant, short_id
from tunesmith.tools.variants.build import cross_variants, move_edit
from tunesmith.tools.variants.constants import CodeConstant, code_constants, fit_constants
from tunesmith.tools.variants.gate import MAX_DECLARED
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.user_edit import chosen_constants


@dataclass(frozen=True, slots=True)
class VariantOutcome:
    """The new state of a version, and why."""

    variant: Variant
    state: VariantState
    reason: str


class VersionPool:
    """Every version of the code.

    Args:
        root: the user's project as it is now.
        known: every version in the history, the oldest first.
        rules: what edits may change.

    Attributes:
        by_id: the versions by id, in the order of proposal.
        rules: as above; replaced when the study changes.
    """

    def __init__(self, root: Variant, known: Sequence[Variant], rules: GateRules) -> None:
        self._root = root
        self.rules = rules
        self.by_id = {variant.id: variant for variant in [*known, root]}
        self._new: list[Variant] = []
        self._outcomes: list[VariantOutcome] = []
        self._failed_joins: set[tuple[str, str]] = set()
        self._fitted: list[Variant] = []

    def add(self, variant: Variant) -> None:
        """Add a version; one that is known already keeps its state, and is returned by `drain_new` all the same."""
        self.by_id.setdefault(variant.id, variant)
        self._new.append(variant)

    def drain_new(self) -> list[Variant]:
        """Return versions that are new since the last call of this method."""
        variants, self._new = self._new, []
        return variants

    def drain_outcomes(self) -> list[VariantOutcome]:
        """Return the states that changed without a trial since the last call of this method."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def untried(self, trials: Sequence[Trial]) -> list[Variant]:
        """Return the valid versions without a trial in the order in which they run: those of people, edits, joins."""
        tried = {t.proposal.code for t in trials}
        found = [v for v in self.by_id.values() if v.is_edited and v.id not in tried and self.may_run(v.id)]
        return sorted(found, key=lambda v: (v.author != PERSON, v.direction == COMBINE))

    def may_run(self, code: str) -> bool:
        """Return whether a version may get trials: it is valid, and made from the editable files as they are now.

        Other files of the project, such as a patch that `apply` wrote, do not matter.
        """
        variant = self.by_id.get(code)
        if variant is None or variant.state is not VariantState.SOUND:
            return not code
        return has_same_files(root_variant(variant, self.by_id), self._root)

    def moved(self, variant: Variant, base: str) -> Variant:
        """Return an untried edit on top of another version, or as it is where both change the same lines."""
        moved = move_edit(variant, self.by_id[base], self.by_id, self.rules)
        if moved is None or moved.state is not VariantState.SOUND:
            return variant
        moved = replace(moved, created_at=variant.created_at)
        self.add(moved)
        reason = f"it runs as {short_id(moved.id)}, on top of {short_id(base)}, which was better by then"
        self._outcomes.append(self.change_state(variant, VariantState.DUPLICATE, reason))
        return moved

    def join(self, pairs: Sequence[tuple[Variant, Variant]]) -> None:
        """Add the join of the first pair that can be joined; a pair that changes the same lines cannot."""
        for first, second in pairs:
            if (first.id, second.id) in self._failed_joins:
                continue
            joined = cross_variants(first, second, self.by_id, self.rules)
            if joined is not None and joined.state is VariantState.SOUND:
                self.add(replace(joined, created_at=max(first.created_at, second.created_at)))
                return
            self._failed_joins.add((first.id, second.id))

    def constants(self, variant: Variant) -> list[CodeConstant]:
        """Return the numbers of a version's edit that could be parameters; none once it has as many as it may have."""
        free = MAX_DECLARED - len(variant.declared)
        return code_constants(variant, self.by_id, self.rules.space.names)[: max(free, 0)]

    def with_constants(self, variant: Variant) -> Variant:
        """Return a new version whose numbers are all parameters, as many as it may have."""
        return fit_constants(variant, self.constants(variant)) if variant.state is VariantState.SOUND else variant

    def fit(self, variant: Variant, names: Sequence[str] = ()) -> list[CodeConstant]:
        """Make constants of a known version parameters; return them.

        Raises:
            ToolRefused: one is not offered.
        """
        chosen = chosen_constants(variant, self.by_id, self.rules.space.names, names)
        self.by_id[variant.id] = fit_constants(variant, chosen)
        self._fitted.append(self.by_id[variant.id])
        return chosen

    def drain_fitted(self) -> list[Variant]:
        """Return the versions that got further parameters since the last call of this method."""
        fitted, self._fitted = self._fitted, []
        return fitted

    def change_state(self, variant: Variant, state: VariantState, reason: str) -> VariantOutcome:
        """Set the state of a version; return the change."""
        self.by_id[variant.id] = replace(variant, state=state, reason=reason)
        return VariantOutcome(variant, state, reason)
