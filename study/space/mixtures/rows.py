"""Mixtures in configurations: shares by name as flat entries, mended to a sum of 1, and what is wrong with them.

A configuration holds one entry for each share: {"mix.code": 0.5, "mix.prose": 0.5}. People and models may also give
{"mix": {"code": 0.5, "prose": 0.5}}.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.mixtures import simplex
from tunesmith.study.space.mixtures.checks import ROUNDED, sum_mistake
from tunesmith.study.space.mixtures.shares import Share, Shares, share_name
from tunesmith.study.space.parameters import Parameter

Declared: TypeAlias = Mapping[str, Parameter | Shares]

EXACT = 1e-9
"""How far from 1 the sum of the shares of a valid configuration may be."""


def declared(parameters: Declared) -> dict[str, Parameter | Shares]:
    """Return the parameters as a user writes them: a mixture in place of its shares."""
    found: dict[str, Parameter | Shares] = {}
    for name, parameter in parameters.items():
        if isinstance(parameter, Share):
            found[name.rpartition(".")[0]] = parameter.shares
        else:
            found[name] = parameter
    return found


def expanded(parameters: Declared) -> dict[str, Parameter]:
    """Return the parameters of a space: the shares in place of a mixture."""
    found: dict[str, Parameter] = {}
    for name, parameter in declared(parameters).items():
        found |= parameter.parameters(name) if isinstance(parameter, Shares) else {name: parameter}
    return found


def flat(mixtures: Mapping[str, Shares], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with an entry for each share in place of a table, or of a list in the order of `of`."""
    if not any(name in mixtures for name in params):
        return dict(params)
    found: dict[str, Any] = {}
    for name, value in params.items():
        if name in mixtures and isinstance(value, Mapping):
            found |= {share_name(name, str(source)): share for source, share in value.items()}
        elif name in mixtures and isinstance(value, list | tuple) and len(value) == len(mixtures[name].of):
            found |= {share_name(name, s): share for s, share in zip(mixtures[name].of, value, strict=True)}
        else:
            found[name] = value
    return found


def nested(mixtures: Mapping[str, Shares], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with a table of shares for each mixture, in the place of its first share."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        mixture, _, source = name.rpartition(".")
        if mixture in mixtures:
            found.setdefault(mixture, {})[source] = value
        else:
            found[name] = value
    return found


def names_of(mixture: str, shares: Shares) -> list[str]:
    """Return the names of the parameters of a mixture."""
    return [share_name(mixture, source) for source in shares.of]


def normalized(mixtures: Mapping[str, Shares], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with the shares of complete mixtures scaled to a sum of 1, if it is 1 but for rounding.

    Others, and shares outside their bounds, stay as they are.
    """
    found = dict(params)
    for mixture, shares in mixtures.items():
        names = names_of(mixture, shares)
        values = [_number(params.get(name)) for name in names]
        if all(math.isfinite(v) and v >= 0.0 for v in values) and abs(math.fsum(values) - 1.0) <= ROUNDED:
            exact = simplex.scaled(values, shares.lows, shares.highs)
            if all(abs(a - b) <= 2.0 * ROUNDED * max(a, b) + 2e-6 for a, b in zip(exact, values, strict=True)):
                found |= dict(zip(names, exact, strict=True))
    return found


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return float(value) if is_number else math.nan


def mended(shares: Shares, given: Mapping[str, float], keep: Collection[str] = ()) -> dict[str, float]:
    """Return the shares of every source, in proportion to what was given, within the bounds.

    Args:
        shares: the mixture.
        given: numbers of at least 0 by source; the missing ones divide what the given ones leave.
        keep: sources whose share does not change, if the bounds of the others leave that.
    """
    known = {name: max(value, 0.0) for name, value in given.items() if name in shares.of}
    fixed = set(keep) & set(known) or (set(known) if len(known) < len(shares.of) else set())
    values = list({**shares.middle, **known}.values())
    bounds = list(zip(shares.of, values, shares.lows, shares.highs, strict=True))
    held = [(min(max(v, a), b),) * 2 if name in fixed else (a, b) for name, v, a, b in bounds]
    lows, highs = [low for low, _ in held], [high for _, high in held]
    if not math.fsum(lows) <= 1.0 + EXACT <= math.fsum(highs) + 2 * EXACT:
        lows, highs = list(shares.lows), list(shares.highs)
    return dict(zip(shares.of, simplex.scaled(values, lows, highs), strict=True))


def overlaid(mixtures: Mapping[str, Shares], base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with changes, given by flat names; of a mixture that changes in part the rest is scaled.

    A mixture that cannot be made whole, because a share is not a number or leaves too little, stays as it was given.
    """
    found = {**base, **changes}
    for mixture, shares in mixtures.items():
        names = dict(zip(names_of(mixture, shares), shares.of, strict=True))
        given = {source: _number(changes[name]) for name, source in names.items() if name in changes}
        if not 0 < len(given) < len(names) or not all(value >= 0.0 for value in given.values()):
            continue
        middle = shares.middle
        known = {source: _number(base.get(name, middle[source])) for name, source in names.items()}
        whole = mended(shares, {**known, **given}, keep=given)
        if all(abs(whole[source] - share) <= ROUNDED for source, share in given.items()):
            found |= {name: whole[source] for name, source in names.items()}
    return found


def mended_params(
    mixtures: Mapping[str, Shares], params: Mapping[str, Any], keep: Collection[str] = ()
) -> dict[str, Any]:
    """Return the configuration with every mixture complete and of sum 1; without what does not name a share.

    Args:
        mixtures: of the space.
        params: values by flat names, valid but for the sums of mixtures.
        keep: flat names of the shares that do not change, if that is possible.
    """
    found = dict(params)
    for mixture, shares in mixtures.items():
        names = dict(zip(names_of(mixture, shares), shares.of, strict=True))
        given = {source: float(params[name]) for name, source in names.items() if name in params}
        if given:
            whole = mended(shares, given, [names[name] for name in keep if name in names])
            found |= {share_name(mixture, source): share for source, share in whole.items()}
    return found


def shares_at(mixtures: Mapping[str, Shares], coordinates: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of those mixtures that have a coordinate for every share."""
    complete = {n: shares for n, shares in mixtures.items() if all(p in coordinates for p in names_of(n, shares))}
    return from_coordinates(complete, coordinates)


def from_coordinates(mixtures: Mapping[str, Shares], coordinates: Mapping[str, float]) -> dict[str, float]:
    """Return the shares at coordinates in [0, 1]; of uniform coordinates they are uniform within minima."""
    found: dict[str, float] = {}
    for mixture, shares in mixtures.items():
        names = names_of(mixture, shares)
        sizes = [simplex.excess(min(max(coordinates[name], 0.0), 1.0)) for name in names]
        found |= dict(zip(names, simplex.from_sizes(sizes, shares.lows, shares.highs), strict=True))
    return found


def lattice(name: str, shares: Shares, parts: int, most: int) -> list[dict[str, float]]:
    """Return the mixtures whose shares are whole numbers of `parts`, within the bounds (Scheffe 1958).

    Of more than `most` that number is drawn, the same each time; above minima shares are parts of what these leave.
    """
    names, width = names_of(name, shares), 1.0 - math.fsum(shares.lows)
    found: dict[tuple[float, ...], None] = {}
    for whole in _compositions(parts, len(names), most):
        point = [low + width * count / parts for low, count in zip(shares.lows, whole, strict=True)]
        if all(share <= high + EXACT for share, high in zip(point, shares.highs, strict=True)):
            found[tuple(simplex.rounded(point, shares.lows, shares.highs))] = None
    return [dict(zip(names, point, strict=True)) for point in found]


def _compositions(total: int, count: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to write a number as a sum of `count` whole numbers; `most` random ones where there are more."""
    places, rng = range(total + count - 1), random.Random(0)  # noqa: S311  # not a secret
    is_all = math.comb(len(places), count - 1) <= most
    drawn = (tuple(sorted(rng.sample(places, count - 1))) for _ in range(most))
    for bars in itertools.combinations(places, count - 1) if is_all else drawn:
        edges = (-1, *bars, total + count - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(edges))


def row_mistakes(mixtures: Mapping[str, Shares], params: Mapping[str, Any]) -> Iterable[Mistake]:
    """Yield which mixtures of a configuration do not sum to 1, among those whose every share is there and valid."""
    for mixture, shares in mixtures.items():
        values = {source: _number(params.get(share_name(mixture, source))) for source in shares.of}
        total = math.fsum(values.values()) if all(math.isfinite(v) for v in values.values()) else 1.0
        if abs(total - 1.0) > EXACT:
            yield Mistake(mixture, sum_mistake(total, values))


def unknown_share(mixtures: Mapping[str, Shares], name: str, value: Any) -> str:
    """Return what is wrong with a name that is not a parameter, as far as mixtures explain it; "" if they do not."""
    mixture, _, source = name.rpartition(".")
    if name in mixtures:
        example = ", ".join(f'"{s}": {share:.3g}' for s, share in list(mixtures[name].middle.items())[:3])
        return f"{render_literal(value)} is not a mixture; expected shares by name, such as {{{example}}}"
    if mixture in mixtures:
        return f"is not a source of {mixture}{did_you_mean(source, mixtures[mixture].of)}"
    return ""
