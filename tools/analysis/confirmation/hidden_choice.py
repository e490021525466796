"""The choice among a study's leaders by data that its search never saw ([confirm].command), and its words for people.

Numbers in, a choice out; the loop and the tuner judge, and the history keeps the choice as one event. Before that event
nothing of the values is stored or shown anywhere. Every judged configuration ran on the same seeds, so that the gain
over the default is a mean of differences in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.study.config.record import Event
from tunesmith.study.formatting import count
from tunesmith.study.trials.hidden import HIDDEN_CHOICE, HiddenSource, HiddenValues
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.confirmation.significance import Difference, Sample, difference, sample

ONE_SIDED_LEVEL = 0.025
"""Significance level of the chosen one's gain, one-sided, divided among all that could have been chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One configuration as the hidden judge saw it.

    Attributes:
        trial: the number of its first trial.
        values: by training seed, of the first objective in its own direction.
        reason: why the judge gave no value; "" where it did.
    """

    trial: int
    values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""


def best_judged(judged: Sequence[Judged], *, sign: float, default: int | None) -> int | None:
    """Return the trial to choose: the best mean on the seeds that all share; None if the judge gave no value at all.

    Where the best is as good as the default, the default is chosen.

    Args:
        judged: the candidates.
        sign: 1 where smaller values are better, -1 where larger ones are.
        default: the number of the default's trial; None without one.
    """
    able = [one for one in judged if one.values]
    shared = set.intersection(*(set(one.values) for one in able)) if able else set()
    if not able:
        return None

    def loss(one: Judged) -> tuple[float, bool, int]:
        seeds = sorted(shared) or sorted(one.values)
        return sign * math.fsum(one.values[seed] for seed in seeds) / len(seeds), one.trial != default, one.trial

    return min(able, key=loss).trial


def choice_detail(
    judged: Sequence[Judged], chosen: int, *, trials: int, look: int, source: HiddenSource
) -> dict[str, Any]:
    """Return the detail of the event that records a choice.

    Args:
        judged: every configuration that was judged, in this look and before.
        chosen: the trial that was chosen.
        trials: number of trials of the study then; the choice holds until there are more.
        look: 1 for the first time that the hidden data were looked at.
        source: what the values come from.
    """
    rows = [
        {"trial": one.trial, "values": {str(seed): value for seed, value in one.values.items()}, "reason": one.reason}
        for one in judged
    ]
    return {"chosen": chosen, "judged": rows, "trials": trials, "look": look, **asdict(source)}


def is_of_source(event: Event, source: HiddenSource) -> bool:
    """Return whether a choice was made by the same data and the same judge; one that does not say counts as such."""
    return all(event.detail.get(key, wanted) == wanted for key, wanted in asdict(source).items())


def judged_before(events: Sequence[Event], source: HiddenSource) -> tuple[list[Judged], int]:
    """Return what earlier looks judged, the latest value of each trial, and how many looks at these data there were.

    Args:
        events: of the study.
        source: data and judge as they are now; values of others are left out.
    """
    found: dict[int, Judged] = {}
    looks = 0
    for event in events:
        if event.kind != HIDDEN_CHOICE:
            continue
        if event.detail.get("data", source.data) == source.data:
            looks = max(looks, int(event.detail["look"]))
        if is_of_source(event, source):
            for row in event.detail["judged"]:
                values = {int(seed): value for seed, value in row["values"].items()}
                found[row["trial"]] = Judged(trial=row["trial"], values=values, reason=row["reason"])
    return list(found.values()), looks


def hidden_sample(found: HiddenValues) -> Sample:
    """Return the values of one configuration on hidden data, in pairs with others by their seeds."""
    made = sample(found.values, [str(seed) for seed in found.seeds] if len(found.values) > 1 else ())
    assert made is not None  # noqa: S101  # values are finite
    return made


def hidden_difference(chosen: Trial, default: Trial | None, *, sign: float) -> Difference | None:
    """Return the gain of the chosen configuration over the default on hidden data; None without two seeds each.

    It was chosen among several on the same data, so its interval has the level of one of as many (Bonferroni).
    """
    if default is None or chosen.hidden is None or default.hidden is None or chosen.number == default.number:
        return None
    rivals = max(chosen.hidden.judged - 1, 1)
    ours, theirs = hidden_sample(chosen.hidden), hidden_sample(default.hidden)
    return difference(ours, theirs, sign=sign, alpha=ONE_SIDED_LEVEL / rivals)


def choice_note(events: Sequence[Event], trials: int) -> str:
    """Return what people should know of the choice by hidden data; "" where there is nothing to add.

    Args:
        events: of the study.
        trials: number of its trials now.
    """
    made = [event for event in events if event.kind == HIDDEN_CHOICE]
    if not made:
        return ""
    detail = made[-1].detail
    parts = []
    if detail["trials"] < trials:
        return (
            f"A choice by hidden data was made after {count(detail['trials'], 'trial')}; the search continued, so it "
            "no longer holds, and the next one will be a further look at the same data."
        )
    failed = [row for row in detail["judged"] if not row["values"]]
    if failed:
        parts.append(
            f"The hidden judge gave no value for {_trials([row['trial'] for row in failed])}: {failed[0]['reason']}."
        )
    if detail["look"] > 1:
        parts.append(
            f"This was look {detail['look']} at the hidden data, so its value is optimistic; new data would be honest."
        )
    return " ".join(parts)


def _trials(numbers: Sequence[int]) -> str:
    return f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))}"
