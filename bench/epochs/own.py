"""A study of our own, on a task with learning curves: the loop's rules with a table in the place of the training.

The code of `tunesmith run` decides which trials start, stop and continue, one trial at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.agent.scheduler.pausing import resume_paused
from tunesmith.agent.scheduler.successive_halving import SuccessiveHalving
from tunesmith.bench.epochs.meter import BudgetSpent, Meter, Training
from tunesmith.bench.epochs.task import CurveTask
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView, run_key


def run_own(kind: str, meter: Meter, seed: int) -> None:
    """Spend the meter's epochs as a study with this kind of [schedule]."""
    study = _Study(meter, _spec(meter.task, kind), seed)
    try:
        while True:
            study.run_trial()
    except BudgetSpent:
        return


def _spec(task: CurveTask, kind: str) -> StudySpec:
    document = {
        "study": {"name": "epochs", "metric": task.objective.metric, "direction": task.objective.direction.value},
        "run": {"command": "train"},
        "space": space_document(task.space),
        "fidelity": {"name": "epochs", "min": task.steps[0], "max": task.end},
        "schedule": {"kind": kind},
    }
    return parse_spec(document)


class _Study:
    def __init__(self, meter: Meter, spec: StudySpec, seed: int) -> None:
        self._meter, self._spec, self._seed = meter, spec, seed
        self._early_stopping = EarlyStopping(spec, {})
        self._halving, self._sampler = SuccessiveHalving.from_spec(spec), BayesSampler()
        self._trials: list[Trial] = []
        self._trainings: dict[tuple[object, ...], Training] = {}

    def run_trial(self) -> None:
        """Run the next trial until it ends or is stopped.

        Raises:
            BudgetSpent: the budget ran out before.
        """
        view = self._view()
        trial = Trial(number=len(self._trials), proposal=self._proposal(view), state=TrialState.RUNNING)
        key = run_key(trial)
        self._early_stopping.trial_started(trial, [t for t in self._trials if run_key(t) == key])
        if key not in self._trainings:
            self._trainings[key] = self._meter.start(trial.params)
        outcome = self._trained(trial, self._trainings[key])
        self._trials.append(replace(trial, state=outcome.state, outcome=outcome))
        self._early_stopping.trial_ended()

    def _view(self, *running: Trial) -> StudyView:
        return StudyView(
            space=self._spec.space,
            objectives=self._spec.objectives,
            trials=[*self._trials, *running],
            number=len(self._trials),
            seed=self._seed,
            fidelity=self._spec.fidelity_range,
            curve_forecasts=self._early_stopping.pseudo_observations(self._trials),
            runs_left=(self._meter.budget - self._meter.spent) / self._meter.task.end,
            fidelity_rises=self._spec.schedule_kind != "full",
        )

    def _proposal(self, view: StudyView) -> Proposal:
        forecasts = self._early_stopping.forecasts(view.trials)
        due = None
        if self._halving is not None:
            due = self._halving.next_promotion(view.trials)
        elif forecasts is not None:
            due = resume_paused(view, forecasts)
        if due is not None:
            return due
        suggestion = self._sampler.suggest(view)
        fidelity = self._halving.start_fidelity(view.trials) if self._halving else self._meter.task.end
        return Proposal(
            params=suggestion.params,
            source=Source.SAMPLER,
            seed=view.number,
            fidelity=fidelity,
            prediction=suggestion.prediction,
        )

    def _trained(self, trial: Trial, training: Training) -> Outcome:
        until = trial.proposal.fidelity or self._meter.task.end
        name, sign = self._meter.task.objective.metric, self._meter.task.objective.sign
        while not training.is_over and training.curve.reached < until:
            step, value = training.advance()
            observations = [Observation(name, step, sign * value, 0.0)]
            self._early_stopping.observe(trial, observations)
            decision = self._early_stopping.stop_decision(trial, observations, partial(self._view, trial))
            if decision is not None:
                return Outcome(state=TrialState.STOPPED, values=_last(training, name, sign), note=decision.note)
        values = _last(training, name, sign)
        if not values:
            failure = Failure(kind=FailureKind.CRASH, reason="this configuration failed when the table was measured")
            return Outcome(state=TrialState.FAILED, failure=failure)
        return Outcome(state=TrialState.COMPLETE, values=values)


def _last(training: Training, name: str, sign: float) -> dict[str, float]:
    values: Sequence[float] = training.curve.values
    return {name: sign * values[-1]} if values else {}


MAKERS = {kind: partial(run_own, kind) for kind in ("curves", "halving", "hyperband", "full")}
