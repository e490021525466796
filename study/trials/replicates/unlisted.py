"""Which runs belong to the instances that a study has now, and in words why the others do not count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from tunesmith.study.formatting import one_line
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.trial import Trial

_MAX_NAMES, _MAX_NAME = 6, 24
"""Number of instances that are named for one reason, and characters after which a name is cut."""


def is_listed(trial: Trial, instances: InstanceSet | None, since: Mapping[str, float] | None = None) -> bool:
    """Return whether a trial ran, or would run, on an instance that the study has now.

    Args:
        trial: a trial of the study.
        instances: the instances that the study has now; None for none.
        since: when an instance became what it is now, in seconds since the epoch; earlier runs were on another one.
    """
    name = trial.proposal.instance
    if instances is None:
        return not name
    names = instances.tuning if not is_fresh(trial.proposal.seed) else instances.held_out or instances.tuning
    started = trial.created_at if trial.started_at is None else trial.started_at
    return name in names and (not trial.state.is_finished or started >= (since or {}).get(name, -math.inf))


def unlisted_reason(trial: Trial, instances: InstanceSet | None) -> str:
    """Return why an unlisted trial does not count, after "it ran": "on an instance that [instances] has no longer"."""
    name = trial.proposal.instance
    if not name:
        return "before the study had [instances]"
    if instances is None:
        return "on one instance, when the study had [instances]"
    if name not in (*instances.tuning, *instances.held_out):
        return "on an instance that [instances] has no longer"
    if name in instances.held_out and not is_fresh(trial.proposal.seed):
        return "on an instance that is held out now"
    if name in instances.tuning and is_fresh(trial.proposal.seed) and instances.held_out:
        return "on an instance that was held out then"
    return "on an instance that had other columns then"


def not_listed_text(trial: Trial, instances: InstanceSet | None) -> str:
    """Return why a trial that waits cannot run on its instance: "its instance a is not in [instances] now"."""
    name = one_line(trial.proposal.instance, _MAX_NAME)
    if not name:
        return "it has no instance, and the study has [instances] now"
    if instances is None:
        return f"it waited for instance {name}, and the study has no [instances] now"
    if name in (*instances.tuning, *instances.held_out):
        role = "held out" if name in instances.held_out else "not held out"
        return f"its instance {name} is {role} now"
    return f"its instance {name} is not in [instances] now"


def unlisted_text(trials: Iterable[Trial], instances: InstanceSet | None) -> str:
    """Return how many runs are unlisted, and why, for people; "" if none is."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.is_unlisted and trial.state.is_finished:
            found.setdefault(unlisted_reason(trial, instances), []).append(trial)
    if not found:
        return ""
    number = sum(map(len, found.values()))
    reasons = [
        f"{len(some) if len(found) > 1 else 'it' if number == 1 else 'they'} ran {reason}{_names_text(some, instances)}"
        for reason, some in found.items()
    ]
    return f"{number} earlier {'run does' if number == 1 else 'runs do'} not count: {', '.join(reasons)}"


def _names_text(trials: Sequence[Trial], instances: InstanceSet | None) -> str:
    """Return the instances of trials in brackets; "" where the reason says enough."""
    names = list(dict.fromkeys(t.proposal.instance for t in trials if t.proposal.instance))
    if instances is None or not names:
        return ""
    shown = ", ".join(one_line(name, _MAX_NAME) for name in names[:_MAX_NAMES])
    return f" ({shown}{', ...' if len(names) > _MAX_NAMES else ''})"
