"""Compares configurations that ran on fresh seeds: with each other, and each with its own tuning value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.significance import Difference, difference
from tunesmith.tools.analysis.findings.figures import ConfigResult, probability_text
from tunesmith.tools.analysis.findings.summary import Summary

_MAX_CONFIGURATIONS = 5
"""Maximum number of configurations that are compared in pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """Two configurations on fresh seeds. `difference.gain` is above 0 when trial `number` has the better mean."""

    number: int
    other: int
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinkage:
    """A configuration's tuning value and its mean on fresh seeds.

    Attributes:
        tuned: the tuning value.
        confirmed: the mean on `seeds` fresh seeds.
        loss: how much worse the fresh seeds are, in the metric's unit; below 0 when they are better.
        kept: fraction of the tuning gain over the default that remained; None for the default itself, without a
            default, or without a tuning gain.
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
    usable = [c for c in summary.replicated if c.confirmed and c.confirmed.count > 1]
    ranked = sorted(usable, key=lambda c: sign * c.confirmed.mean if c.confirmed else 0.0)[:_MAX_CONFIGURATIONS]
    found = []
    for a, b in combinations(ranked, 2):
        assert a.confirmed is not None  # noqa: S101  # filtered above
        assert b.confirmed is not None  # noqa: S101
        difference_on_seeds = difference(a.confirmed, b.confirmed, sign=sign)
        if difference_on_seeds is not None:
            found.append(PairComparison(number=a.number, other=b.number, difference=difference_on_seeds))
    return found


def shrinkages(summary: Summary) -> list[Shrinkage]:
    """Return the shrinkage of each configuration that ran on fresh seeds, the best tuning value first."""
    sign, default = summary.objective.sign, summary.default
    return [_shrinkage(c, default, sign) for c in summary.replicated if c.confirmed is not None]


def _shrinkage(candidate: ConfigResult, default: ConfigResult | None, sign: float) -> Shrinkage:
    assert candidate.confirmed is not None  # noqa: S101  # filtered above
    kept = None
    if default is not None and default.confirmed is not None and default.number != candidate.number:
        tuning_gain = sign * (default.value - candidate.value)
        remaining = sign * (default.confirmed.mean - candidate.confirmed.mean)
        kept = remaining / tuning_gain if tuning_gain > 0 else None
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


def shrinkage_lines(found: Sequence[Shrinkage], default: int | None, fresh: str = "fresh seeds") -> list[str]:
    """Return each shrinkage as a sentence; `fresh` is what confirmation ran on."""
    return [_shrinkage_line(shrinkage, default, fresh) for shrinkage in found]


def _shrinkage_line(found: Shrinkage, default: int | None, fresh: str) -> str:
    direction = "worse" if found.loss > 0 else "better"
    seeds = f"{found.seeds} {fresh if found.seeds > 1 else fresh.removesuffix('s')}" if fresh.endswith("s") else fresh
    text = f"{_name(found.number, default)}: {short_number(found.tuned)} in tuning, {short_number(found.confirmed)} "
    text += f"on {seeds}: {short_number(abs(found.loss), 2)} {direction}"
    return text if found.kept is None else f"{text}; {found.kept:.0%} of the gain over the default remained"


def _name(number: int, default: int | None) -> str:
    return "the default" if number == default else f"#{number}"
