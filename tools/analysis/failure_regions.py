"""Where trials fail, in a sentence per parameter: the one border or the one choice that tells failures apart best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import render_short
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial, TrialState

MIN_FAILURES = 2
_CLEAR = 0.35


@dataclass(frozen=True, slots=True)
class _Border:
    words: str
    inside: int
    failed_inside: int
    failed_outside_share: float

    @property
    def clarity(self) -> float:
        """How much more fails inside than outside, a little less sure for few trials."""
        return (self.failed_inside + 0.5) / (self.inside + 1.0) - self.failed_outside_share


def failing_regions(space: SearchSpace, trials: Sequence[Trial], *, limit: int = 3) -> tuple[str, ...]:
    """Return sentences such as "batch_size >= 256: 5 of 6 failed", the clearest first; empty with too few failures."""
    told = [t for t in trials if t.state.is_finished and not (t.failure and t.failure.kind is FailureKind.LOST)]
    if sum(_failed(t) for t in told) < MIN_FAILURES:
        return ()
    best = [
        max(borders, key=lambda b: b.clarity)
        for n, p in space.parameters.items()
        if (borders := list(_borders(n, p, told)))
    ]
    clear = sorted((b for b in best if b.clarity > _CLEAR), key=lambda b: -b.clarity)
    return tuple(f"{b.words}: {b.failed_inside} of {b.inside} failed" for b in clear[:limit])


def _failed(trial: Trial) -> bool:
    return trial.state is TrialState.FAILED


def _borders(name: str, parameter: Parameter, trials: Sequence[Trial]) -> Iterator[_Border]:
    active = [t for t in trials if name in t.params]
    values = {t.params[name] for t in active}
    if isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered):
        for value in sorted(values, key=str):
            yield from _border(f"{name} = {render_short(value)}", active, {value})
        return
    ordered = sorted(values, key=parameter.to_unit)  # type: ignore[arg-type]  # its own values
    for i in range(1, len(ordered)):
        yield from _border(f"{name} >= {render_short(ordered[i])}", active, set(ordered[i:]))
        yield from _border(f"{name} <= {render_short(ordered[i - 1])}", active, set(ordered[:i]))


def _border(words: str, trials: Sequence[Trial], values: set[Value]) -> Iterator[_Border]:
    name = words.split(" ")[0]
    inside = [t for t in trials if t.params[name] in values]
    outside = [t for t in trials if t.params[name] not in values]
    if len(inside) >= MIN_FAILURES and outside:
        share = sum(map(_failed, outside)) / len(outside)
        yield _Border(words, len(inside), sum(map(_failed, inside)), share)
