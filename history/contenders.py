"""Finds the few trials that can decide which configuration a study would choose, without reading the others.

study/trials/winner.py decides over them as it would over all trials: over the leading ones by value, over all that ran
on several seeds, and over those of the default. Only edited code needs every trial: which parameters are its own is
known from all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.trials.results import Improvement, StudyQuestion, candidates, present_trials
from tunesmith.study.trials.trial import EDITED, Trial
from tunesmith.study.trials.winner import MODELLED

FIRST_CHUNK = 64
"""Number of leading trials that are read first; each further chunk is as large as all before it."""
_FIRST_BLOCK, _LARGEST_BLOCK = 16, 4096
"""Number of trials, in order, among which improvements are looked for at once."""

_RANKED = """
    select number, value from trials
    where study_id = :study and state = 'complete' and replicate_of is null and value is not null and fidelity is :level
"""


@dataclass(frozen=True, slots=True)
class TrialSource:
    """A study's trials in a history file.

    Attributes:
        rows: runs a query with the study's id as :study and returns tuples.
        trials: returns the trials of these numbers, by number, with what all trials together tell of them.
    """

    rows: Callable[[str, Mapping[str, Any]], Iterator[tuple[Any, ...]]]
    trials: Callable[[Iterable[int]], list[Trial]]


def deciding_trials(source: TrialSource, asked: StudyQuestion, *, chunk: int = FIRST_CHUNK) -> list[Trial] | None:
    """Return the trials that decide which configuration leads, by number; None if all are needed.

    Args:
        source: the study's trials.
        asked: what the study asks now.
        chunk: number of leading trials that are read first.
    """
    levels = _fidelities(source)
    if levels is None:
        return None
    again = _repeated(source)
    leading: list[Trial] = []
    for level in levels:
        leading = _leading(source, asked, level, again, chunk)
        if _able(leading, asked):
            break
    numbers = {t.number for t in leading}
    others = source.trials((again | set(default_numbers(source))) - numbers)
    return sorted([*leading, *others], key=lambda t: t.number)


def default_numbers(source: TrialSource) -> list[int]:
    """Return the numbers of the trials that ran a default configuration."""
    return [n for (n,) in source.rows("select number from trials where study_id = :study and source = 'default'", {})]


def has_edits(source: TrialSource) -> bool:
    """Return whether edited code ran, so that all trials are needed to know which parameters are its own."""
    return _fidelities(source) is None


def stored_improvements(source: TrialSource, asked: StudyQuestion, level: float | None) -> list[Improvement]:
    """Return each trial at one fidelity that improved on all before it; only trials that seem to are read."""
    sign = asked.objectives[0].sign
    rows = list(source.rows(f"{_RANKED} order by number", {"level": level}))
    found: list[Improvement] = []
    start, size = 0, _FIRST_BLOCK
    while start < len(rows):
        block = rows[start : start + size]
        if found:
            bound = sign * found[-1].value
            block = [row for row in block if sign * row[1] < bound]
        able = {t.number for t in _able(source.trials(n for n, _ in block), asked)} if block else set()
        for number, value in block:
            if number in able and (not found or sign * value < sign * found[-1].value):
                found.append(Improvement(number, value))
        start, size = start + size, min(2 * size, _LARGEST_BLOCK)
    return found


def _fidelities(source: TrialSource) -> list[float | None] | None:
    """Return the fidelities of trials, highest first; None if edited code ran."""
    sql = f"""
        select fidelity, max(variant glob '{EDITED}*') from trials where study_id = :study
        group by fidelity order by fidelity is null desc, fidelity desc
        """  # noqa: S608  # the prefix is a constant
    levels = list(source.rows(sql, {}))
    return None if any(edited for _, edited in levels) else [level for level, _ in levels]


def _repeated(source: TrialSource) -> set[int]:
    """Return the numbers of all replicates and of the trials that they repeat."""
    sql = "select number, replicate_of from trials where study_id = :study and replicate_of is not null"
    return {number for pair in source.rows(sql, {}) for number in pair}


def _leading(
    source: TrialSource, asked: StudyQuestion, level: float | None, again: set[int], chunk: int
) -> list[Trial]:
    """Return the trials with the best values at one fidelity, so many that no other could become the best.

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
