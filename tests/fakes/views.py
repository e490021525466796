"""Views of studies that never ran: a search space, and configurations with a value or a kind of failure each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tunesmith.agent.sampler.base import Sampler
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Direction, Objective, StudyView

Params = Mapping[str, Value]
Result = float | FailureKind | Mapping[str, float] | None
"""A value, or the kind of a failure, or a value per metric, or None for a trial that is still running."""


def trial(number: int, params: Params, result: Result) -> Trial:
    """Return the trial's snapshot; a single value is that of the metric `loss`."""
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=0)
    if result is None:
        return Trial(number=number, proposal=proposal, state=TrialState.RUNNING)
    if isinstance(result, FailureKind):
        outcome = Outcome(state=TrialState.FAILED, failure=Failure(kind=result, reason="it failed"))
    else:
        values = result if isinstance(result, Mapping) else {"loss": result}
        outcome = Outcome(state=TrialState.COMPLETE, values=values)
    return Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)


def view(
    space: SearchSpace | Mapping[str, Parameter],
    history: Sequence[tuple[Params, Result]] = (),
    *,
    seed: int = 0,
    maximize: bool = False,
    metrics: Sequence[str] = ("loss",),
    constraints: Sequence[Constraint] = (),
) -> StudyView:
    """Return the view in which the next trial is to be proposed."""
    return StudyView(
        space=space if isinstance(space, SearchSpace) else SearchSpace(space),
        objectives=tuple(Objective(m, Direction.MAXIMIZE if maximize else Direction.MINIMIZE) for m in metrics),
        constraints=tuple(constraints),
        trials=tuple(trial(i, params, result) for i, (params, result) in enumerate(history)),
        number=len(history),
        seed=seed,
    )


def run(
    sampler: Sampler,
    space: Mapping[str, Parameter],
    objective: Callable[[Params], Result],
    trials: int,
    *,
    seed: int = 0,
    history: Sequence[tuple[Params, Result]] = (),
) -> list[tuple[Params, Result]]:
    """Return the history after `trials` further trials, one after the other."""
    results, parsed = list(history), SearchSpace(space)
    for _ in range(trials):
        params = sampler.suggest(view(parsed, results, seed=seed)).params
        results.append((params, objective(params)))
    return results


def best(history: Sequence[tuple[Params, Result]]) -> float:
    """Return the lowest value; inf when there is none."""
    return min((r for _, r in history if isinstance(r, float)), default=math.inf)
