"""The content of an export: a space, objectives, results, and points to try first, as plain values of `study`.

Knows no file and no other optimizer; the targets are in export/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import StudyQuestion
from tunesmith.study.trials.trial import FailureKind, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective, StudyView, objective_values
from tunesmith.study.trials.winner import leaderboard


@dataclass(frozen=True, slots=True)
class Result:
    """A configuration and its value in the metric's own direction."""

    params: Mapping[str, Value]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyExport:
    """The content of an export, independent of its target.

    Attributes:
        trials: finished, in the present space and at full fidelity; without replicates and lost trials.
        points: configurations to try first, the most promising first.
        command: the template that runs one trial; "" for a Python function.
        folder: the command's working directory.
        shell: whether the command runs in a shell.
        fixed: values of the command's other placeholders: the seed, and the fidelity at its maximum.
        instances: the placeholders of each instance on which choices are made; empty without [instances].
        aggregate: how the values on instances become one.
        remarks: what was left out, one sentence each.
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
    instances: Sequence[Mapping[str, Value]] = ()
    aggregate: str = "mean"
    remarks: tuple[str, ...] = ()

    def one_objective(self, target: str) -> Objective:
        """Return the only objective.

        Raises:
            SpecError: there are several, which this target does not support.
        """
        if len(self.objectives) > 1:
            named = ", ".join(o.metric for o in self.objectives)
            message = f"has several metrics ({named}), but {target} takes one; optuna, csv and jsonl take all"
            raise SpecError([Mistake("study.metric", message)], where=f"this study, for {target},")
        return self.objectives[0]

    def results(self) -> list[Result]:
        """Return the completed trials with a value of the first objective."""
        measured = ((trial, objective_values(trial, self.objectives)) for trial in self.trials)
        return [Result(trial.params, values[0]) for trial, values in measured if values is not None]

    @property
    def imputed_values(self) -> dict[str, Value]:
        """A value for every parameter, its default or its middle, for inactive ones in a space without conditions."""
        return {name: imputed_value(p) for name, p in self.space.parameters.items()}


SERVED = "the study starts a server for each trial: an exported program asks you for the function that measures one"


def build_export(
    spec: StudySpec,
    trials: Sequence[Trial],
    points: Sequence[Mapping[str, Value]],
    *,
    folder: str = "",
) -> StudyExport:
    """Return the content of an export of the study; `remarks` say what is left out."""
    view = StudyView(space=spec.space, objectives=spec.objectives, trials=trials)
    full = spec.fidelity.max if spec.fidelity else None
    sound = [t for t in view.finished if t.failure is None or t.failure.kind is not FailureKind.LOST]
    kept = [t for t in sound if t.proposal.fidelity in (None, full)]
    # The command of a study that came from Python or an import is a remark in parentheses.
    # That of a server does not end; Tunesmith's own process measures it.
    runs = not spec.run.command.startswith("(") and spec.serve is None
    fixed: dict[str, Value] = {"seed": spec.study.seed, "artifacts": "artifacts"}
    return StudyExport(
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
        instances=_instances(spec),
        aggregate=spec.instances.aggregate if spec.instances is not None else "mean",
        remarks=(*_remarks(trials, sound, kept), *([SERVED] if spec.serve is not None else [])),
    )


def _instances(spec: StudySpec) -> list[dict[str, Value]]:
    if spec.instances is None or spec.instance_set is None:
        return []
    return [spec.instances.placeholders(name) for name in spec.instance_set.tuning]


def best_configurations(trials: Sequence[Trial], asked: StudyQuestion, count: int) -> list[dict[str, Value]]:
    """Return up to `count` different configurations of the present space, the study's choice first.

    Configurations of edited code with new parameters are left out: the space does not have these.
    """
    found: list[dict[str, Value]] = []
    for trial in leaderboard(trials, asked):
        params = dict(trial.params)
        if params not in found and asked.space.contains(params):
            found.append(params)
        if len(found) == count:
            break
    return found[:count]


def _plain(value: float) -> Value:
    return int(value) if float(value).is_integer() else value


def _remarks(trials: Sequence[Trial], sound: Sequence[Trial], kept: Sequence[Trial]) -> Iterable[str]:
    open_ones = sum(not t.state.is_finished for t in trials)
    replicates = sum(t.state.is_finished and t.is_replicate and not t.proposal.instance for t in trials)
    on_instances = sum(t.state.is_finished and t.is_replicate and bool(t.proposal.instance) for t in trials)
    aside = sum(not t.counts and not t.is_replicate for t in trials)
    outside = len(trials) - open_ones - replicates - on_instances - aside - len(sound)
    cheap = len(sound) - len(kept)
    counted = {
        "not finished": open_ones,
        "the same configuration on a fresh seed": replicates,
        "the same configuration on another instance; its first trial has the value over all": on_instances,
        "forgotten, failed regardless of their parameters, or run on earlier instances": aside,
        "lost with its machine, or outside the present space": outside,
        "run at a lower fidelity": cheap,
    }
    for reason, count in counted.items():
        if count:
            yield f"{count} trial{'s' if count > 1 else ''} left out: {reason}"


def counted(trials: Sequence[Trial]) -> str:
    """Return the number of trials by state, such as `24 complete, 1 stopped, 2 failed`, without zeros."""
    states = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)
    numbers = {state: sum(t.state is state for t in trials) for state in states}
    return ", ".join(f"{number} {state}" for state, number in numbers.items() if number) or "no results"
