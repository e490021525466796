"""What runs next: what waits, what measures noise, what goes on, an edit, a proposal, a repetition, in this order.

What is decided on gets its number in the history at once, through the `TrialStore`; nothing is started here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.agent.loop.budget_ledger import BudgetLedger
from tunesmith.agent.loop.clocks import Clocks
from tunesmith.agent.loop.slot_pool import SlotPool
from tunesmith.agent.planner.arbiter import SAMPLER_FAILED, Arbiter
from tunesmith.agent.planner.steering import steered
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.confirmation import Confirmation
from tunesmith.agent.scheduler.early_stopping import Watch
from tunesmith.agent.scheduler.pbt import Population
from tunesmith.agent.scheduler.successive_halving import Rungs, resting_due
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import study_view

CONFIRMING_SHARE = 0.25
"""At most so much of the time is kept for confirming."""
TIMES = ("hours", "until")
"""The limits of time."""
SLOW = 0.9
"""A trial is planned to take as long as all but a tenth do."""
FADING = 0.95
"""How long choosing took counts for so much less with each choice: the first of a kind takes longest."""
START_S = 0.3
"""Starting and recording a trial takes about so long beside the trial itself."""
LEAST_LEFT = 0.5
"""A trial is begun when the budget still allows at least so much of a full run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposers:
    """Whoever has a say in what is tried.

    Attributes:
        sampler: proposes for a population.
        code: the versions of the code; None where it is not edited.
        variant: the hash of the project as it stands, which trials without edited code run.
    """

    arbiter: Arbiter
    sampler: Sampler
    code: CodeSearch | None
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStore:
    """The study's history, as far as what runs next depends on it.

    Attributes:
        trials: returns every trial, by number.
        record: gives a proposal its number.
        earlier: the studies that this one learns from.
    """

    trials: Callable[[], Sequence[Trial]]
    record: Callable[[Proposal], Trial]
    earlier: tuple[EarlierStudy, ...]


class TrialQueue:
    """What is left to run in one study.

    Args:
        spec: the study.
        past: the history.
        account: what may still be used.
        places: where trials run.
        proposers: whoever has a say.
        watch: the curves.
        steering: what people pinned and vetoed.
        clocks: what tells the time.
        note: is handed what a person should know.

    Attributes:
        queue: trials that have a number and wait, the next one first.
        steering: as above; it may be changed while the study runs.
        is_paused: a person asked that nothing starts.
        ended_by: the limit that ended the study, "exhausted" when there is nothing left to try, "" while it goes on.
    """

    def __init__(  # noqa: PLR0913  # each has a say
        self,
        spec: StudySpec,
        *,
        past: TrialStore,
        account: BudgetLedger,
        places: SlotPool,
        proposers: Proposers,
        watch: Watch,
        steering: Steering,
        clocks: Clocks,
        note: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._past, self._account, self._places = past, account, places
        self._proposers, self._watch = proposers, watch
        self._wall, self._steady, self._note = clocks.wall, clocks.steady, note
        self._chosen_in_s = 0.0
        self._confirmation = Confirmation(spec)
        self._rungs, self._population = Rungs.of(spec), Population.of(spec)
        self.queue: list[Trial] = []
        self.steering = steering
        self.is_paused = False
        self.ended_by = ""

    def take_over(self, spec: StudySpec) -> None:
        """Go on with a study that a person changed; what ended it may not hold any more."""
        self._spec, self._confirmation = spec, Confirmation(spec)
        if self.ended_by != "exhausted":
            self.ended_by = ""

    def next(self) -> Trial | None:
        """Return the trial to start now; None when none is due yet, or, with `ended_by` set, when none will be."""
        if self._is_out_of_budget() or self.is_paused:
            return None
        if self.queue:
            return self.queue.pop(0)
        late = self._too_late_to_tune()
        if late:
            return self._replicate(late)
        if self._account.trials_left() >= LEAST_LEFT:
            began = self._steady()
            trial = self._noise_run() or self._propose()
            self._chosen_in_s = max(self._steady() - began, FADING * self._chosen_in_s)
            return trial
        return self._replicate("trials")

    def end_if_over(self) -> None:
        """Note what ended the study, if anything did, where nothing can be started anyway."""
        is_waiting = self.queue or self._places.running() or self._spec.confirm is not None
        if not self._is_out_of_budget() and not is_waiting and self._account.trials_left() < LEAST_LEFT:
            self.ended_by = "trials"

    def versioned(self, proposal: Proposal) -> Proposal:
        """Return the proposal with the code that it runs: its own version, or the project as it stands."""
        return proposal if proposal.code else replace(proposal, variant=self._proposers.variant)

    def view(self) -> StudyView:
        """Return the study as it stands."""
        trials = self._past.trials()
        return replace(
            study_view(self._spec, trials, earlier=self._past.earlier),
            thrift=self._account.thrift,
            curve_forecasts=self._watch.foretold(trials),
            left=self._account.runs_left(self._typical_s(), self._places.wanted),
            raised=self._spec.pace != "full",
        )

    # -- tuning -------------------------------------------------------------------------------------------------

    def _propose(self) -> Trial | None:
        view, code = self.view(), self._proposers.code
        if self._population is not None and self._population.waits(view.trials):
            return None
        proposal = self._going_on(view)
        try:
            if proposal is None and code is not None and view.number > 0:
                proposal = code.next(view)
            if proposal is None:
                own = code.unedited_view(view) if code is not None else view
                chosen = steered(self._proposers.arbiter.choose(own), own, self.steering, BayesSampler())
                proposal = self._begun(chosen, own)
        except SpaceExhausted:
            return self._replicate("exhausted")
        if proposal.fallback_reason.startswith(SAMPLER_FAILED):
            self._note(f"a random point was used: {proposal.fallback_reason}")
        trial = self._record(proposal)
        self._account.add_begun(trial)
        return trial

    def _going_on(self, view: StudyView) -> Proposal | None:
        """Return the earlier configuration that goes on now, if there is one."""
        if self._rungs is not None:
            return self._rungs.due(view.trials)
        if self._population is not None:
            return self._population.due(view, self._proposers.sampler)
        foresight = self._watch.foresight(view.trials)
        return None if foresight is None else resting_due(view, foresight)

    def _begun(self, proposal: Proposal, view: StudyView) -> Proposal:
        """Let a new configuration begin on its rung; the default runs to the end, as what is to be beaten."""
        if self._population is not None:
            return self._population.begin(proposal)
        if self._rungs is None or proposal.source is Source.DEFAULT:
            return proposal
        return replace(proposal, fidelity=self._rungs.start(view.trials))

    # -- repeating ----------------------------------------------------------------------------------------------

    def _noise_run(self) -> Trial | None:
        due = self._confirmation.noise_due(self._past.trials())
        return self._record(due[0]) if due else None

    def _replicate(self, ended_by: str) -> Trial | None:
        """Confirm the best once all of tuning is done; without anything to confirm, the study ends.

        Where time runs out, a trial that takes longer than planned is not waited for: it may hang.
        """
        running = self._places.running()
        tuning = [place.trial for place in running if place.trial and not place.trial.is_replicate]
        longest_s = self._longest_s() if tuning and ended_by in TIMES else None
        if any(longest_s is None or self._wall() - (t.started_at or math.inf) <= longest_s for t in tuning):
            return None
        due = self._confirmation.due(self._past.trials())
        if due:
            return self._record(due[0])
        if not running:
            self.ended_by = ended_by
        return None

    def _record(self, proposal: Proposal) -> Trial:
        return self._past.record(self.versioned(proposal))

    # -- limits ---------------------------------------------------------------------------------------------------

    def _is_out_of_budget(self) -> bool:
        """Tell whether a limit other than that of trials has ended the study, and note which."""
        limit = self._account.reached()
        if limit in (None, "trials"):
            return False
        self.ended_by = str(limit)
        return True

    def _too_late_to_tune(self) -> str:
        """Return the limit of time before which another trial would not end, or confirmation not begin; "" for none.

        Unless no trial has ended yet: then nobody knows how long one takes.
        """
        longest_s = self._longest_s()
        if longest_s is None:
            return ""
        kept_s = self._chosen_in_s + self._confirmation.seconds_needed(longest_s, self._places.wanted)
        kept_s += longest_s if self._spec.test is not None else 0.0
        return self._account.too_late_for(longest_s, kept_s=kept_s, most=CONFIRMING_SHARE)

    def _longest_s(self) -> float | None:
        """Return how long a trial is planned to take at the end, in seconds; None while nobody knows or needs it.

        Planned by the median, every second one of those that run last would take longer.
        """
        walls = self._walls_s()
        return sorted(walls)[math.ceil(SLOW * len(walls)) - 1] + START_S + self._chosen_in_s if walls else None

    def _typical_s(self) -> float | None:
        """Return the median time of the complete trials, in seconds; None while nobody knows or needs it."""
        walls = self._walls_s()
        return median(walls) if walls else None

    def _walls_s(self) -> list[float]:
        """Return how long each complete trial took, in seconds; nothing where time has no limit."""
        if self._account.deadline() is None:
            return []
        trials = self._past.trials()
        return [t.outcome.usage.wall_s for t in trials if t.outcome and t.state is TrialState.COMPLETE]
