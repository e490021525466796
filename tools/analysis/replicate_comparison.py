"""How sure a study is of each configuration that ran again: against each other, and against its own tuning value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from tunesmith.study.units import short_number
from tunesmith.tools.analysis.significance import Difference, difference
from tunesmith.tools.analysis.summary import ConfigResult, Summary, probability_text

MOST = 5
"""So many configurations are held against each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """Two configurations on fresh seeds. `difference.gain` is above 0 when `number` is the better one on average."""

    number: int
    other: int
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinkage:
    """What became of a tuning value on fresh seeds.

    Attributes:
        tuned: the value while tuning.
        confirmed: the mean on `seeds` fresh seeds.
        loss: by how much the fresh seeds are worse, in the metric's unit; below 0 when they are better.
        kept: which part of the gain over the default's tuning value was left; None for the default itself, without one,
            or without a gain to begin with.
    """

    number: int
    tuned: float
    confirmed: float
    seeds: int
    loss: float
    kept: float | None


def pair_comparisons(summary: Summary) -> list[PairComparison]:
    """Return every pair of configurations that ran on two fresh seeds or more, the better one first."""
    sign = summary.objective.sign
    able = [c for c in summary.replicated if c.confirmed and c.confirmed.count > 1]
    ranked = sorted(able, key=lambda c: sign * c.confirmed.mean if c.confirmed else 0.0)[:MOST]
    found = []
    for a, b in combinations(ranked, 2):
        assert a.confirmed is not None  # noqa: S101  # chosen above
        assert b.confirmed is not None  # noqa: S101
        held = difference(a.confirmed, b.confirmed, sign=sign)
        if held is not None:
            found.append(PairComparison(number=a.number, other=b.number, difference=held))
    return found


def shrinkages(summary: Summary) -> list[Shrinkage]:
    """Return what became of each tuning value, the best tuning value first."""
    sign, default = summary.objective.sign, summary.default
    return [_shrinkage(c, default, sign) for c in summary.replicated if c.confirmed is not None]


def _shrinkage(candidate: ConfigResult, default: ConfigResult | None, sign: float) -> Shrinkage:
    assert candidate.confirmed is not None  # noqa: S101  # chosen above
    kept = None
    if default is not None and default.confirmed is not None and default.number != candidate.number:
        promised = sign * (default.value - candidate.value)
        left = sign * (default.confirmed.mean - candidate.confirmed.mean)
        kept = left / promised if promised > 0 else None
    return Shrinkage(
        number=candidate.number,
        tuned=candidate.value,
        confirmed=candidate.confirmed.mean,
        seeds=candidate.confirmed.count,
        loss=sign * (candidate.confirmed.mean - candidate.value),
        kept=kept,
    )


def pair_lines(found: Sequence[PairComparison], default: int | None) -> list[str]:
    """Return each pair as a sentence."""
    return [
        f"{_name(pair.number, default)} is better than {_name(pair.other, default)} with probability "
        f"{probability_text(pair.difference.probability)}"
        for pair in found
    ]


def shrinkage_lines(found: Sequence[Shrinkage], default: int | None) -> list[str]:
    """Return what became of each tuning value as a sentence."""
    return [_shrinkage_line(shrinkage, default) for shrinkage in found]


def _shrinkage_line(found: Shrinkage, default: int | None) -> str:
    way = "worse" if found.loss > 0 else "better"
    seeds = f"{found.seeds} fresh seed{'s' if found.seeds > 1 else ''}"
    text = f"{_name(found.number, default)}: {short_number(found.tuned)} while tuning, {short_number(found.confirmed)} "
    text += f"on {seeds}: {short_number(abs(found.loss), 2)} {way}"
    return text if found.kept is None else f"{text}; {found.kept:.0%} of the gain over the default was left"


def _name(number: int, default: int | None) -> str:
    return "the default" if number == default else f"#{number}"
