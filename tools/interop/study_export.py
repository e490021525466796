"""What one optimizer hands to another: a space, an aim, results, and points to try first, all as plain study values.

Knows no file and no other optimizer; each target (targets/) says it in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective, StudyView, objective_values


@dataclass(frozen=True, slots=True)
class Result:
    """A configuration and its value in the metric's own direction."""

    params: Mapping[str, Value]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A study, ready to be said in another optimizer's words.

    Attributes:
        trials: finished, in the present space, no replicates, none lost with its machine, all at full fidelity.
        points: configurations that are to be tried first, the most promising first.
        command: the template that runs one trial; "" for a Python function.
        folder: where that command runs.
        shell: a shell reads the command.
        fixed: what the command is given beside the parameters: the seed, the fidelity at its full value.
        remarks: what was left out, a sentence each.
    """

    name: str
    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    trials: Sequence[Trial] = ()
    points: Sequence[Mapping[str, Value]] = ()
    command: str = ""
    folder: str = ""
    shell: bool = False
    fixed: Mapping[str, Value]
    description: str = ""
    remarks: tuple[str, ...] = ()

    def one_objective(self, target: str) -> Objective:
        """Return the only objective.

        Raises:
            SpecError: there are several, which the target does not take here.
        """
        if len(self.objectives) > 1:
            named = ", ".join(o.metric for o in self.objectives)
            raise SpecError(
                [Mistake("study.metric", f"is several ({named}); {target} takes one here, optuna, csv and jsonl all")],
                where=f"this study, for {target},",
            )
        return self.objectives[0]

    def results(self) -> list[Result]:
        """Return what completed with a value of the first objective."""
        told = ((trial, objective_values(trial, self.objectives)) for trial in self.trials)
        return [Result(trial.params, values[0]) for trial, values in told if values is not None]

    @property
    def imputed_values(self) -> dict[str, Value]:
        """A value for every parameter: its default, or its middle; what an inactive one stands at in a flat space."""
        return {name: imputed_value(p) for name, p in self.space.parameters.items()}


def hand_over(
    spec: StudySpec,
    trials: Sequence[Trial],
    points: Sequence[Mapping[str, Value]],
    *,
    folder: str = "",
) -> Handover:
    """Return what is to be handed over of a study; what is left out is told in its remarks."""
    view = StudyView(space=spec.space, objectives=spec.objectives, trials=trials)
    full = spec.fidelity.max if spec.fidelity else None
    sound = [t for t in view.finished if t.failure is None or t.failure.kind is not FailureKind.LOST]
    kept = [t for t in sound if t.proposal.fidelity in (None, full)]
    # A study from Python or from an import has a remark in brackets where others have their command.
    runs = not spec.run.command.startswith("(")
    fixed: dict[str, Value] = {"seed": spec.study.seed, "artifacts": "artifacts"}
    return Handover(
        name=spec.study.name,
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.metric_constraints,
        trials=kept,
        points=points,
        command=spec.run.command if runs else "",
        folder=folder,
        shell=spec.run.shell,
        fixed={**fixed, **({spec.fidelity.name: _plain(spec.fidelity.max)} if spec.fidelity else {})},
        description=spec.study.description,
        remarks=tuple(_remarks(trials, sound, kept)),
    )


def best_configurations(trials: Iterable[Trial], objectives: Sequence[Objective], count: int) -> list[dict[str, Value]]:
    """Return up to `count` different configurations, the best by the first objective first."""
    told = [(values[0] * objectives[0].sign, t) for t in trials if (values := objective_values(t, objectives))]
    found: list[dict[str, Value]] = []
    for _, trial in sorted(told, key=lambda pair: (pair[0], pair[1].number)):
        params = dict(trial.params)
        if params not in found:
            found.append(params)
        if len(found) == count:
            break
    return found[:count]


def _plain(value: float) -> Value:
    return int(value) if float(value).is_integer() else value


def _remarks(trials: Sequence[Trial], sound: Sequence[Trial], kept: Sequence[Trial]) -> Iterable[str]:
    open_ones = sum(not t.state.is_finished for t in trials)
    replicates = sum(t.state.is_finished and t.is_replicate for t in trials)
    outside = len(trials) - open_ones - replicates - len(sound)
    cheap = len(sound) - len(kept)
    counted = {
        "not finished": open_ones,
        "the same configuration on a fresh seed": replicates,
        "lost with its machine, or outside the present space": outside,
        "run at a lower fidelity": cheap,
    }
    for reason, count in counted.items():
        if count:
            yield f"{count} trial{'s' if count > 1 else ''} left out: {reason}"


def counted(trials: Sequence[Trial]) -> str:
    """Return `24 complete, 1 stopped, 2 failed`, leaving out what there is none of."""
    states = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)
    numbers = {state: sum(t.state is state for t in trials) for state in states}
    return ", ".join(f"{number} {state}" for state, number in numbers.items() if number) or "no results"
