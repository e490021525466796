"""Finds the few trials that can decide which configuration a study would choose, without reading the others.

study/trials/winner.py decides over them as it would over all trials: over the leading ones by value, over all that ran
on several seeds, and over those of the default. Every trial is needed with edited code, whose own parameters are known
from all of them, with instances, whose effects are estimated from all of them, and in short studies, whose noise is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.trials.results import Improvement, StudyQuestion, candidates, present_trials
from tunesmith.study.trials.trial import EDITED, Trial
from tunesmith.study.trials.winner import FITTED_UP_TO, MODELLED

FIRST_CHUNK = 64
"""Number of leading trials that are read first; each further chunk is as large as all before it."""
_FIRST_BLOCK, _LARGEST_BLOCK = 16, 4096
"""Number of trials, in order, among which improvements are looked for at once."""

_COUNT = "select coalesce(max(number) + 1, 0) from trials where study_id = :study"
_KINDS = f"""
    select number, fidelity, variant glob '{EDITED}*' or instance != '', replicate_of, source = 'default' from trials
    where study_id = :study and number >= :first
          and (fidelity is not null or variant glob '{EDITED}*' or instance != '' or replicate_of is not null
               or source = 'default')
"""  # noqa: S608  # the prefix is a constant
_RANKED = """
    select number, value from trials
    where study_id = :study and state = 'complete' and replicate_of is null and value is not null and fidelity is :level
"""


@dataclass(slots=True)
class TrialKinds:
    """What never changes of a study's trials once they are proposed, so that each is looked at once.

    Attributes:
        seen: the number of trials that were looked at.
        fidelities: the number of trials at each fidelity that is not None.
        again: the numbers of all replicates and of the trials that they repeat.
        defaults: the numbers of the trials that ran a default configuration.
        needs_all: whether edited code or instances ran, so that all trials are needed for a choice.
    """

    seen: int = 0
    fidelities: dict[float, int] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)
    defaults: set[int] = field(default_factory=set)
    needs_all: bool = False

    def levels(self) -> list[float | None]:
        """Return the fidelities at which trials were proposed, highest first; None is the highest."""
        at_most = [None] if self.seen > sum(self.fidelities.values()) else []
        return [*at_most, *sorted(self.fidelities, reverse=True)]


class TrialSource:
    """A study's trials in a history file.

    Args:
        rows: runs a query with the study's id as :study and returns tuples.
        trials: returns the trials of these numbers, by number, with what all trials together tell of them.
    """

    def __init__(
        self,
        rows: Callable[[str, Mapping[str, Any]], Iterator[tuple[Any, ...]]],
        trials: Callable[[Iterable[int]], list[Trial]],
    ) -> None:
        self.rows, self.trials = rows, trials
        self._kinds = TrialKinds()

    def kinds(self) -> TrialKinds:
        """Return what is known of the trials so far; reads the new ones only."""
        kinds = self._kinds
        (seen,) = next(self.rows(_COUNT, {}))
        if seen > kinds.seen:
            for number, fidelity, needs_all, original, is_default in self.rows(_KINDS, {"first": kinds.seen}):
                if fidelity is not None:
                    kinds.fidelities[fidelity] = kinds.fidelities.get(fidelity, 0) + 1
                if original is not None:
                    kinds.again |= {number, original}
                if is_default:
                    kinds.defaults.add(number)
                kinds.needs_all = kinds.needs_all or bool(needs_all)
            kinds.seen = seen
        return kinds


def deciding_trials(source: TrialSource, asked: StudyQuestion, *, chunk: int) -> list[Trial] | None:
    """Return the trials that decide which configuration leads, by number; None if all are needed.

    Args:
        source: the study's trials.
        asked: what the study asks now.
        chunk: number of leading trials that are read first.
    """
    kinds = source.kinds()
    if kinds.needs_all or kinds.seen <= FITTED_UP_TO:
        return None
    leading: list[Trial] = []
    for level in kinds.levels():
        leading = _leading(source, asked, level, kinds.again, chunk)
        if _able(leading, asked):
            break
    numbers = {t.number for t in leading}
    # The last one says how many there are.
    others = source.trials((kinds.again | kinds.defaults | {kinds.seen - 1}) - numbers)
    return sorted([*leading, *others], key=lambda t: t.number)


def stored_improvements(
    source: TrialSource, asked: StudyQuestion, level: float | None, *, left_out: frozenset[int] | None = None
) -> list[Improvement]:
    """Return each trial at one fidelity that improved on all before it.

    Args:
        source: the study's trials.
        asked: what the study asks now.
        level: the fidelity.
        left_out: the numbers of those that are no candidates, where that is known; None to read what seems to improve.
    """
    sign = asked.objectives[0].sign
    rows = [row for row in source.rows(f"{_RANKED} order by number", {"level": level}) if math.isfinite(row[1])]
    found: list[Improvement] = []
    start, size = 0, _FIRST_BLOCK
    while start < len(rows):
        block = rows[start : start + size]
        if found:
            bound = sign * found[-1].value
            block = [row for row in block if sign * row[1] < bound]
        if left_out is not None:
            able = {n for n, _ in block} - left_out
        else:
            able = {t.number for t in _able(source.trials(n for n, _ in block), asked)} if block else set()
        for number, value in block:
            if number in able and (not found or sign * value < sign * found[-1].value):
                found.append(Improvement(number, value))
        start, size = start + size, min(2 * size, _LARGEST_BLOCK)
    return found


def _leading(
    source: TrialSource, asked: StudyQuestion, level: float | None, again: set[int], chunk: int
) -> list[Trial]:
    """Return the trials with the best values at one fidelity, until no other could become the best.

    A trial on one seed keeps its value as its mean, so `MODELLED` such ones ahead of it keep it out of the model.
    """
    order = f"order by value {'asc' if asked.objectives[0].sign > 0 else 'desc'}, number"
    found: list[Trial] = []
    size = chunk
    while True:
        values = {"level": level, "size": size, "skip": len(found)}
        numbers = [n for n, _ in source.rows(f"{_RANKED} {order} limit :size offset :skip", values)]
        found += source.trials(numbers)
        on_one_seed = sum(t.number not in again for t in _able(found, asked))
        if len(numbers) < size or on_one_seed >= MODELLED:
            return found
        size = len(found)


def _able(trials: Sequence[Trial], asked: StudyQuestion) -> list[Trial]:
    return candidates(present_trials(trials, asked.space), asked.objectives, asked.metric_constraints)
