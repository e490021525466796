"""Makes whole mixtures of what a model says about their shares: all of them, one of them, or nearly a sum of 1."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.agent.llm.answers.intervals import is_number
from tunesmith.study.formatting import render_shares
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.checks import ROUNDED
from tunesmith.study.space.mixtures.rows import mended, names_of, overlaid
from tunesmith.study.space.space import SearchSpace

REPAIRED = 0.05
"""How far from 1 the sum of a model's shares may be; they are scaled to 1, and its rationale says so."""


_PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class WholeMixtures:
    """A candidate's changes with whole mixtures.

    Attributes:
        changes: by flat names; with every share of a mixture of which one changes.
        notes: what was repaired, in words.
    """

    changes: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def whole_mixtures(changes: Mapping[str, Any], base: Mapping[str, Value], space: SearchSpace) -> WholeMixtures:
    """Return the changes with the shares that they leave open: in proportion to the base, so that the sum is 1.

    A mixture that cannot be made whole, because a share is not a number or the sum is far from 1, stays as it is, so
    that the space refuses it with its own words.

    Args:
        changes: values by flat names.
        base: the configuration that is changed; {} for none.
        space: the search space.
    """
    whole_names = space.whole(changes)
    known = overlaid(space.mixtures, base, changes) if base else dict(changes)
    made = WholeMixtures({name: value for name, value in known.items() if name in whole_names})
    for mixture, shares in space.mixtures.items():
        names = dict(zip(names_of(mixture, shares), shares.of, strict=True))
        given = {source: _number(changes.get(name)) for name, source in names.items()}
        total = math.fsum(given.values()) if all(value >= 0.0 for value in given.values()) else math.nan
        if abs(total - _PERCENT) <= _PERCENT * REPAIRED:
            given, total = {source: share / _PERCENT for source, share in given.items()}, total / _PERCENT
            made.changes.update({name: given[source] for name, source in names.items()})
            made.notes.append(f"{mixture} was in percent")
        if ROUNDED < abs(total - 1.0) <= REPAIRED:
            whole = mended(shares, given)
            made.notes.append(f"{mixture} summed to {total:.4g}, scaled to {render_shares(whole, digits=4)}")
            made.changes.update({name: whole[source] for name, source in names.items()})
    return made


def with_free_shares(values: Mapping[str, Any], changed: Collection[str], space: SearchSpace) -> dict[str, Any]:
    """Return the configuration with complete mixtures scaled to a sum of 1, after free shares were moved.

    Args:
        values: by flat names.
        changed: names of the shares that keep their values.
        space: the search space.
    """
    found = dict(values)
    for mixture, shares in space.mixtures.items():
        names = dict(zip(names_of(mixture, shares), shares.of, strict=True))
        given = {source: _number(values.get(name)) for name, source in names.items()}
        if all(math.isfinite(value) for value in given.values()):
            whole = mended(shares, given, keep=[source for name, source in names.items() if name in changed])
            found |= {name: whole[source] for name, source in names.items()}
    return found


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan
