"""Which of several configurations leads that ran on different instances: estimates propose, pairs decide.

The estimate of a configuration with few runs rests on a model. It may lead only where the runs themselves agree:
compared with one that ran on more instances, it counts as no better wherever it did not run itself. So an incumbent is
replaced by what was better on its own instances (Hutter et al. 2011, "Sequential Model-Based Optimization for General
Algorithm Configuration", section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.trials.replicates.instances import Aggregate, aggregated
from tunesmith.study.trials.trial import Trial


def in_honest_order(order: Sequence[Trial], sign: float) -> list[Trial]:
    """Return the configurations with the one first that no other beats in pairs; the others stay in their order.

    What ran on less than half as many instances as another comes last. Where each is beaten by another, the best of
    those that ran on the most instances leads.

    Args:
        order: complete trials of a study with [instances], the best estimate first.
        sign: 1 if smaller values are better, -1 if larger ones are.
    """
    losses = {t.number: _losses(t, sign) for t in order}
    most = max((len(found) for found in losses.values()), default=0)
    proven = [t for t in order if 2 * len(losses[t.number]) >= most]
    unproven = [t for t in order if 2 * len(losses[t.number]) < most]
    aggregate: Aggregate = next((t.runs.aggregate for t in order if t.runs is not None), "mean")
    leader = next(
        (
            one
            for one in proven
            if not any(is_beaten(losses[one.number], losses[t.number], aggregate) for t in proven if t is not one)
        ),
        next((t for t in proven if len(losses[t.number]) == most), None),
    )
    return [*([leader] if leader else []), *(t for t in proven if t is not leader), *unproven]


def is_beaten(losses: Mapping[str, float], others: Mapping[str, float], aggregate: Aggregate) -> bool:
    """Return whether one configuration must not lead before another, by the losses of both on each instance.

    A configuration with fewer runs is beaten unless it is better over the other's instances, where it counts as equal
    to the other on those that it did not run on. One with as many runs or more is beaten only by what is better on
    every instance that both ran on.
    """
    if len(others) > len(losses):
        filled = [losses.get(name, loss) for name, loss in others.items()]
        return aggregated(filled, aggregate) >= aggregated(list(others.values()), aggregate)
    shared = losses.keys() & others.keys()
    if not shared or any(others[name] >= losses[name] for name in shared):
        return False
    return len(others) == len(losses) or not is_beaten(others, losses, aggregate)


def _losses(trial: Trial, sign: float) -> dict[str, float]:
    return {name: sign * value for name, value in trial.runs.values.items()} if trial.runs is not None else {}
