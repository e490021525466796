"""Code search of one study: which version of the code a trial runs, when another edit is asked for, and its outcome.

Decides and asks; records nothing. The main loop drains new versions, calls and notes and writes them to the history.
An edit that was being asked for when the program ended is asked for again after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from typing import Protocol

from tunesmith.agent.code_search.bandit import (
    TUNING_TRIALS_PER_PARAMETER,
    Arm,
    active_arms,
    build_arms,
    pairs_to_combine,
    should_edit,
)
from tunesmith.agent.code_search.edit_question import EditQuestionBuilder
from tunesmith.agent.code_search.editor import EditQuestion, EditResult
from tunesmith.agent.code_search.task_model import pool_trials, variant_shifts
from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidate_pool import ANSWER_WAIT_S, BackgroundRunner
from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate_model import SamplerSettings
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.results import present_trials
from tunesmith.study.trials.seeds import tuning_seed
from tunesmith.study.trials.trial import FailureKind, Prediction, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import COMBINE, PERSON, Variant, VariantState, short_id
from tunesmith.tools.variants.build import cross_variants
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import variant_command, variant_space
from tunesmith.tools.variants.user_edit import EditContext

MAX_PAUSE_TRIALS = 8
"""Longest pause between two questions after answers without a valid edit, in trials."""


class EditSource(Protocol):
    """Makes edits; `Editor` does it with a language model."""

    def edit(self, question: EditQuestion) -> EditResult:
        """Return the versions that answer a question."""


@dataclass(frozen=True, slots=True)
class VariantOutcome:
    """The new state of a version after a trial, and why."""

    variant: Variant
    state: VariantState
    reason: str


class CodeSearch:
    """The versions of one study's code.

    Args:
        spec: the study.
        root: the user's project as it is now.
        known: every version in the history, the oldest first.
        rules: what edits may change.
        editor: makes edits; None without a model.
        runner: asks questions in the background; None to wait for each answer.
        unavailable_reason: returns why the model must not be asked now; "" when it may be asked.
        curve: describes the metric of a trial during training, by trial number.
    """

    def __init__(  # noqa: PLR0913  # each is another part of a study
        self,
        spec: StudySpec,
        root: Variant,
        known: Sequence[Variant],
        *,
        rules: GateRules,
        editor: EditSource | None = None,
        runner: BackgroundRunner | None = None,
        unavailable_reason: Callable[[], str] = str,
        curve: Callable[[int], str] = lambda number: "",  # noqa: ARG005
    ) -> None:
        self._spec = spec
        self._root = root
        self._variants = {variant.id: variant for variant in [*known, root]}
        self._rules = rules
        self._editor = editor
        self._runner = runner
        self._unavailable_reason = unavailable_reason
        self._curve = curve
        self._pending_edit: Future[EditResult] | None = None
        self._results: dict[str, EditResult] = {}
        self._combined_pairs: set[tuple[str, str]] = set()
        self._new_variants: list[Variant] = []
        self._calls: list[LoggedCall] = []
        self._notes: list[str] = []
        self._to_repair: list[Trial] = []
        self._failures_in_a_row, self._paused_until_trial = 0, 0
        self._disabled_reason = ""

    # -- for the main loop --------------------------------------------------------------------------------------

    def unedited_view(self, view: StudyView) -> StudyView:
        """Return the view with only the trials of the user's own code."""
        return replace(view, trials=[t for t in view.trials if not t.proposal.code])

    def next(self, view: StudyView) -> Proposal | None:
        """Return the next trial of an edited version; None when the user's own code is to be tuned."""
        self.prepare(view)
        objective = view.objectives[0]
        arms = build_arms(present_trials(view.trials, view.space), objective, view.constraints)
        untried = self._untried(view.trials)
        is_due = should_edit(
            view.trials,
            objective,
            view.constraints,
            min_tuning_trials=self._min_tuning_trials(),
            seed=view.seed,
            number=view.number,
        )
        if untried and (is_due or untried[0].author == PERSON) and any(arm.best for arm in arms):
            return self._first_trial(untried[0], arms, view)
        active = active_arms([arm for arm in arms if self._may_run(arm)], self._trials_left(view))
        if not active or not active[0].code:
            return None
        return self._tuning_trial(self._variants[active[0].code], view)

    def prepare(self, view: StudyView) -> None:
        """Ask for another edit when no version is untried. Returns at once with a background runner."""
        self._collect(view)
        if self._pending_edit is not None or self._untried(view.trials) or self._trials_left(view) < 2:  # noqa: PLR2004
            return
        arms = build_arms(present_trials(view.trials, view.space), view.objectives[0], view.constraints)
        editable = [arm for arm in arms if arm.best is not None and self._may_run(arm)]
        if not editable or self._combine_best_pair(editable):
            return
        is_paused = view.number < self._paused_until_trial and not self._to_repair
        if self._editor is None or self._disabled_reason or is_paused or self._unavailable_reason():
            return
        question = self._question(editable, view)
        if self._runner is None:
            self._accept(self._editor.edit(question), view)
        else:
            self._pending_edit = self._runner.submit(self._editor.edit, question)

    def finish(self, view: StudyView) -> None:
        """Wait up to ANSWER_WAIT_S for an open question, so that its cost is recorded."""
        if self._pending_edit is not None:
            wait_for([self._pending_edit], timeout=ANSWER_WAIT_S)
            self._collect(view)

    def update_study(self, spec: StudySpec, rules: GateRules) -> None:
        """Continue with a changed study."""
        self._spec, self._rules = spec, rules

    def edit_context(self) -> EditContext:
        """Return what an edit by a person is built from."""
        return EditContext(self._root, dict(self._variants), self._rules)

    def variants(self) -> dict[str, Variant]:
        """Return every version, by id."""
        return dict(self._variants)

    def add(self, variant: Variant, params: dict[str, Value] | None = None) -> None:
        """Add a version that a person asked for; `drain_variants` returns it with the others."""
        self._variants[variant.id] = variant
        self._results[variant.id] = EditResult(params=params or {})
        self._new_variants.append(variant)

    def drain_variants(self) -> list[Variant]:
        """Return versions that are new since the last call of this method, for the history."""
        variants, self._new_variants = self._new_variants, []
        return variants

    def drain_calls(self) -> list[LoggedCall]:
        """Return model calls that ended since the last call of this method, for the history and the budget."""
        calls, self._calls = self._calls, []
        return calls

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        notes, self._notes = self._notes, []
        return notes

    def space_of(self, code: str) -> SearchSpace:
        """Return the parameters of trials with an edited version."""
        return variant_space(self._variants[code], self._spec)

    def changed_files(self, code: str) -> tuple[dict[str, str], str]:
        """Return the files of an edited version that differ from the project (path to text), and its command."""
        variant = self._variants[code]
        changed = {path: text for path, text in variant.files.items() if self._root.files.get(path) != text}
        return changed, variant_command(variant, self._spec.run.command)

    def variant_outcome(self, trial: Trial, trials: Sequence[Trial], identical: Trial | None) -> VariantOutcome | None:
        """Update the state of the version that a trial ran; return the change, None without one.

        Args:
            trial: a trial that has just ended.
            trials: all trials of the study; a version with a complete trial never counts as broken.
            identical: a trial of another version with the same configuration, seed and numbers; None without one.
        """
        variant = self._variants.get(trial.proposal.code)
        if variant is None or variant.state is not VariantState.SOUND:
            return None
        if any(t.number == trial.number and not t.counts for t in trials):
            return None
        has_completed = any(t.proposal.code == variant.id and t.state is TrialState.COMPLETE for t in trials)
        if trial.failure is not None and trial.failure.kind is not FailureKind.LOST and not has_completed:
            if variant.author == "llm":
                self._to_repair.append(trial)
            reason = f"{trial.failure.kind.value}: {trial.failure.reason}"
            return self._change_state(variant, VariantState.BROKEN, reason)
        if identical is not None:
            other = short_id(identical.proposal.code) or "your code"
            numbers = f"trials {identical.number} and {trial.number}"
            reason = f"it computes exactly the same numbers as {other} ({numbers})"
            return self._change_state(variant, VariantState.DUPLICATE, reason)
        return None

    # -- trials -------------------------------------------------------------------------------------------------

    def _first_trial(self, variant: Variant, arms: Sequence[Arm], view: StudyView) -> Proposal:
        """Return a trial that repeats the parent's best one, with the same seed, so that only the edit differs."""
        best = self._trial_to_repeat(variant, arms)
        result = self._results.get(variant.id, EditResult())
        space = self.space_of(variant.id)
        merged = (
            {name: imputed_value(p) for name, p in space.parameters.items()} | dict(best.params) | dict(result.params)
        )
        merged = space.own_values(merged)
        params = {name: merged[name] for name in space.active(merged)}
        if not space.contains(params):
            params = {name: value for name, value in best.params.items() if name in space.parameters}
        is_combined = variant.direction == COMBINE
        return Proposal(
            params=params,
            source=Source.SAMPLER if is_combined else Source.USER if variant.author == PERSON else Source.LLM,
            seed=best.proposal.seed if params == dict(best.params) else tuning_seed(view.seed, view.number),
            rationale=f"{short_id(variant.id)} ({variant.direction}): {variant.rationale}",
            fidelity=best.proposal.fidelity,
            variant=variant.id,
            prediction=None if result.predicted is None else Prediction(mean=result.predicted, std=0.0),
            considered=(f"first trial of a new version of the code; repeats trial {best.number} for comparison",),
        )

    def _trial_to_repeat(self, variant: Variant, arms: Sequence[Arm]) -> Trial:
        """Return the best trial of the parent; without one, of the user's code; without one, of all versions."""
        complete = {arm.code: arm for arm in arms if arm.best is not None}
        best_arm = min(complete.values(), key=lambda a: a.value)
        arm = complete.get(variant.parent or "") or complete.get("") or best_arm
        assert arm.best is not None  # noqa: S101  # arms without one were filtered out
        return arm.best

    def _tuning_trial(self, variant: Variant, view: StudyView) -> Proposal | None:
        """Return a configuration for a version, from a model of the trials of all versions; None when none is left."""
        objective, space = view.objectives[0], self.space_of(variant.id)
        shifts = {
            code: shift
            for code, shift in variant_shifts(view.trials, objective).items()
            if code == variant.id or self._is_valid(code)
        }
        if variant.id in shifts:
            tuned = replace(view, space=space, trials=pool_trials(view.trials, variant.id, space, objective, shifts))
        else:
            # Its first trial could not repeat the parent's, so its shift is unknown: transfer from the user's code.
            own = [t for t in view.trials if t.proposal.code == variant.id]
            before = EarlierStudy(name="the code before", trials=[t for t in view.trials if not t.proposal.code])
            tuned = replace(view, space=space, trials=own, earlier=(before, *view.earlier))
        fidelity = self._spec.fidelity.max if self._spec.fidelity else None
        try:
            proposal = Arbiter(BayesSampler(SamplerSettings(n_initial=1)), fidelity=fidelity).choose(tuned)
        except SpaceExhausted:
            return None
        return replace(proposal, variant=variant.id, rationale=f"{short_id(variant.id)}: {proposal.rationale}")

    def _is_valid(self, code: str) -> bool:
        return not code or (code in self._variants and self._variants[code].state is VariantState.SOUND)

    # -- edits --------------------------------------------------------------------------------------------------

    def _untried(self, trials: Sequence[Trial]) -> list[Variant]:
        """Return the valid versions without a trial; those that a person asked for come first."""
        tried = {t.proposal.code for t in trials}
        valid = [v for v in self._variants.values() if v.is_edited and v.state is VariantState.SOUND]
        untried = [v for v in valid if v.id not in tried and self._descends_from_root(v)]
        return sorted(untried, key=lambda v: v.author != PERSON)

    def _descends_from_root(self, variant: Variant) -> bool:
        """Tell whether a version was made from the project as it is now; a person may have changed it since."""
        while variant.parent is not None:
            if variant.parent == self._root.id:
                return True
            if variant.parent not in self._variants:
                return False
            variant = self._variants[variant.parent]
        return False

    def _may_run(self, arm: Arm) -> bool:
        """Tell whether a version may get further trials."""
        return not arm.code or (self._is_valid(arm.code) and self._descends_from_root(self._variants[arm.code]))

    def _combine_best_pair(self, arms: Sequence[Arm]) -> bool:
        """Combine the best pair of improved versions that was not combined yet; return whether there was one."""
        for first, second in pairs_to_combine(arms, self._variants):
            if (first.id, second.id) in self._combined_pairs:
                continue
            self._combined_pairs.add((first.id, second.id))
            variant = cross_variants(first, second, self._variants, self._rules)
            if variant is not None and variant.state is VariantState.SOUND:
                self.add(replace(variant, created_at=max(first.created_at, second.created_at)))
                return True
        return False

    def _question(self, arms: Sequence[Arm], view: StudyView) -> EditQuestion:
        builder = EditQuestionBuilder(
            spec=self._spec, root=self._root, variants=self._variants, arms=arms, view=view, curve=self._curve
        )
        return builder.repair(self._to_repair.pop(0)) if self._to_repair else builder.new_edit()

    def _collect(self, view: StudyView) -> None:
        if self._pending_edit is not None and self._pending_edit.done():
            pending, self._pending_edit = self._pending_edit, None
            self._accept(_result_or_error(pending), view)

    def _accept(self, result: EditResult, view: StudyView) -> None:
        """Keep the versions of an answer; without a valid one, pause questions for 2, 4, 8 trials."""
        self._calls += result.calls
        self._new_variants += result.variants
        self._variants.update({v.id: v for v in result.variants if v.id not in self._variants})
        valid = [v for v in result.variants if v.state is VariantState.SOUND]
        if valid:
            self._failures_in_a_row = 0
            self._results[valid[-1].id] = result
            return
        self._failures_in_a_row += 1
        self._paused_until_trial = view.number + min(2**self._failures_in_a_row, MAX_PAUSE_TRIALS)
        if result.error:
            self._disabled_reason = result.error if result.permanent else ""
            self._notes.append(f"no edit of the code: {result.error}")

    def _change_state(self, variant: Variant, state: VariantState, reason: str) -> VariantOutcome:
        self._variants[variant.id] = replace(variant, state=state, reason=reason)
        return VariantOutcome(variant, state, reason)

    def _min_tuning_trials(self) -> float:
        """Return the number of tuning trials before edits: some per parameter, at most half of the budget."""
        wanted, trials = TUNING_TRIALS_PER_PARAMETER * len(self._spec.space), self._spec.budget.trials
        return wanted if trials is None else min(wanted, trials / 2)

    def _trials_left(self, view: StudyView) -> int:
        """Return the number of tuning trials left; without a limit, as many as there were, and at least 8."""
        own = sum(not t.is_replicate for t in view.trials)
        return self._spec.budget.trials - own if self._spec.budget.trials is not None else max(own, 8)


def _result_or_error(future: Future[EditResult]) -> EditResult:
    """Return the result of a question. Any exception becomes an error in it: an LLM never ends a study."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001  # see above
        return EditResult(error=f"asking for an edit failed: {type(error).__name__}: {error}")
