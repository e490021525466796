"""Finds the allowed configuration nearest to a forbidden one, and how much of a space its rules leave.

First one parameter changes, then two: to its other values from the nearest on, and to those at which a rule's two sides
meet. Then all change, at random. Deterministic: the same configuration is repaired in the same way.
"""

from __future__ import annotations

import ast
import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Params, Value
from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.space.rules.expression import Expression, ExpressionError, evaluator

if TYPE_CHECKING:
    from tunesmith.study.space.space import SearchSpace

SAMPLES = 1000
"""Number of random configurations by which the allowed part of a space is estimated."""

_LISTED = 64
"""Largest number of values that are all tried; of a finer parameter, values at growing distances."""

_DISTANCES = (0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
_PAIRS = 1500
"""Largest number of configurations with two changed parameters that are tried."""

_DRAWS = 3000
"""Largest number of random configurations that are tried."""


def nearest_allowed(space: SearchSpace, params: Params, *, keep: Sequence[str] = ()) -> dict[str, Value]:
    """Return the configuration itself if no rule forbids it, else a near one that is allowed.

    Args:
        space: the search space.
        params: an active and otherwise valid configuration.
        keep: names of parameters that do not change.

    Raises:
        SpaceExhausted: none was found.
    """
    if not space.broken_rule(params):
        return dict(params)
    for candidate in _candidates(space, params, frozenset(keep)):
        if not space.broken_rule(candidate):
            return candidate
    raise SpaceExhausted(f"no configuration was found that is allowed: {space.broken_rule(params)}")


def allowed_fraction(space: SearchSpace, *, samples: int = SAMPLES) -> float:
    """Return the part of the space that no rule forbids, estimated from random configurations."""
    if not space.relations:
        return 1.0
    rng = random.Random(0)  # noqa: S311  # not a secret
    drawn = (space.unrepaired([rng.random() for _ in space.names]) for _ in range(samples))
    return sum(not space.broken_rule(params) for params in drawn) / samples


def _candidates(space: SearchSpace, params: Params, keep: frozenset[str]) -> Iterator[dict[str, Value]]:
    deciding = [n for n in space.names if n in space.deciding_with_guards and n not in keep]
    yield from _with_one_changed(space, params, deciding)
    count = 0
    for first in _with_one_changed(space, params, deciding):
        for second in _met(space, first, deciding):
            yield second
            count += 1
        if count > _PAIRS:
            break
    yield from _drawn(space, params, deciding)


def _with_one_changed(space: SearchSpace, params: Params, names: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Yield configurations with one parameter changed, smaller steps of all parameters first."""
    yield from _met(space, params, names)
    moves = [
        (distance, name, value) for name in names if name in params for distance, value in _others(space, params, name)
    ]
    for _, name, value in sorted(moves, key=lambda move: move[0]):
        yield space.with_value(params, name, value)


def _others(space: SearchSpace, params: Params, name: str) -> Iterator[tuple[float, Value]]:
    """Yield the other values of a parameter, each with its distance in the unit cube."""
    parameter = space.parameters[name]
    here = parameter.to_unit(params[name])  # type: ignore[arg-type]  # each kind takes its own type
    if parameter.cardinality <= _LISTED:
        count = int(parameter.cardinality)
        coordinates = [(i + 0.5) / count for i in range(count)]
        if not isinstance(parameter, Choice | Float | Int):
            coordinates = [0.25, 0.75]
    else:
        coordinates = [u for d in _DISTANCES for u in (here - d, here + d) if 0.0 <= u <= 1.0]
    for u in coordinates:
        value = parameter.from_unit(u)
        if value != params[name]:
            unordered = isinstance(parameter, Choice) and not parameter.ordered
            yield (0.5 if unordered else abs(u - here)), value


def _met(space: SearchSpace, params: Params, names: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Yield configurations in which a parameter takes the value at which the two sides of a comparison meet."""
    known = space.relations.known_values(params)
    for rule in space.relations.rules:
        if not all(name in known for name in rule.names):
            continue
        for name, target in _targets(rule, known):
            parameter = space.parameters.get(name)
            if name not in names or name not in params or not isinstance(parameter, Float | Int):
                continue
            step = 1 if isinstance(parameter, Int) else 0
            for value in dict.fromkeys([parameter.clip(target), *(parameter.clip(target + d) for d in (step, -step))]):
                if value != params[name]:
                    yield space.with_value(params, name, value)


def _targets(rule: Expression, known: Params) -> Iterator[tuple[str, float]]:
    """Yield names with the values that the formulas they are compared with have, and with multiples of divisors."""
    for node in ast.walk(rule.tree):
        match node:
            case ast.Compare(left=left, comparators=[right]):
                for name, other in ((left, right), (right, left)):
                    if isinstance(name, ast.Name):
                        yield from ((name.id, value) for value in _values_of(other, known))
            case ast.BinOp(left=ast.Name(id=name), op=ast.Mod(), right=divisor):
                for size in _values_of(divisor, known):
                    value = known[name]
                    if size and isinstance(value, int | float):
                        quotient = math.floor(value / size)
                        yield from ((name, size * q) for q in (quotient, quotient + 1, 1))


def _values_of(node: ast.expr, known: Params) -> Iterator[float]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return
    try:
        value = evaluator(node).value(known)
    except (ExpressionError, KeyError):
        return
    if isinstance(value, int | float) and abs(value) < 1e18:
        yield value


def _drawn(space: SearchSpace, params: Params, names: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Yield configurations whose deciding parameters are random: near the given one first, then anywhere."""
    rng = random.Random(repr(sorted(params.items())))  # noqa: S311  # not a secret
    centre = dict(zip(space.names, space.to_unit(params), strict=True))
    for index in range(_DRAWS):
        spread = 0.1 + 0.9 * index / _DRAWS
        drawn = dict(centre)
        for name in names:
            if index % 3 == 0 or rng.random() < spread:
                drawn[name] = rng.random()
            else:
                drawn[name] = min(max(rng.gauss(centre[name], spread / 2), 0.0), 1.0)
        candidate = space.unrepaired(list(drawn.values()))
        yield candidate
        yield from _met(space, candidate, names)
