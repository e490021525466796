"""What of a search space no trial has tried: parameters that had one value, choices and ranges in which nothing ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.errors import SpecError
from tunesmith.study.formatting import render_short
from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter, has_default
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView

_MANY = 8
"""Number of choices that one sentence lists."""

_MAX_RANGES = 4
"""Number of parameters of which a range without a trial is named."""

_WIDE = 0.25
"""Smallest part of a range, on the parameter's scale, that is worth naming."""


def untried(space: SearchSpace, trials: Sequence[Trial], important: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what no trial has tried, one sentence each.

    Args:
        space: what is tuned.
        trials: the finished ones.
        important: parameters whose ranges are named first, the most important first.
    """
    if not trials:
        return ()
    seen = {name: {t.params[name] for t in trials if name in t.params} for name in space.names}
    fixed = [name for name, values in seen.items() if len(values) == 1]
    never = [name for name, values in seen.items() if not values]
    sentences = []
    if fixed:
        values = [_named(name, next(iter(seen[name])), space.parameters[name]) for name in fixed]
        sentences.append(f"always the same value: {', '.join(values)}")
    sentences += [f"never active: {', '.join(never)}"] if never else []
    return (*sentences, *untried_values(space, trials), *_empty_ranges(space, trials, important))


def untried_values(space: SearchSpace, trials: Sequence[Trial]) -> list[str]:
    """Return a sentence for each choice that was varied and has values that no trial had."""
    sentences = []
    for name, parameter in space.parameters.items():
        seen = {t.params[name] for t in trials if name in t.params}
        if not isinstance(parameter, Choice | Bool) or len(seen) < 2:  # noqa: PLR2004  # else always the same value
            continue
        every = parameter.choices if isinstance(parameter, Choice) else (False, True)
        if missing := [render_short(value) for value in every if value not in seen]:
            sentences.append(f"values of {name} that never ran: {', '.join(missing[:_MANY])}")
    return sentences


def _named(name: str, value: Value, parameter: Parameter) -> str:
    """Return a parameter with its value, which goes without saying where it is the default."""
    is_default = has_default(parameter) and same(value, parameter.default)
    return name if is_default else f"{name} ({render_short(value)})"


def within_what_ran(view: StudyView) -> StudyView | None:
    """Return the view in the part of its space that complete trials span; None where that is no space of its own.

    A model says nothing there of values that it has never seen. Parameters with one value keep their range.
    """
    spans: dict[str, Parameter] = {}
    for name, values in _complete_values(view.space, view.finished).items():
        parameter = view.space.parameters[name]
        if isinstance(parameter, Float | Int) and not isinstance(parameter, Share) and len(values) > 1:
            low, high = min(values), max(values)  # type: ignore[type-var]  # numbers, of a numeric parameter
            kept = parameter.default if parameter.default is not None and low <= parameter.default <= high else None  # type: ignore[operator]
            spans[name] = replace(parameter, low=low, high=high, default=kept)  # type: ignore[arg-type]
    try:
        return replace(view, space=view.space.extended(spans), earlier=())
    except SpecError:
        return None


def varied(view: StudyView) -> frozenset[str]:
    """Return the parameters of which complete trials had several values."""
    return frozenset(n for n, values in _complete_values(view.space, view.finished).items() if len(values) > 1)


def _complete_values(space: SearchSpace, trials: Sequence[Trial]) -> Mapping[str, set[Value]]:
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    return {name: {t.params[name] for t in complete if name in t.params} for name in space.names}


def _empty_ranges(space: SearchSpace, trials: Sequence[Trial], important: Sequence[str]) -> list[str]:
    """Return the widest range of each number in which no trial completed, those of important parameters first."""
    names = [*important, *(name for name in space.names if name not in important)]
    complete = _complete_values(space, trials)
    found = []
    for name in names:
        parameter = space.parameters.get(name)
        is_number = isinstance(parameter, Float | Int) and not isinstance(parameter, Share)
        if isinstance(parameter, Float | Int) and is_number and len(complete[name]) > 1:
            text = _widest_gap(parameter, [float(value) for value in complete[name] if isinstance(value, int | float)])
            found += [f"{name}: no complete trial {text}"] if text else []
    return found[:_MAX_RANGES]


def _widest_gap(parameter: Float | Int, values: Sequence[float]) -> str:
    """Return the widest range between values and the ends of a parameter in words; "" where none is wide."""
    ran = sorted(values)
    ends = [(None, ran[0]), *zip(ran, ran[1:], strict=False), (ran[-1], None)]
    units = [0.0, *(parameter.to_unit(value) for value in ran), 1.0]  # type: ignore[arg-type]  # its own type
    wide = max(range(len(ends)), key=lambda index: units[index + 1] - units[index])
    low, high = ends[wide]
    is_next = isinstance(parameter, Int) and low is not None and high is not None and high - low <= 1
    if units[wide + 1] - units[wide] < _WIDE or is_next:
        return ""
    if low is None:
        return f"below {render_short(high)} (the range begins at {render_short(parameter.low)})"
    if high is None:
        return f"above {render_short(low)} (the range ends at {render_short(parameter.high)})"
    return f"between {render_short(low)} and {render_short(high)}"
