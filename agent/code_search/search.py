"""Code search of one study: which version of the code a trial runs, when another edit is asked for, and its outcome.

Decides and asks; records nothing. The main loop drains new versions, calls and notes and writes them to the history.
An edit that was being asked for when the program ended is asked for again after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from tunesmith.agent.code_search.arms import Arm, build_arms, noise_of
from tunesmith.agent.code_search.missing_modules import why_no_edit_can_run
from tunesmith.agent.code_search.questions.builder import EditQuestionBuilder
from tunesmith.agent.code_search.questions.editor import EditQuestion, EditResult
from tunesmith.agent.code_search.questions.evidence import RunRecords
from tunesmith.agent.code_search.strategies.base import SearchState, Strategy
from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.agent.code_search.version_pool import VariantOutcome, VersionPool
from tunesmith.agent.code_search.version_trials import TrialRequest, VersionTrials
from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidate_pool import ANSWER_WAIT_S
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import present_trials
from tunesmith.study.trials.trial import FailureKind, Proposal, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import PERSON, Variant, VariantState, short_id
from tunesmith.tools.variants.constants import CodeConstant, with_values
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import variant_command, variant_space
from tunesmith.tools.variants.user_edit import EditContext

MAX_PAUSE_TRIALS = 8
"""Longest pause between two questions after answers without a valid edit, in trials."""


class EditSource(Protocol):
    """Makes edits; `Editor` does it with a language model."""

    def edit(self, question: EditQuestion) -> EditResult:
        """Return the versions that answer a question."""


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
        records: what the study's runs left behind, for questions.
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
        records: RunRecords | None = None,
    ) -> None:
        self._spec = spec
        self._root = root
        self._versions = VersionPool(root, known, rules)
        self._editor = editor
        self._runner = runner
        self._unavailable_reason = unavailable_reason
        self._records = records or RunRecords()
        self._strategy: Strategy = make_strategy(spec.edits.strategy if spec.edits else "adaptive")
        self._pending_edit: Future[EditResult] | None = None
        self._requested: list[TrialRequest] = []
        self._calls: list[LoggedCall] = []
        self._notes: list[str] = []
        self._to_repair: list[Trial] = []
        self._failures_in_a_row, self._paused_until_trial = 0, 0
        self._disabled_reason = ""

    # -- for the main loop --------------------------------------------------------------------------------------

    def tuned(self, view: StudyView) -> tuple[str, StudyView]:
        """Return the version that the next configuration is for, "" for the user's own code, and the study as its own.

        For an edited version, the trials of the others are moved by what its first trial showed.
        """
        state = self._state(view)
        code = self._strategy.tuned(state) if any(arm.best for arm in state.arms) else ""
        if not code:
            return "", self.unedited_view(view)
        return code, self._trials(state, view).tuned_view(self._versions.by_id[code])

    def unedited_view(self, view: StudyView) -> StudyView:
        """Return the view with only the trials of the user's own code."""
        return replace(view, trials=[t for t in view.trials if not t.proposal.code])

    @property
    def is_asking(self) -> bool:
        """Whether a question for edits is open."""
        return self._pending_edit is not None and not self._pending_edit.done()

    def is_waiting_for_edit(self, trials: Sequence[Trial]) -> bool:
        """Return whether a question is open and no edit waits for its first trial, so that only an answer helps."""
        return self.is_asking and not self._requested and not self._versions.untried(trials)

    def next(self, view: StudyView) -> Proposal | None:
        """Return the first trial of a version, or one that the model asked for; None when a version is to be tuned."""
        self.prepare(view)
        state = self._state(view)
        if not any(arm.best for arm in state.arms):
            return None
        trials = self._trials(state, view)
        if not state.untried and not self._requested:
            self._versions.join(self._strategy.joins(state))
            state = self._state(view)
        if state.untried:
            return trials.first(self._with_base(state.untried[0], state))
        while self._requested:
            if (proposal := trials.requested(self._requested.pop(0))) is not None:
                return proposal
        return None

    def prepare(self, view: StudyView) -> None:
        """Ask for edits when the strategy wants some. Returns at once with a background runner."""
        self._collect(view)
        if self._editor is None or self._pending_edit is not None or self._disabled_reason:
            return
        state = self._state(view)
        if not any(arm.best for arm in state.arms) or state.trials_left - len(state.untried) < 1:
            return
        is_paused = view.number < self._paused_until_trial and not self._to_repair
        if is_paused or self._unavailable_reason():
            return
        question = self._question(state, view)
        if question is None:
            return
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
        self._spec, self._versions.rules = spec, rules

    def edit_context(self) -> EditContext:
        """Return what an edit by a person is built from."""
        return EditContext(self._root, self.variants(), self._versions.rules)

    def variants(self) -> dict[str, Variant]:
        """Return every version, by id."""
        return dict(self._versions.by_id)

    def add(self, variant: Variant, params: Mapping[str, Value] | None = None) -> None:
        """Add a version; `drain_variants` returns it with the others."""
        variant = replace(variant, params=dict(params)) if params else variant
        if self._spec.edits is not None and self._spec.edits.constants == "all":
            variant = self._versions.with_constants(variant)
        self._versions.add(variant)

    def fit(self, code: str, names: Sequence[str] = ()) -> list[CodeConstant]:
        """Make numbers that a version's edit brought in parameters of it; all that it has where no name is given.

        Raises:
            ToolRefused: one is not offered.
        """
        return self._versions.fit(self._versions.by_id[code], names)

    def drain_fitted(self) -> list[Variant]:
        """Return the versions that got further parameters since the last call of this method, for the history."""
        return self._versions.drain_fitted()

    def drain_variants(self) -> list[Variant]:
        """Return versions that are new since the last call of this method, for the history."""
        return self._versions.drain_new()

    def drain_outcomes(self) -> list[VariantOutcome]:
        """Return the states of versions that changed without a trial since the last call of this method."""
        return self._versions.drain_outcomes()

    def drain_calls(self) -> list[LoggedCall]:
        """Return model calls that ended since the last call of this method, for the history and the budget."""
        calls, self._calls = self._calls, []
        return calls

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        notes, self._notes = self._notes, []
        return notes

    def space_of(self, code: str) -> SearchSpace:
        """Return the parameters of trials with a version; "" is the user's own code."""
        return variant_space(self._versions.by_id[code], self._spec) if code else self._spec.space

    def changed_files(self, code: str, params: Mapping[str, Value]) -> tuple[dict[str, str], str]:
        """Return the files of an edited version that differ from the project (path to text), and its command.

        Numbers in the code that are parameters have a trial's values.
        """
        variant = with_values(self._versions.by_id[code], params)
        changed = {path: text for path, text in variant.files.items() if self._root.files.get(path) != text}
        return changed, variant_command(variant, self._spec.run.command)

    def variant_outcome(self, trial: Trial, trials: Sequence[Trial], identical: Trial | None) -> VariantOutcome | None:
        """Update the state of the version that a trial ran; return the change, None without one.

        Args:
            trial: a trial that has just ended.
            trials: all trials of the study; a version with a complete trial never counts as broken.
            identical: a trial of another version with the same configuration, seed and numbers; None without one.
        """
        variant = self._versions.by_id.get(trial.proposal.code)
        if variant is None or variant.state is not VariantState.SOUND:
            return None
        if any(t.number == trial.number and not t.counts for t in trials):
            return None
        has_completed = any(t.proposal.code == variant.id and t.state is TrialState.COMPLETE for t in trials)
        if trial.failure is not None and trial.failure.kind is not FailureKind.LOST and not has_completed:
            if note := why_no_edit_can_run(trial, self._root):
                self._disabled_reason, self._to_repair = note, []
                self._notes.append(note)
                return None
            if variant.author == "llm":
                self._to_repair.append(trial)
            reason = f"{trial.failure.kind.value}: {trial.failure.reason}"
            return self._versions.change_state(variant, VariantState.BROKEN, reason)
        if identical is not None:
            other = short_id(identical.proposal.code) or "your code"
            numbers = f"trials {identical.number} and {trial.number}"
            reason = f"it computes exactly the same numbers as {other} ({numbers})"
            return self._versions.change_state(variant, VariantState.DUPLICATE, reason)
        return None

    # -- versions -----------------------------------------------------------------------------------------------

    def _trials(self, state: SearchState, view: StudyView) -> VersionTrials:
        return VersionTrials(spec=self._spec, variants=state.variants, arms=state.arms, view=view)

    def _state(self, view: StudyView) -> SearchState:
        """Return what the strategy sees of the study."""
        present = present_trials(view.trials, view.space)
        arms, noise = build_arms(present, view.objectives[0], view.constraints), noise_of(view)
        return SearchState(
            trials=present,
            arms=[arm for arm in arms if self._versions.may_run(arm.code)],
            variants=self._versions.by_id,
            untried=self._versions.untried(view.trials),
            objective=view.objectives[0],
            constraints=view.constraints,
            noise=noise.difference,
            seed_noise=noise.measured,
            slots=max(self._spec.run.parallel or 1, sum(t.state is TrialState.RUNNING for t in view.trials)),
            trials_left=self._trials_left(view),
            seed=view.seed,
            number=view.number,
            examples=self._examples(arms) if self._shows_examples else {},
        )

    @property
    def _shows_examples(self) -> bool:
        """Whether scores of single examples matter, for questions about a text or for the strategy."""
        return bool(self._spec.texts) or (self._spec.edits is not None and self._spec.edits.strategy == "front")

    def _examples(self, arms: Sequence[Arm]) -> dict[str, Mapping[str, float]]:
        """Return the scores of the best trial of each version, by example."""
        found = {arm.code: self._records.scores(arm.best.number) for arm in arms if arm.best is not None}
        return {code: scores for code, scores in found.items() if scores}

    def _with_base(self, variant: Variant, state: SearchState) -> Variant:
        """Return an untried version, moved onto the version that overtook its parent meanwhile."""
        base = self._strategy.base(variant, state)
        if not base or variant.author == PERSON or base == variant.parent:
            return variant
        return self._versions.moved(variant, base)

    # -- edits --------------------------------------------------------------------------------------------------

    def _question(self, state: SearchState, view: StudyView) -> EditQuestion | None:
        builder = EditQuestionBuilder(spec=self._spec, root=self._root, state=state, view=view, records=self._records)
        if self._to_repair:
            return builder.repair(self._to_repair.pop(0))
        request = self._strategy.request(state)
        return builder.new_edit(request) if request is not None else None

    def _collect(self, view: StudyView) -> None:
        if self._pending_edit is not None and self._pending_edit.done():
            pending, self._pending_edit = self._pending_edit, None
            self._accept(_result_or_error(pending), view)

    def _accept(self, result: EditResult, view: StudyView) -> None:
        """Keep the versions and trials of an answer; without any that may run, pause questions for 2, 4, 8 trials."""
        self._calls += result.calls
        variants = [self._judged(v, view) for v in result.variants]
        for variant in variants:
            self.add(variant)
        self._fit_for_model(result.constants)
        self._requested += result.trials
        for first, second in result.joins:
            self._versions.join([(self._versions.by_id[first], self._versions.by_id[second])])
        if result.trials or result.constants or any(v.state is VariantState.SOUND for v in variants):
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        self._paused_until_trial = view.number + min(2**self._failures_in_a_row, MAX_PAUSE_TRIALS)
        if result.error:
            self._disabled_reason = result.error if result.permanent else ""
            self._notes.append(f"no edit of the code: {result.error}")

    def _fit_for_model(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Make the constants parameters that the model chose; what changed meanwhile is left as it is."""
        for code, names in wanted:
            with suppress(ToolRefused):
                chosen = self.fit(code, names)
                self._notes.append(f"{short_id(code)}: the LLM made {', '.join(c.name for c in chosen)} parameters")

    def _judged(self, variant: Variant, view: StudyView) -> Variant:
        """Return a new version as the strategy judges it."""
        if variant.state is not VariantState.SOUND:
            return variant
        objection = self._strategy.objection(variant, self._state(view))
        return replace(variant, state=VariantState.DUPLICATE, reason=objection) if objection else variant

    def _trials_left(self, view: StudyView) -> int:
        """Return the number of trials that may still be started; without a limit, as many as there were, at least 8."""
        own = sum(not t.is_replicate for t in view.trials)
        return self._spec.budget.trials - own if self._spec.budget.trials is not None else max(own, 8)


def _result_or_error(future: Future[EditResult]) -> EditResult:
    """Return the result of a question. Any exception becomes an error in it: an LLM never ends a study."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001  # see above
        return EditResult(error=f"asking for an edit failed: {type(error).__name__}: {error}")
