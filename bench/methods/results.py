"""What one tuned method reached: its best value so far over its trials, and its values on fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.bench.methods.studies import MethodStudy
from tunesmith.history.read import History
from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.results import present_improvements
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.trials.winner import winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The best value so far became `value` with tuning trial `trials`, after `seconds` of training in all."""

    trials: int
    seconds: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One tuned method.

    Attributes:
        improvements: each new best value, in the order of the trials; empty if no trial completed.
        trials: finished tuning trials.
        failed: how many of them failed.
        unfinished: trials and replicates that wait or were interrupted.
        chosen: the number of the trial whose configuration was chosen; None if none completed.
        params: the chosen configuration.
        fresh: its values on fresh seeds, by seed; empty where the command takes no seed.
    """

    task: str
    method: str
    repeat: int
    objective: Objective
    improvements: tuple[Reached, ...]
    trials: int
    failed: int
    unfinished: int
    chosen: int | None
    params: Mapping[str, Value]
    fresh: Mapping[int, float]

    @property
    def tuned(self) -> float | None:
        """The best value in tuning, which flatters: it is the best of many noisy ones."""
        return self.improvements[-1].value if self.improvements else None

    def reached(self, target: float) -> Reached | None:
        """Return when the best value so far reached a target; None if it never did."""
        sign = self.objective.sign
        return next((r for r in self.improvements if sign * r.value <= sign * target), None)


def takes_seed(study: MethodStudy) -> bool:
    """Return whether the command can run on another seed."""
    return "seed" in used_placeholders(study.spec)


def read_result(history: History, study: MethodStudy) -> MethodResult | None:
    """Return what the study reached so far; None if it did not start."""
    record = history.find(study.spec.study.name)
    if record is None:
        return None
    trials = history.trials(record.id)
    tuning = [t for t in trials if t.counts and not t.is_replicate and t.state.is_finished]
    chosen = winner(tuning, record.spec)  # as of the end of tuning: fresh seeds judge the choice, they do not make it
    objective = record.spec.objectives[0]
    return MethodResult(
        task=study.task,
        method=study.method,
        repeat=study.repeat,
        objective=objective,
        improvements=_improvements(trials, tuning, study),
        trials=len(tuning),
        failed=sum(t.state is TrialState.FAILED for t in tuning),
        unfinished=sum(not t.state.is_finished for t in trials),
        chosen=chosen.trial.number if chosen else None,
        params=chosen.trial.params if chosen else {},
        fresh=_fresh(trials, chosen.trial, objective) if chosen else {},
    )


def _improvements(trials: Sequence[Trial], tuning: Sequence[Trial], study: MethodStudy) -> tuple[Reached, ...]:
    place = {trial.number: index for index, trial in enumerate(sorted(tuning, key=lambda t: t.number))}
    seconds = [0.0]
    for trial in sorted(tuning, key=lambda t: t.number):
        seconds.append(seconds[-1] + (trial.outcome.usage.wall_s if trial.outcome else 0.0))
    return tuple(
        Reached(trials=place[i.number] + 1, seconds=seconds[place[i.number] + 1], value=i.value)
        for i in present_improvements(trials, study.spec)
    )


def _fresh(trials: Sequence[Trial], chosen: Trial, objective: Objective) -> dict[int, float]:
    found = {}
    for trial in trials:
        values = objective_values(trial, (objective,))
        if trial.proposal.replicate_of == chosen.number and is_fresh(trial.proposal.seed) and trial.counts and values:
            found[trial.proposal.seed] = values[0]
    return found
