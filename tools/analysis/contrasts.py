"""Contrasts: pairs of trials that differ in few parameters, and what that did to the value.

They say what a change does even where trials are few or gather about one point, which importance cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from tunesmith.study.formatting import render_short
from tunesmith.study.space.condition import Value, same
from tunesmith.study.trials.results import candidates, present_improvements
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.study.trials.winner import winner
from tunesmith.study.units import short_number

MAX_CHANGED = 3
"""Number of parameters up to which a difference in value can be ascribed to them."""

LATEST_GAINS = 3
"""Number of latest new bests of which what they changed is always shown."""

_COMPARED = 40
"""Numbers of best and of latest trials among which pairs are sought."""

_NOISE_FACTOR = 2.8
"""Difference of two single runs that noise by itself rarely exceeds, in standard deviations of a run."""

_SAME_NAME, _SAME_NAMES = 4, 2
"""Numbers of pairs that are shown of the same one parameter, and of the same two or three."""

_MOST_CHANGES = 8
"""Number of changes of a new best that are named."""


def contrasts(view: StudyView, count: int = 12) -> tuple[str, ...]:
    """Return what the latest new bests changed, and one sentence for each pair that differs in one to three parameters.

    Pairs beyond the noise come first, of those the ones with fewer changes, then those with better trials. Of pairs
    with the same change only the first is shown, and none of three parameters of each of which a smaller pair speaks.
    """
    pool = _compared(view)
    rank = {trial.number: index for index, trial in enumerate(pool)}
    found = winner(view.trials, view)
    noise = (found.noise or found.scatter) if found is not None else None
    sentences = _gains(view, noise)
    shown = set(sentences)
    pairs = []
    for first, second in combinations(pool, 2):
        changed = _changed(first.params, second.params)
        if 0 < len(changed) <= MAX_CHANGED and (first.values or second.values):
            order = (_is_small(first, second, view, noise), len(changed), min(rank[first.number], rank[second.number]))
            pairs.append((order, first, second, changed))
    pairs.sort(key=lambda pair: (pair[0], pair[1].number, pair[2].number))
    named: Counter[frozenset[str]] = Counter()
    steps: set[tuple[tuple[str, str, str], ...]] = set()
    for _, first, second, changed in pairs:
        if len(sentences) >= count:
            break
        early, late = sorted((first, second), key=lambda trial: trial.number)
        key = tuple(sorted((name, str(early.params.get(name)), str(late.params.get(name))) for name in changed))
        if key in steps or (early.number, late.number) in shown or _is_covered(changed, named):
            continue
        steps.add(key)
        named[frozenset(changed)] += 1
        sentences[early.number, late.number] = _sentence(early, late, changed, view, noise)
    return tuple(sentences.values())


def _gains(view: StudyView, noise: float | None) -> dict[tuple[int, int], str]:
    """Return what each of the latest new bests changed against the best before it, by the numbers of both."""
    by_number = {t.number: t for t in view.trials}
    steps = [by_number[found.number] for found in present_improvements(view.trials, view)]
    found = {}
    for early, late in list(pairwise(steps))[-LATEST_GAINS:]:
        changed = _changed(early.params, late.params)
        found[early.number, late.number] = f"new best: {_sentence(early, late, changed, view, noise)}"
    return found


def _is_covered(changed: Sequence[str], named: Counter[frozenset[str]]) -> bool:
    """Return whether enough pairs speak of these parameters already: smaller ones of each, or several of the same."""
    names = frozenset(changed)
    if len(names) == 1:
        return named[names] >= _SAME_NAME
    smaller = [each for each in named if len(each) < len(names)]
    by_smaller = len(names) == MAX_CHANGED and all(any(name in each for each in smaller) for name in names)
    return by_smaller or named[names] >= _SAME_NAMES


def _compared(view: StudyView) -> list[Trial]:
    """Return the best trials, the best first, and the latest others."""
    finished = [t for t in view.finished if t.values or t.failure]
    best = candidates(finished, view.objectives, view.constraints)[:_COMPARED]
    known = {t.number for t in best}
    return [*best, *[t for t in finished if t.number not in known][-_COMPARED:]]


def _changed(first: Mapping[str, Value], second: Mapping[str, Value]) -> list[str]:
    """Return the parameters that differ; one that is active in one of them only goes with what activates it."""
    shared = [name for name in first if name in second]
    changed = [name for name in shared if not same(first[name], second[name])]
    if not changed and set(first) != set(second):
        return sorted(set(first) ^ set(second))
    return changed


def _sentence(early: Trial, late: Trial, changed: Sequence[str], view: StudyView, noise: float | None) -> str:
    steps = [f"{n} {_value(early, n)} -> {_value(late, n)}" for n in changed[:_MOST_CHANGES]]
    steps += [f"{len(changed) - _MOST_CHANGES} more"] if len(changed) > _MOST_CHANGES else []
    small = ", no more than noise" if _is_small(early, late, view, noise) else ""
    result = f"{view.objectives[0].metric} {_result(early, view)} -> {_result(late, view)}"
    return f"{', '.join(steps)} (#{early.number} -> #{late.number}): {result}{small}"


def _is_small(first: Trial, second: Trial, view: StudyView, noise: float | None) -> bool:
    """Return whether noise may explain the difference of two trials' values."""
    one, other = (objective_values(trial, view.objectives[:1]) for trial in (first, second))
    return (
        bool(noise)
        and one is not None
        and other is not None
        and abs(one[0] - other[0]) < _NOISE_FACTOR * (noise or 0.0)
    )


def _value(trial: Trial, name: str) -> str:
    return render_short(trial.params[name]) if name in trial.params else "off"


def _result(trial: Trial, view: StudyView) -> str:
    values = objective_values(trial, view.objectives[:1])
    if values is not None:
        return short_number(values[0])
    return f"failed ({trial.failure.kind.value})" if trial.failure else trial.state.value
