"""Decides which trial runs next: one that waits, a race's next run, a noise measurement, one that resumes, an edit, or
a proposal.

Replicates of the best trials come last, once tuning is over. A chosen trial gets its number in the history at once,
through the `TrialStore`. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.slots.slot_pool import SlotPool
from tunesmith.agent.loop.slots.turns.edit_wait import EditWait
from tunesmith.agent.loop.slots.turns.stages import MIN_RUNS_LEFT, Stages
from tunesmith.agent.loop.slots.turns.time_plan import TimePlan
from tunesmith.agent.planner.arbiter import SAMPLER_FAILED, Arbiter
from tunesmith.agent.planner.estimates.no_gain import NO_GAIN, NoGainRule
from tunesmith.agent.planner.steering import apply_steering
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.confirmation import Confirmation
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.agent.scheduler.racing import Race
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.replicates.configurations import is_instance_run
from tunesmith.study.trials.trial import Proposal, Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import short_id
from tunesmith.tools.analysis.arms import excluded_arms
from tunesmith.tools.analysis.broken_environment import FAILURES
from tunesmith.tools.control.study_reader import study_view

if TYPE_CHECKING:
    from tunesmith.agent.code_search.search import CodeSearch

MAX_CONFIRMATION_SHARE = 0.25
"""Largest share of the run's time that is reserved for confirmation."""
TIME_LIMITS = ("hours", "until")
"""Limits of wall-clock time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposers:
    """The parts that propose trials.

    Attributes:
        arbiter: chooses between the LLM and the sampler.
        sampler: proposes the members of a population.
        code: the search over edits; None without [edits].
        variant: hash of the project's files, for trials without edited code.
    """

    arbiter: Arbiter
    sampler: Sampler
    code: CodeSearch | None
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStore:
    """The part of the history that the queue uses.

    Attributes:
        trials: returns every trial, by number.
        record: records a proposal and returns it as a waiting trial with a number.
        earlier: the studies that this one learns from.
    """

    trials: Callable[[], Sequence[Trial]]
    record: Callable[[Proposal], Trial]
    earlier: tuple[EarlierStudy, ...]


@dataclass(frozen=True, slots=True)
class _StudyState:
    """Numbers of trials: all, finished ones and those that count; the steering; and which object the spec is."""

    trials: int
    finished: int
    counted: int
    steering: Steering
    spec: int


class TrialQueue:
    """What is left to run in one study.

    Args:
        spec: the study.
        store: the trials in the history.
        ledger: what is left of the budget.
        slots: where trials run.
        proposers: propose new trials.
        early_stopping: the curves of running trials and which of them stop early.
        note: called with each line that the user should read.

    Attributes:
        waiting: trials that have a number and wait to start, the next one first.
        steering: what people pinned and vetoed; commands may replace it while the study runs.
        is_paused: whether a person asked that no trial starts.
        ended_by: the limit that ended the study, "exhausted" when no configuration is left, FAILURES when trials fail
            for every configuration, "" until then.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        store: TrialStore,
        ledger: BudgetLedger,
        slots: SlotPool,
        proposers: Proposers,
        early_stopping: EarlyStopping,
        note: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._store, self._ledger, self._slots = store, ledger, slots
        self._proposers, self._early_stopping, self._note = proposers, early_stopping, note
        self._times = TimePlan(ledger, store.trials)
        self._confirmation, self._race = Confirmation(spec), Race(spec)
        self._stages = Stages(spec, proposers.sampler, early_stopping)
        self._edit_wait = EditWait(ledger.clocks.steady)
        self._no_gain, self._no_gain_left = NoGainRule(spec.stop.no_gain), False
        self._gain_known_in: _StudyState | None = None
        self._noted: set[str] = set()
        self.waiting: list[Trial] = []
        self.steering = Steering({})
        self.is_paused = False
        self.ended_by = ""
        self._has_begun = False
        self._exhausted_in: _StudyState | None = None
        self._waits_in: _StudyState | None = None
        self._no_race_in: _StudyState | None = None

    def change_spec(self, spec: StudySpec) -> None:
        """Continue with a study that a command changed; the limit that ended it may have been raised."""
        self._spec, self._confirmation, self._race = spec, Confirmation(spec), Race(spec)
        self._stages = Stages(spec, self._proposers.sampler, self._early_stopping)
        self._no_race_in = None
        self._no_gain, self._no_gain_left, self._gain_known_in = NoGainRule(spec.stop.no_gain), False, None
        if self.ended_by not in ("exhausted", FAILURES):
            self.ended_by = ""

    def next(self) -> Trial | None:
        """Return the trial to start now; None if none is due yet, or, with `ended_by` set, if the study is over."""
        if self._is_out_of_budget() or self.is_paused:
            return None
        if trial := self._default_first() or (self.waiting.pop(0) if self.waiting else None):
            return trial
        late = self._too_late_to_tune()
        if late:
            return self._replicate(late)
        if self._has_no_gain():
            return self._replicate(NO_GAIN)
        if (run := self._race_run()) is not None:
            return run
        if self._is_run_left():
            return self._timed_proposal()
        return self._replicate(self._counted_limit())

    def _is_run_left(self) -> bool:
        """Return whether the budget allows another run: a new one, or the next stage of one that started."""
        left = self._ledger.trials_left()
        return self._stages.allow(left) or self._stages.has_next(self._store.trials())

    def is_tuning_over(self) -> bool:
        """Return whether the budget allows no further trial but replicates."""
        return not self._is_run_left() or bool(self._too_late_to_tune()) or self._has_no_gain()

    def _has_no_gain(self) -> bool:
        """Return whether [stop].no_gain ends tuning; asked anew only when a trial ended."""
        if self._spec.stop.no_gain is None or self._state() == self._gain_known_in:
            return self._no_gain_left
        self._gain_known_in = self._state()
        self._no_gain_left = self._no_gain.is_over(self._unedited(self.view()))
        return self._no_gain_left

    def end_if_over(self) -> None:
        """Set `ended_by` if a limit is reached, while no trial can be started anyway."""
        is_waiting = self.waiting or self._slots.running() or self._spec.confirm is not None
        if not self._is_out_of_budget() and not is_waiting and not self._is_run_left():
            self.ended_by = self._counted_limit()

    def _counted_limit(self) -> str:
        """Return which of the two limits that count is reached: of runs on instances, or of trials."""
        return "runs" if self._ledger.instance_runs_left() < 1 else "trials"

    def complete(self, proposal: Proposal) -> Proposal:
        """Return the proposal with the code that it runs, its own version or the project's files, and its instance."""
        placed = self._race.placed(proposal, self._store.trials())
        return placed if placed.code else replace(placed, variant=self._proposers.variant)

    def view(self) -> StudyView:
        """Return what proposers see of the study now."""
        view = study_view(self._spec, self._store.trials(), earlier=self._store.earlier)
        return replace(
            view,
            cost_exponent=self._ledger.cost_exponent,
            curve_forecasts=self._early_stopping.pseudo_observations(view.trials),
            runs_left=self._ledger.runs_left(self._times.typical_s(), self._slots.size),
            fidelity_rises=self._spec.schedule_kind != "full",
            excluded_arms=excluded_arms(self._spec.space, self.steering),
        )

    def _default_first(self) -> Trial | None:
        """Return the default as the run's first trial if the study has no run of it that counts; None otherwise."""
        if self._has_begun:
            return None
        self._has_begun = True
        view = self.view()
        proposal = self._proposers.arbiter.choose_default(view)
        if proposal is None or self._ledger.trials_left() < MIN_RUNS_LEFT:
            return None
        trial = self._record(self._stages.first(proposal, view))
        self._ledger.add_numbered(trial)
        return trial

    # -- tuning -------------------------------------------------------------------------------------------------

    def _timed_proposal(self) -> Trial | None:
        """Choose a trial and update the estimate of how long choosing takes."""
        if self._proposers.arbiter.is_waiting:
            return None
        state = self._state()
        if state == self._exhausted_in:
            return self._replicate("exhausted")
        if state == self._waits_in or self._waits_for_edit():
            return None
        started = self._ledger.clocks.steady()
        trial = self._noise_run() or self._new_trial()
        self._times.add_proposal(self._ledger.clocks.steady() - started)
        return trial

    def _new_trial(self) -> Trial | None:
        view = self.view()
        if self._stages.must_wait(view.trials):
            self._waits_in = self._state()
            return None
        try:
            proposal = self._stages.resumed(view, self.steering) or self._edited(view)
            if proposal is None and self._stages.must_wait_for_trunk(view.trials):
                self._waits_in = self._state()
                return None
            if proposal is None:
                code, own = self._tuned(view)
                if self._proposers.arbiter.must_wait(own):
                    return None
                proposal = self._configuration(code, own) or self._proposed(view)
        except SpaceExhausted:
            if self._is_waiting_for_edit():
                return None
            self._exhausted_in = self._state()
            return self._replicate("exhausted")
        if proposal.fallback_reason.startswith(SAMPLER_FAILED):
            self._note(f"a random point was used: {proposal.fallback_reason}")
        trial = self._record(proposal)
        self._ledger.add_numbered(trial)
        return trial

    def _waits_for_edit(self) -> bool:
        """Ask for an edit if one is due, and return whether the slot stays free until it comes."""
        code = self._proposers.code
        if code is None:
            return False
        if not code.is_asking:
            code.prepare(self.view())
        return self._edit_wait.must_wait(code, self._store.trials(), self._ledger)

    def _is_waiting_for_edit(self) -> bool:
        code = self._proposers.code
        return code is not None and code.is_waiting_for_edit(self._store.trials())

    def _state(self) -> _StudyState:
        """Return what a choice depends on. While it stays, asking again gives the same answer and only costs CPU."""
        trials = self._store.trials()
        finished = sum(t.state.is_finished for t in trials)
        counted = sum(t.counts for t in trials)
        return _StudyState(len(trials), finished, counted, self.steering, id(self._spec))

    def _edited(self, view: StudyView) -> Proposal | None:
        """Return the first trial of an edited version, or one that the model asked for; None if a version is tuned."""
        code = self._proposers.code
        proposal = code.next(view) if code is not None and view.number > 0 else None
        if code is None or proposal is None:
            return None
        own = [t for t in view.trials if t.proposal.code == proposal.code]
        edited = replace(view, space=code.space_of(proposal.code), trials=own)
        try:
            return apply_steering(proposal, edited, self.steering, BayesSampler())
        except SpaceExhausted as nothing:
            self._note_once(f"no trial of {short_id(proposal.code) or 'your own code'}: {nothing}")
            return None

    def _tuned(self, view: StudyView) -> tuple[str, StudyView]:
        """Return the version of the code that is tuned, "" for the project's own, and the study as its own."""
        code = self._proposers.code
        return code.tuned(view) if code is not None else ("", view)

    def _configuration(self, code: str, view: StudyView) -> Proposal | None:
        """Return a new configuration of an edited version; None for the project's own code, and if none is left."""
        if not code:
            return None
        try:
            chosen = apply_steering(self._proposers.arbiter.choose(view), view, self.steering, BayesSampler())
        except SpaceExhausted:
            return None
        return replace(chosen, variant=code, rationale=f"{short_id(code)}: {chosen.rationale}")

    def _proposed(self, view: StudyView) -> Proposal:
        """Return a new configuration of the project's own code.

        Raises:
            SpaceExhausted: every configuration of a finite space was tried.
        """
        own = self._unedited(view)
        chosen = apply_steering(self._proposers.arbiter.choose(own), own, self.steering, BayesSampler())
        return self._stages.first(chosen, own)

    def _unedited(self, view: StudyView) -> StudyView:
        code = self._proposers.code
        return code.unedited_view(view) if code is not None else view

    # -- runs on instances ---------------------------------------------------------------------------------------

    def _race_run(self) -> Trial | None:
        """Return the next run of an earlier configuration on another instance; None if none is due."""
        if self._spec.instances is None or self._ledger.instance_runs_left() < 1:
            return None
        state = self._state()
        if state == self._no_race_in:
            return None
        self._race.steering = self.steering
        proposal = self._race.next_run(self._store.trials())
        if proposal is None:
            self._no_race_in = state
            return None
        trial = self._record(proposal)
        self._ledger.add_numbered(trial)
        return trial

    # -- replicates ----------------------------------------------------------------------------------------------

    def _noise_run(self) -> Trial | None:
        self._confirmation.steering = self.steering
        due = self._confirmation.noise_runs(self._store.trials())
        return self._record(due[0]) if due else None

    def _replicate(self, ended_by: str) -> Trial | None:
        """Return the next replicate of the best trials once tuning is over; if none is due, end the study."""
        running = self._slots.running()
        tuning = [t for slot in running if (t := slot.trial) and (not t.is_replicate or is_instance_run(t))]
        if any(self._is_worth_waiting_for(trial, ended_by) for trial in tuning):
            return None
        self._confirmation.steering = self.steering
        due = self._confirmation.next_replicates(self._store.trials())
        if self._confirmation.remark:
            self._note_once(self._confirmation.remark)
        if due:
            return self._record(due[0])
        if not running:
            self.ended_by = ended_by
        return None

    def _is_worth_waiting_for(self, trial: Trial, ended_by: str) -> bool:
        """Return whether confirmation waits for a running trial. One that exceeds its planned time may hang."""
        return ended_by not in TIME_LIMITS or not self._times.is_overdue(trial)

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)

    def _record(self, proposal: Proposal) -> Trial:
        return self._store.record(self.complete(proposal))

    # -- limits ---------------------------------------------------------------------------------------------------

    def _is_out_of_budget(self) -> bool:
        """Return whether a limit other than the number of trials is reached; set `ended_by` to it."""
        limit = self._ledger.reached()
        if limit in (None, "trials", "runs"):
            return False
        self.ended_by = str(limit)
        return True

    def _too_late_to_tune(self) -> str:
        """Return the limit of time that leaves too little for another trial and the confirmation; "" for none.

        Always "" until a trial has ended, since its duration is unknown before.
        """
        planned_s = self._times.planned_s()
        if planned_s is None:
            return ""
        reserved_s = self._times.proposal_s + self._confirmation.seconds_needed(planned_s, self._slots.size)
        reserved_s += planned_s if self._spec.test is not None else 0.0
        return self._ledger.too_late_for(planned_s, reserved_s=reserved_s, max_reserved=MAX_CONFIRMATION_SHARE)
