"""Where trials fail: for each parameter the threshold or choice that separates failures best, as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import render_short
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial, TrialState

_MIN_FAILURES = 2
_MIN_EXCESS = 0.35
"""Minimum excess of the failure rate inside a region."""


@dataclass(frozen=True, slots=True)
class _Region:
    """A half-range or one choice of a parameter, with the failures inside and outside of it."""

    text: str
    inside: int
    failed_inside: int
    failed_outside_share: float

    @property
    def excess(self) -> float:
        """The failure rate inside, shrunk towards one half for few trials, minus the rate outside."""
        return (self.failed_inside + 0.5) / (self.inside + 1.0) - self.failed_outside_share


def failing_regions(space: SearchSpace, trials: Sequence[Trial], *, limit: int = 3) -> tuple[str, ...]:
    """Return sentences such as "batch_size >= 256: 5 of 6 failed", the largest excess first; () for few failures."""
    usable = [t for t in trials if t.state.is_finished and not (t.failure and t.failure.kind is FailureKind.LOST)]
    if sum(_failed(t) for t in usable) < _MIN_FAILURES:
        return ()
    best = [
        max(regions, key=lambda r: r.excess)
        for name, parameter in space.parameters.items()
        if (regions := list(_regions(name, parameter, usable)))
    ]
    clear = sorted((r for r in best if r.excess > _MIN_EXCESS), key=lambda r: -r.excess)
    return tuple(f"{r.text}: {r.failed_inside} of {r.inside} failed" for r in clear[:limit])


def _failed(trial: Trial) -> bool:
    return trial.state is TrialState.FAILED


def _regions(name: str, parameter: Parameter, trials: Sequence[Trial]) -> Iterator[_Region]:
    active = [t for t in trials if name in t.params]
    values = {t.params[name] for t in active}
    if isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered):
        for value in sorted(values, key=str):
            yield from _region(f"{name} = {render_short(value)}", active, {value})
        return
    ordered = sorted(values, key=parameter.to_unit)  # type: ignore[arg-type]  # its own values
    for i in range(1, len(ordered)):
        yield from _region(f"{name} >= {render_short(ordered[i])}", active, set(ordered[i:]))
        yield from _region(f"{name} <= {render_short(ordered[i - 1])}", active, set(ordered[:i]))


def _region(text: str, trials: Sequence[Trial], values: set[Value]) -> Iterator[_Region]:
    """Yield the region of these values; nothing where too few trials are inside or none is outside."""
    name = text.split(" ")[0]
    inside = [t for t in trials if t.params[name] in values]
    outside = [t for t in trials if t.params[name] not in values]
    if len(inside) >= _MIN_FAILURES and outside:
        share = sum(map(_failed, outside)) / len(outside)
        yield _Region(text, len(inside), sum(map(_failed, inside)), share)
