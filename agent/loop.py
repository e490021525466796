"""Runs one study: asks, runs, watches and records until the budget is spent. The only process that writes its history.

Everything it needs to go on stands in the history: it may be killed at any line and started again. Knows no terminal:
whoever watches gets `News`.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from tunesmith.agent.arbiter import SAMPLER_FAILED
from tunesmith.agent.background import Background
from tunesmith.agent.bayes import BayesSampler
from tunesmith.agent.confirming import Confirmation
from tunesmith.agent.continuing import Rungs, resting_due
from tunesmith.agent.desk import ORDERS, Decision, Situation, decide, kept_detail, kept_orders
from tunesmith.agent.news import Ended, Finished, News, Note, Observed, Opened, Started
from tunesmith.agent.planning import Tape, kept, llm_estimate, make_arbiter, make_planner, open_model
from tunesmith.agent.population import Population
from tunesmith.agent.samplers import make_sampler
from tunesmith.agent.steered import steered
from tunesmith.agent.watching import Watch
from tunesmith.evaluator.evaluation import Evaluation, Evaluator
from tunesmith.evaluator.slots import Slot, find_gpus, plan_slots
from tunesmith.evaluator.strays import end_strays
from tunesmith.history.read import History
from tunesmith.history.write import Batch, Recorder
from tunesmith.prompts.compact import thinned
from tunesmith.study.budget import Budget, Deadline, Spent
from tunesmith.study.errors import InputError, SpaceExhausted, ToolRefused
from tunesmith.study.observation import Observation
from tunesmith.study.orders import parse_order
from tunesmith.study.record import Event
from tunesmith.study.results import incumbent, is_feasible
from tunesmith.study.spec import StudySpec
from tunesmith.study.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.view import StudyView, ancestors
from tunesmith.tools.mailbox import Letter, Mailbox

FLUSH_S = 1.0
"""Observations are written at most this long after they were made."""
BAD_START = 3
"""After so many failures in a row from the first trial on, a person is told."""
CONFIRMING_SHARE = 0.25
"""At most so much of the time is kept for confirming."""
ESTIMATED = 50
"""For so many trials the LLM's cost is estimated when only time is limited."""
LEAST_LEFT = 0.5
"""A trial is begun when the budget still allows at least so much of a full run."""
TICK_S = 0.05
"""How long the loop sleeps when no trial ends; a trial's end wakes it at once."""


@dataclass(slots=True)
class _Place:
    """A slot with what runs in it and the observations that are not written yet."""

    slot: Slot
    evaluation: Evaluation | None = None
    unwritten: list[Observation] = field(default_factory=list)

    @property
    def trial(self) -> Trial | None:
        return self.evaluation.trial if self.evaluation else None


class Loop:
    """One run of a study. Make it, then call `run` once; `interrupt` may be called meanwhile from a signal handler.

    Args:
        spec: the study.
        project: the folder of study.toml; trials run from a copy of it.
        history: the history file.
        tell: is handed every piece of news, from the thread that calls `run`.
        tape: where the LLM's answers are kept or come from.

    Raises:
        InputError: the history is held by another process, a GPU or a package is missing.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        project: Path,
        history: Path,
        cpus: int,
        tell: Callable[[News], None],
        tape: Tape | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kept = kept_orders(spec, _orders_in(history, spec.study.name))
        spec = self._kept.spec
        self._spec = spec
        self._steering = self._kept.steering
        self._answered = set(self._kept.names)
        self._paused = False
        self._project = project
        self._replays = tape is not None and tape.replay is not None
        self._tell = tell
        self._clock = clock
        sampler = make_sampler(spec.planner.sampler)
        self._model = open_model(spec.planner, tape) if spec.planner.model else None
        self._gpus = find_gpus() if spec.run.gpus else []
        self._cpus = cpus
        self._places = [_Place(slot) for slot in plan_slots(spec.run, self._gpus, cpus)]
        self._wanted = len(self._places)
        self._budget: Budget = spec.budget.starting_at(clock())
        self._opened_at = clock()
        self._folder = history.parent / spec.study.name
        self._recorder = Recorder(history, spec, project=str(project), now=clock())
        self._wake = threading.Event()
        self._confirmation = Confirmation(spec)
        self._arbiter, self._advisor = make_arbiter(
            spec,
            sampler,
            model=self._model,
            project=project,
            runs=Background(self._wake.set),
            budget=self._budget,
            spent=self._recorder.record.spent,
            lessons=self._recorder.lessons_known(),
            left=self._left,
            curves=self._curves_so_far,
            wishes=self._steering.words,
        )
        self._mailbox = Mailbox(self._folder)
        self._evaluator = Evaluator(spec, project=project, folder=self._folder, wake=self._wake.set)
        self._interrupts = 0
        self._interrupts_told = 0
        self._ended_by = ""
        self._queue: list[Trial] = []
        self._curves: dict[int, list[float]] = defaultdict(list)
        self._rungs = Rungs.of(spec)
        self._population = Population.of(spec)
        self._sampler = sampler
        self._watch = Watch(spec, self._recorder.history.curves(self._recorder.study_id))
        self._flushed_at = clock()

    def interrupt(self) -> None:
        """Ask to end: once lets running trials finish, twice ends them now. Safe in a signal handler."""
        self._interrupts += 1

    def run(self) -> Ended:
        """Run until a limit is reached, the space is exhausted, or `interrupt` was called; return how it ended."""
        try:
            with self._mailbox.attended():
                self._open()
                while not self._is_over():
                    self._collect()
                    self._serve()
                    self._obey()
                    self._fill()
                    self._heed()
                    self._flush()
                    self._wake.wait(TICK_S)
                    self._wake.clear()
                return self._end()
        finally:
            self._leave()

    # -- opening ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        record = self._recorder.record
        self._before = record.spent
        self._gpu_s = record.spent.gpu_hours * 3600
        self._trials_begun = record.spent.trials
        self._saved = record.spent.saved
        strays = end_strays(self._folder)
        requeued = self._recover()
        if self._advisor is not None:
            self._recall_curves()
        best, default = self._recorder.history.best(record), self._recorder.history.default(record.id)
        self._best = best
        self._tell(
            Opened(
                record=record,
                slots=len(self._places),
                gpus=tuple(self._gpus),
                finished=record.spent.trials,
                requeued=requeued,
                best=best,
                default=default,
                budget=self._budget,
                estimate=self._llm_estimate(),
            )
        )
        if strays:
            self._tell(Note(text=f"ended {strays} process{'es' if strays > 1 else ''} left over from an earlier run"))
        for text in [*unused_parts(self._spec), *self._kept.words]:
            self._tell(Note(text=text))
        self._note_variant()

    def _llm_estimate(self) -> str:
        """Return what the LLM will take for the trials that are left, or for some when only time is limited."""
        if self._advisor is None or self._replays:
            return ""
        left = ESTIMATED if self._budget.trials is None else self._budget.trials - self._trials_begun
        return llm_estimate(self._spec, self._project, left) if left > 0 else ""

    def _recover(self) -> int:
        """Queue what an earlier run left unfinished: lost trials run again once, those never started simply run."""
        lost = 0
        for trial in self._recorder.history.unfinished(self._recorder.study_id):
            self._trials_begun += not trial.is_replicate
            if trial.state is TrialState.WAITING:
                self._queue.append(trial)
            elif trial.attempt == 1:
                reason = "its process was lost when tunesmith ended"
                self._queue.append(self._recorder.record_requeue(trial, self._clock(), reason=reason, attempt=2))
                self._watch.forget(trial)
                lost += 1
            else:
                failure = Failure(kind=FailureKind.LOST, reason="lost twice: tunesmith ended while it ran, both times")
                outcome = Outcome(state=TrialState.FAILED, failure=failure)
                self._recorder.record_outcome(trial, outcome, self._clock())
        return lost

    def _note_variant(self) -> None:
        if self._recorder.record_variant(self._evaluator.variant, self._clock()) and self._before.trials:
            self._tell(
                Note(text="the project's files changed since the last run; earlier trials ran with the old ones")
            )

    # -- one turn -----------------------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Keep what the LLM was asked and said, and pass on what a person should know of it."""
        if self._advisor is None:
            return
        calls, lessons = self._advisor.calls(), self._advisor.lessons()
        if calls:
            self._recorder.record_llm_calls([kept(told) for told in calls])
        if lessons:
            self._recorder.record_lessons(lessons, self._clock())
        for text in self._advisor.notes():
            self._recorder.record_event("llm", self._clock(), detail={"note": text})
            self._tell(Note(text=text))

    def _recall_curves(self) -> None:
        """Take in the curves that earlier runs of the study saw, for the LLM."""
        first = self._spec.objectives[0].metric
        for number, observations in self._recorder.history.curves(self._recorder.study_id).items():
            self._curves[number] = [o.value for o in observations if o.metric == first]

    def _curves_so_far(self, view: StudyView) -> dict[int, list[float]]:  # noqa: ARG002  # all that are known
        """Return every curve as a few numbers. Called beside the training, so it touches no database."""
        return {number: thinned(list(values)) for number, values in list(self._curves.items())}

    def _left(self) -> str:
        """Return what is left of the budget, in words for the LLM."""
        spent, now = self._spent(), self._clock()
        shares = [*self._budget.shares(spent), *self._budget.llm_shares(spent)]
        parts = [
            f"{share.name} {short_number(share.limit - share.used)} of {short_number(share.limit)}" for share in shares
        ]
        if self._budget.until is not None:
            parts.append(f"{short_seconds(max(self._budget.until - now, 0.0))} until the end")
        return ", ".join(parts)

    def _collect(self) -> None:
        """Take in what running trials report, and record those that ended."""
        for place in self._places:
            if place.evaluation is None:
                continue
            seen = len(place.unwritten)
            outcome = place.evaluation.poll()
            news = place.unwritten[seen:]
            if news:
                self._tell_progress(place, news)
            if outcome is not None:
                self._finish(place, outcome)
            elif news and (verdict := self._watch.verdict(place.evaluation.trial, news, self._view)):
                place.evaluation.stop(verdict.note, verdict.failure)

    def _tell_progress(self, place: _Place, news: Sequence[Observation]) -> None:
        assert place.trial is not None  # noqa: S101  # only a place with an evaluation reports
        first = self._spec.objectives[0].metric
        self._curves[place.trial.number] += [o.value for o in news if o.metric == first]
        self._watch.saw(place.trial, news)
        latest = {observation.metric: observation.value for observation in news}
        self._tell(Observed(trial=place.trial, latest=latest, step=news[-1].step))

    def _finish(self, place: _Place, outcome: Outcome) -> None:
        assert place.trial is not None  # noqa: S101  # only a place with an evaluation finishes
        trial = self._recorder.record_outcome(place.trial, outcome, self._clock(), rest=place.unwritten)
        place.evaluation, place.unwritten = None, []
        self._watch.ended()
        self._gpu_s += outcome.usage.gpu_s
        if self._spec.pace == "curves":
            self._saved = self._recorder.history.saved_runs(self._recorder.study_id)
        improved = self._improves(trial)
        if improved:
            self._best = trial
        self._tell(Finished(trial=trial, best=self._best, improved=improved, spent=self._spent()))
        self._warn_of_a_bad_start(trial)

    def _warn_of_a_bad_start(self, trial: Trial) -> None:
        """Say it once when nothing has worked yet: most often the command is wrong, and a night would be lost on it."""
        if trial.number != BAD_START - 1 or self._best is not None or trial.failure is None:
            return
        trials = self._recorder.history.trials(self._recorder.study_id)
        if all(t.failure and t.failure.kind is trial.failure.kind for t in trials if t.state.is_finished):
            kind, reason = trial.failure.kind.value, trial.failure.reason
            text = f"all {BAD_START} trials so far failed as {kind}: {reason}; if the command is wrong, end with Ctrl-C"
            self._tell(Note(text=text))

    def _improves(self, trial: Trial) -> bool:
        if trial.is_replicate or trial.state is not TrialState.COMPLETE or not is_feasible(trial, self._spec.bounds):
            return False
        rivals = [trial] if self._best is None else [self._best, trial]
        return incumbent(rivals, self._spec.objectives) is trial

    def _obey(self) -> None:
        """End running trials when a person asked twice or when no time is left."""
        self._tell_interrupts()
        if self._interrupts >= 2:
            for place in self._running():
                self._put_back(place)
        elif self._ended_by in ("", "hours", "until", "gpu_hours") and self._is_late():
            for place in self._running():
                assert place.evaluation is not None  # noqa: S101  # it runs
                place.evaluation.stop("the study's time is up")

    def _tell_interrupts(self) -> None:
        """Say what an interrupt does. Not done in `interrupt` itself, where a signal may have cut any line in two."""
        asked, running = self._interrupts, len(self._running())
        if asked > self._interrupts_told and running:
            trials = f"{running} running trial{'s' if running > 1 else ''}"
            text = f"stopping: {trials} will finish (Ctrl-C again to end them now); resume with the same command"
            if asked > 1:
                text = f"ending {trials} now; what ran is queued again when you resume"
            self._tell(Note(text=text))
        self._interrupts_told = asked

    def _put_back(self, place: _Place) -> None:
        """End a trial at once and let it wait: it was ended by a person, so the attempt does not count against it."""
        evaluation = place.evaluation
        assert evaluation is not None  # noqa: S101  # it runs
        evaluation.kill("interrupted")
        while evaluation.poll() is None:
            self._wake.wait(TICK_S)
            self._wake.clear()
        reason = "interrupted by a person"
        self._recorder.record_requeue(evaluation.trial, self._clock(), reason=reason, attempt=evaluation.trial.attempt)
        self._watch.forget(evaluation.trial)
        place.evaluation, place.unwritten = None, []

    def _fill(self) -> None:
        """Start a trial in every free slot while there is budget."""
        for place in self._places[: self._wanted]:
            if place.evaluation is None and not self._interrupts and not self._ended_by:
                trial = self._next_trial()
                if trial is not None:
                    self._start(place, trial)

    def _next_trial(self) -> Trial | None:
        limit = self._budget.ended_by(self._spent(), self._clock())
        if limit not in (None, "trials"):
            self._ended_by = str(limit)
            return None
        if self._paused:
            return None
        if self._queue:
            return self._queue.pop(0)
        late = self._too_late_to_tune()
        if late:
            return self._next_replicate(late)
        if limit is None and self._trials_left() >= LEAST_LEFT:
            return self._next_noise_run() or self._propose()
        return self._next_replicate("trials")

    def _next_noise_run(self) -> Trial | None:
        trials = self._recorder.history.trials(self._recorder.study_id)
        due = self._confirmation.noise_due(trials)
        return self._record(due[0]) if due else None

    def _propose(self) -> Trial | None:
        view = self._view()
        if self._population is not None and self._population.waits(view.trials):
            return None
        proposal = self._due(view)
        try:
            if proposal is None:
                chosen = steered(self._arbiter.choose(view), view, self._steering, BayesSampler())
                proposal = self._begun(chosen, view)
        except SpaceExhausted:
            return self._next_replicate("exhausted")
        self._trials_begun += 1
        if proposal.fallback_reason.startswith(SAMPLER_FAILED):
            self._tell(Note(text=f"a random point was used: {proposal.fallback_reason}"))
        return self._record(proposal)

    def _due(self, view: StudyView) -> Proposal | None:
        """Return the earlier configuration that goes on now, if there is one."""
        if self._rungs is not None:
            return self._rungs.due(view.trials)
        if self._population is not None:
            return self._population.due(view, self._sampler)
        foresight = self._watch.foresight(view.trials)
        return None if foresight is None else resting_due(view, foresight)

    def _begun(self, proposal: Proposal, view: StudyView) -> Proposal:
        """Let a new configuration begin on its rung; the default runs to the end, as what is to be beaten."""
        if self._population is not None:
            return self._population.begin(proposal)
        if self._rungs is None or proposal.source is Source.DEFAULT:
            return proposal
        return replace(proposal, fidelity=self._rungs.start(view.trials))

    def _next_replicate(self, ended_by: str) -> Trial | None:
        """Confirm the best once all of tuning is done; without anything to confirm, the study ends."""
        if any(place.trial and not place.trial.is_replicate for place in self._places):
            return None
        trials = self._recorder.history.trials(self._recorder.study_id)
        due = self._confirmation.due(trials)
        if due:
            return self._record(due[0])
        if not self._running():
            self._ended_by = ended_by
        return None

    def _record(self, proposal: Proposal) -> Trial:
        return self._recorder.record_proposal(replace(proposal, variant=self._evaluator.variant), self._clock())

    def _start(self, place: _Place, trial: Trial) -> None:
        running = self._recorder.record_start(trial, place.slot.index, self._clock())
        place.unwritten = []
        earlier = self._shorter_runs(running)
        place.evaluation = self._evaluator.start(running, place.slot, place.unwritten.append, earlier=earlier)
        self._tell(Started(trial=running))
        if self._advisor is not None:
            # While this trial runs, the next proposals are prepared.
            self._advisor.prepare(self._view())

    def _shorter_runs(self, trial: Trial) -> list[Trial]:
        """Return the runs that this one goes on from; their curves go before its own."""
        if self._spec.fidelity is None or trial.is_replicate:
            return []
        trials = self._recorder.history.trials(self._recorder.study_id)
        earlier = ancestors(trial, trials)
        self._watch.began(trial, earlier)
        return earlier

    def _flush(self) -> None:
        """Write what is unwritten, at most once a second."""
        if self._clock() - self._flushed_at < FLUSH_S:
            return
        batches = [
            Batch(trial=place.trial, observations=tuple(place.unwritten))
            for place in self._places
            if place.trial and place.unwritten
        ]
        if batches:
            self._recorder.record_observations(batches)
        for place in self._places:
            place.unwritten.clear()
        self._flushed_at = self._clock()

    # -- what people ask for ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Do what was asked through the mailbox since the last turn, and answer each."""
        for letter in self._mailbox.letters():
            if letter.name in self._answered:
                # It was recorded just before an earlier run was killed, or its file cannot be removed.
                self._mailbox.answer(letter, "this was done before", done=True)
                continue
            self._answered.add(letter.name)
            decision, slots = None, None
            try:
                decision = decide(parse_order(letter.text), self._situation())
                slots = plan_slots(decision.spec.run, self._gpus, self._cpus) if decision.spec else None
                answer = decision.answer
            except (ToolRefused, InputError) as error:
                decision, answer = None, str(error)
            self._settle(letter, decision, answer)
            if decision is not None and decision.spec is not None and slots is not None:
                self._take_over(decision.spec, slots)
            self._mailbox.answer(letter, answer, done=decision is not None)
            self._tell(Note(text=f"{letter.by}: {answer}" if decision else f"{letter.by} was refused: {answer}"))

    def _situation(self) -> Situation:
        return Situation(
            spec=self._spec,
            trials=self._recorder.history.trials(self._recorder.study_id),
            running=frozenset(place.trial.number for place in self._places if place.trial),
            steering=self._steering,
            paused=self._paused,
        )

    def _settle(self, letter: Letter, decision: Decision | None, answer: str) -> None:
        """Record an order with its answer and, in the same transaction, the trials that it queues; then act on it."""
        detail = kept_detail(letter.name, letter.by, json.loads(letter.text), answer, decision)
        if decision is None:
            self._recorder.record_event(ORDERS, self._clock(), detail=detail)
            return
        proposals = [replace(p, variant=self._evaluator.variant) for p in decision.proposals]
        trials = self._recorder.record_order(detail, proposals, self._clock(), spec=decision.spec)
        self._queue += trials
        self._trials_begun += sum(not trial.is_replicate for trial in trials)
        self._interrupts += decision.interrupts
        self._paused = self._paused if decision.paused is None else decision.paused
        if decision.steering is not None:
            self._steering = decision.steering
            self._tell_planner()
        for place in self._running():
            if place.evaluation is not None and place.evaluation.trial.number == decision.stop:
                place.evaluation.stop(f"ended by a person ({letter.by})")
        for trial in [trial for trial in self._queue if trial.number == decision.withdraw]:
            self._queue.remove(trial)
            outcome = Outcome(state=TrialState.STOPPED, note=f"taken back by a person ({letter.by}) before it ran")
            self._recorder.record_outcome(trial, outcome, self._clock())

    def _take_over(self, spec: StudySpec, slots: Sequence[Slot]) -> None:
        """Go on with a study whose budget, space, constraints or parallelism was changed; running trials stay."""
        self._spec = self._evaluator.spec = spec
        self._budget = spec.budget.starting_at(self._clock())
        self._confirmation = Confirmation(spec)
        self._wanted = len(slots)
        for place, slot in zip(self._places, slots, strict=False):
            place.slot = slot
        self._places += [_Place(slot) for slot in slots[len(self._places) :]]
        if self._ended_by not in ("", "exhausted"):
            self._ended_by = ""
        self._best = incumbent(self._recorder.history.trials(self._recorder.study_id), spec.objectives, spec.bounds)
        self._tell_planner()

    def _tell_planner(self) -> None:
        if self._advisor is None or self._model is None:
            return
        lessons = self._recorder.lessons_known()
        wishes = self._steering.words
        planner = make_planner(self._spec, self._model, project=self._project, lessons=lessons, wishes=wishes)
        self._advisor.take_over(planner, self._budget)

    # -- what it knows ------------------------------------------------------------------------------------------

    def _view(self) -> StudyView:
        trials = self._recorder.history.trials(self._recorder.study_id)
        return StudyView(
            space=self._spec.space,
            objectives=self._spec.objectives,
            constraints=self._spec.bounds,
            trials=trials,
            number=len(trials),
            seed=self._spec.study.seed,
            fidelity=self._spec.graded,
            earlier=self._recorder.earlier,
            thrift=self._budget.thrift(self._spent()),
            foretold=self._watch.foretold(trials),
            left=self._runs_left(),
            raised=self._spec.pace != "full",
        )

    def _spent(self) -> Spent:
        running = sum(not place.trial.is_replicate for place in self._places if place.trial)
        waiting = sum(not trial.is_replicate for trial in self._queue)
        llm = self._advisor.spent if self._advisor else self._before
        return replace(
            self._before,
            llm_usd=llm.llm_usd,
            llm_tokens=llm.llm_tokens,
            llm_calls=llm.llm_calls,
            trials=self._trials_begun - running - waiting,
            saved=self._saved,
            hours=self._before.hours + max(self._clock() - self._opened_at, 0.0) / 3600,
            gpu_hours=self._gpu_s / 3600,
        )

    def _trials_left(self) -> float:
        """Return how many more trials the budget allows, in full runs; running ones count as such until they end."""
        if self._budget.trials is None:
            return math.inf
        return self._budget.trials - (self._trials_begun - self._saved)

    def _runs_left(self) -> float:
        """Return how many more full runs the budget allows in all."""
        deadline, typical_s = self._deadline(), self._typical_s()
        in_time = deadline.seconds_left / typical_s * self._wanted if deadline and typical_s else math.inf
        return min(self._trials_left(), in_time)

    def _deadline(self) -> Deadline | None:
        return self._budget.deadline(self._spent(), self._clock())

    def _is_late(self) -> bool:
        deadline = self._deadline()
        return deadline is not None and deadline.seconds_left == 0.0

    def _too_late_to_tune(self) -> str:
        """Return the limit of time before which another trial would not end, or confirmation not begin; "" for none.

        Unless no trial has ended yet: then nobody knows how long one takes.
        """
        deadline, typical_s = self._deadline(), self._typical_s()
        if deadline is None or typical_s is None:
            return ""
        kept_s = self._confirmation.seconds_needed(typical_s, len(self._places))
        share_s = CONFIRMING_SHARE * (self._clock() - self._opened_at + deadline.seconds_left)
        return deadline.name if deadline.seconds_left < typical_s + min(kept_s, share_s) else ""

    def _typical_s(self) -> float | None:
        """Return the median time of the complete trials, in seconds."""
        trials = self._recorder.history.trials(self._recorder.study_id)
        walls = [t.outcome.usage.wall_s for t in trials if t.outcome and t.state is TrialState.COMPLETE]
        return median(walls) if walls else None

    def _running(self) -> list[_Place]:
        return [place for place in self._places if place.evaluation is not None]

    # -- ending -------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return bool(self._interrupts or self._ended_by) and not self._running()

    def _end(self) -> Ended:
        if self._advisor is not None:
            self._advisor.finish(self._view())
        self._heed()
        by = self._ended_by or "interrupted"
        self._recorder.record_end(by, self._clock())
        ended = Ended(record=self._recorder.record, by=by, best=self._best)
        self._tell(ended)
        return ended

    def _leave(self) -> None:
        """Leave no process and no lock behind, whatever happened."""
        for place in self._running():
            assert place.evaluation is not None  # noqa: S101  # it runs
            place.evaluation.kill("tunesmith ended")
        self._evaluator.close()
        self._recorder.close()


def _orders_in(history: Path, name: str) -> list[Event]:
    """Return what was asked of the study before."""
    if not history.is_file() or not history.stat().st_size:
        return []
    with History.open(history) as opened:
        record = opened.find(name)
        return opened.events(record.id, ORDERS) if record else []


def unused_parts(spec: StudySpec) -> list[str]:
    """Return a line for each part of the study file that this version reads but does not act on."""
    parts = []
    if spec.edits:
        parts.append("[edits] is not used yet, but for protect: only the parameters in [space] are tuned")
    return parts
