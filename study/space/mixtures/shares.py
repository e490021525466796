"""The parameter type Shares: what parts of a whole several sources have, such as the sources of training data.

A search space holds one parameter for each share, `mix.code`; each is a Share, which knows the whole. The constructor
refuses mistakes, so every Shares that exists is valid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, TypeAlias

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.space.grid import Grid
from tunesmith.study.space.mixtures import simplex
from tunesmith.study.space.mixtures.checks import bound_of, shares_mistakes
from tunesmith.study.space.mixtures.scale import ExcessScale, ShareGrid
from tunesmith.study.space.parameters import Float, Parameter, _Common, plain

Bound: TypeAlias = float | Mapping[str, float]
"""One number for every share, or numbers by the names of shares."""


@dataclass(frozen=True, slots=True)
class Shares(_Common):
    """Shares of several sources that sum to 1.

    Attributes:
        of: the names of the sources, at least two.
        min: the smallest share of each source, or smallest shares by name; 0 where none is given.
        max: the largest share of each source, or largest shares by name; 1 where none is given.
        default: shares by name, or in the order of `of`; None for no default.

    Raises:
        SpecError: names, bounds or default do not fit together.
    """

    kind: ClassVar[str] = "shares"
    of: Sequence[str]
    min: Bound = field(default=0.0, kw_only=True)
    max: Bound = field(default=1.0, kw_only=True)
    default: Mapping[str, float] | Sequence[float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.of, Sequence) and not isinstance(self.of, str):
            object.__setattr__(self, "of", tuple(plain(name) for name in self.of))
        for key in ("min", "max", "default"):
            given = getattr(self, key)
            if isinstance(given, Mapping):
                object.__setattr__(self, key, {name: plain(value) for name, value in given.items()})
            elif isinstance(given, Sequence) and not isinstance(given, str):
                object.__setattr__(self, key, tuple(plain(value) for value in given))
        self._require_valid()
        if self.default is not None:
            exact = simplex.scaled(list(_by_name(self.default, self.of).values()), self.lows, self.highs)
            object.__setattr__(self, "default", dict(zip(self.of, exact, strict=True)))

    def __hash__(self) -> int:
        return hash(self.of)

    def _mistakes(self) -> list[Mistake]:
        return shares_mistakes(self.of, self.min, self.max, self.default)

    @property
    def lows(self) -> tuple[float, ...]:
        """The smallest share of each source, as it was given."""
        return tuple(bound_of(self.min, name, 0.0) for name in self.of)

    @property
    def highs(self) -> tuple[float, ...]:
        """The largest share of each source, as it was given."""
        return tuple(bound_of(self.max, name, 1.0) for name in self.of)

    @property
    def middle(self) -> dict[str, float]:
        """The equal shares, or the nearest to them that the bounds allow."""
        return dict(zip(self.of, _equal_shares(self.lows, self.highs), strict=True))

    def parameters(self, name: str) -> dict[str, Parameter]:
        """Return the parameters of a mixture of this name, such as `mix.code`."""
        return {share_name(name, source): Share.of_source(self, source) for source in self.of}


@dataclass(frozen=True, slots=True)
class Share(Float):
    """One share of a mixture; its range is what the bounds of the others leave.

    Attributes:
        shares: the whole.
        source: its name in the whole.
        base: the minimum that was given for it.
        width: what all minima leave of 1.
    """

    kind: ClassVar[str] = "share"
    shares: Shares = field(kw_only=True)
    source: str = field(kw_only=True)
    base: float = field(kw_only=True)
    width: float = field(kw_only=True)

    @staticmethod
    def of_source(shares: Shares, source: str) -> Share:
        """Return the parameter of one source."""
        index = shares.of.index(source)
        lows, highs = shares.lows, shares.highs
        low = max(lows[index], 1.0 - sum(highs) + highs[index])
        high = min(highs[index], 1.0 - sum(lows) + lows[index])
        default = shares.default[source] if isinstance(shares.default, Mapping) else None
        return Share(
            round(low, 6), round(high, 6), default=default, shares=shares, source=source, base=lows[index],
            width=1.0 - sum(lows), when=shares.when, help=shares.help,
        )  # fmt: skip

    @property
    def grid(self) -> Grid:
        """The millionths in the range."""
        return ShareGrid(ExcessScale(self.low, self.high, self.base, self.width))

    @property
    def middle(self) -> float:
        """The share in the middle of the mixture's bounds."""
        return self.shares.middle[self.source]

    @property
    def rounding(self) -> float:
        """Half a step of the grid."""
        return 0.5 / simplex.MILLION + 1e-12

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        expected = f"expected a share from {self.low!r} to {self.high!r}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            return f"{render_literal(value)} is not a finite number; {expected}"
        within = self.low - self.rounding <= value <= self.high + self.rounding
        return None if within else f"{render_literal(value)} is out of range; {expected}"


@lru_cache(maxsize=64)
def _equal_shares(lows: tuple[float, ...], highs: tuple[float, ...]) -> tuple[float, ...]:
    """Return the shares nearest to equal ones; kept, since every completed configuration asks for them."""
    return tuple(simplex.scaled([1.0] * len(lows), lows, highs))


def share_name(mixture: str, source: str) -> str:
    """Return the name of the parameter of one share."""
    return f"{mixture}.{source}"


def _by_name(given: Mapping[str, float] | Sequence[float], names: Sequence[str]) -> dict[str, float]:
    return {n: given[n] for n in names} if isinstance(given, Mapping) else dict(zip(names, given, strict=True))
