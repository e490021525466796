"""The types of parameter: Float, Int, Choice and Bool. Each has its valid values and maps them to [0, 1] and back.

Knows no search space and no study. The constructors refuse mistakes, so every parameter that exists is valid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import ConditionError, Value, same
from tunesmith.study.space.encoding import Bins, Scale
from tunesmith.study.space.grid import Grid, Numeric, real_grid, whole_grid
from tunesmith.study.space.numeric_checks import near, numeric_mistakes, off_grid

_FEWEST_ARMS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """Fields of every parameter. `when` makes it conditional; `help` is shown to people and to the LLM."""

    when: str | None = None
    help: str = ""

    def _require_valid(self) -> None:
        for key in fields(self):
            object.__setattr__(self, key.name, plain(getattr(self, key.name)))
        found = self._mistakes()
        if self.when is not None:
            try:
                conditions.parse(self.when)
            except ConditionError as error:
                found.append(Mistake("when", str(error)))
        if found:
            raise SpecError(found, where=f"this {type(self).__name__}")

    def _mistakes(self) -> list[Mistake]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Float(_Common):
    """A real number in [low, high].

    On a log scale with `log`; one of low, low + step, ... with `step`; with `multiple_of` or `power_of` one of the
    multiples of a number, or of its powers, that lie in the range.

    Raises:
        SpecError: the bounds, grid or default do not fit together.
    """

    kind: ClassVar[str] = "float"
    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    multiple_of: float | None = field(default=None, kw_only=True)
    power_of: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._require_valid()
        if self.default is not None:
            object.__setattr__(self, "default", float(self.default))

    def _mistakes(self) -> list[Mistake]:
        return numeric_mistakes(_as_given(self), is_int=False)

    @property
    def grid(self) -> Grid:
        """The values in the range."""
        return real_grid(_as_given(self))

    @property
    def cardinality(self) -> float:
        """The number of values; inf for every real number of the range."""
        return self.grid.count

    @property
    def scale(self) -> Scale:
        """The map to [0, 1]; by index if there is a grid."""
        return self.grid.scale

    @property
    def middle(self) -> float:
        """The middle of the range."""
        return self.from_unit(0.5)

    @property
    def rounding(self) -> float:
        """How far a number may be from a value of a range without steps to be meant as that value."""
        return 0.0 if self.log else 1e-12 * (self.high - self.low)

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        is_endless = isinstance(value, float) and not math.isfinite(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or is_endless:
            return f"{render_literal(value)} is not a finite number; expected one from {self.low!r} to {self.high!r}"
        if not self.low <= value <= self.high:
            return f"{render_literal(value)} is out of range; expected a number from {self.low!r} to {self.high!r}"
        nearest = self.clip(value)
        return None if near(nearest, value) else off_grid(_as_given(self), value, nearest)

    def clip(self, value: float) -> float:
        """Return the valid value nearest to `value`."""
        return float(self.grid.nearest(value))

    def to_unit(self, value: float) -> float:
        """Value -> coordinate in [0, 1]."""
        grid = self.grid
        return grid.scale.encode(grid.position(value))

    def from_unit(self, coordinate: float) -> float:
        """Coordinate -> value; the inverse of `to_unit` for every value that `from_unit` can return."""
        grid = self.grid
        return float(grid.at(grid.scale.decode(coordinate)))


@dataclass(frozen=True, slots=True)
class Int(_Common):
    """A whole number from low to high, both included; at most 10^18 wide.

    `step`, `multiple_of` and `power_of` leave some of them: low, low + step, ..., or the multiples of a number, or its
    powers.

    Raises:
        SpecError: the bounds, grid or default do not fit together.
    """

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int | None = field(default=None, kw_only=True)
    multiple_of: int | None = field(default=None, kw_only=True)
    power_of: int | None = field(default=None, kw_only=True)
    default: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._require_valid()

    def _mistakes(self) -> list[Mistake]:
        return numeric_mistakes(_as_given(self), is_int=True)

    @property
    def grid(self) -> Grid:
        """The values in the range."""
        return whole_grid(_as_given(self))

    @property
    def cardinality(self) -> float:
        """The number of values."""
        return self.grid.count

    @property
    def scale(self) -> Scale:
        """The map to [0, 1]; by index if the range is small enough."""
        return self.grid.scale

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{render_literal(value)} is not a whole number; expected one from {self.low} to {self.high}"
        if not self.low <= value <= self.high:
            return f"{render_literal(value)} is out of range; expected a whole number from {self.low} to {self.high}"
        nearest = self.clip(value)
        return None if nearest == value else off_grid(_as_given(self), value, nearest)

    def clip(self, value: float) -> int:
        """Return the valid value nearest to `value`."""
        return int(self.grid.nearest(value))

    def to_unit(self, value: int) -> float:
        """Value -> coordinate in [0, 1]."""
        grid = self.grid
        return grid.scale.encode(grid.position(value))

    def from_unit(self, coordinate: float) -> int:
        """Coordinate -> value; the inverse of `to_unit` for every value that `from_unit` can return."""
        grid = self.grid
        return int(grid.at(grid.scale.decode(coordinate)))


@dataclass(frozen=True, slots=True)
class Choice(_Common):
    """One of several values; `ordered` when neighbours resemble each other (16, 32, 64).

    With `arms` its values are algorithms: each runs once, and trials are divided by what each may still reach.

    Raises:
        SpecError: no choices, a choice twice, or a default that is none of them.
    """

    kind: ClassVar[str] = "choice"
    choices: Sequence[Value]
    ordered: bool = field(default=False, kw_only=True)
    arms: bool = field(default=False, kw_only=True)
    default: Value = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(plain(choice) for choice in self.choices))
        self._require_valid()
        if self.default is not None:
            object.__setattr__(self, "default", self.clip(self.default))

    def _mistakes(self) -> list[Mistake]:
        if not self.choices:
            return [Mistake("choices", "is empty; expected at least one value")]
        found = []
        for index, value in enumerate(self.choices):
            if any(same(value, earlier) for earlier in self.choices[:index]):
                found.append(Mistake("choices", f"{render_literal(value)} is listed twice; remove one"))
            if isinstance(value, float) and not math.isfinite(value):
                found.append(
                    Mistake(
                        "choices", f"{value!r} is not a valid choice; expected a finite number, a text, true or false"
                    )
                )
        if self.default is not None and self.invalid_reason(self.default):
            found.append(Mistake("default", str(self.invalid_reason(self.default))))
        return [*found, *self._arms_mistakes()]

    def _arms_mistakes(self) -> Iterator[Mistake]:
        if not isinstance(self.arms, bool):
            yield Mistake("arms", f"{render_literal(self.arms)} is not valid here; expected true or false")
        elif self.arms and self.ordered:
            yield Mistake("arms", "is for algorithms, which have no order; remove arms or ordered")
        elif self.arms and self.when is not None:
            yield Mistake("arms", "needs a choice that every trial has; remove arms or when")
        elif self.arms and len(self.choices) < _FEWEST_ARMS:
            yield Mistake("arms", "needs at least two choices; add one or remove arms")

    @property
    def cardinality(self) -> float:
        """The number of values."""
        return len(self.choices)

    @property
    def scale(self) -> Scale:
        """By index."""
        return Bins(len(self.choices))

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        if isinstance(value, str | int | float | None) and any(same(value, choice) for choice in self.choices):
            return None
        near = did_you_mean(str(value), [str(choice) for choice in self.choices])
        choices = render_literal(list(self.choices), longest=200)
        return f"{render_literal(value)} is not one of {choices}{near if 'did you mean' in near else ''}"

    def clip(self, value: Value) -> Value:
        """Return the choice equal to `value`; the first one when there is none."""
        return next((choice for choice in self.choices if same(choice, value)), self.choices[0])

    def to_unit(self, value: Value) -> float:
        """Value -> coordinate in [0, 1]: the centre of its bin."""
        return self.scale.encode(next(i for i, choice in enumerate(self.choices) if same(choice, value)))

    def from_unit(self, coordinate: float) -> Value:
        """Coordinate -> choice."""
        return self.choices[int(self.scale.decode(coordinate))]


@dataclass(frozen=True, slots=True)
class Bool(_Common):
    """True or False."""

    kind: ClassVar[str] = "bool"
    default: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._require_valid()

    def _mistakes(self) -> list[Mistake]:
        if self.default is not None and not isinstance(self.default, bool):
            return [Mistake("default", f"{render_literal(self.default)} is not valid here; expected true or false")]
        return []

    @property
    def cardinality(self) -> float:
        """Two."""
        return 2

    @property
    def scale(self) -> Scale:
        """False, then True."""
        return Bins(2)

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        return None if isinstance(value, bool) else f"{render_literal(value)} is not valid here; expected true or false"

    def clip(self, value: Value) -> bool:
        """Return the truth of `value`."""
        return bool(value)

    def to_unit(self, value: bool) -> float:
        """Value -> 0.25 or 0.75."""
        return self.scale.encode(int(value))

    def from_unit(self, coordinate: float) -> bool:
        """Coordinate -> value."""
        return bool(self.scale.decode(coordinate))


Parameter: TypeAlias = Float | Int | Choice | Bool
KINDS: dict[str, type[Parameter]] = {cls.kind: cls for cls in (Float, Int, Choice, Bool)}


def _as_given(parameter: Float | Int) -> Numeric:
    p = parameter
    return Numeric(p.low, p.high, p.default, p.step, p.multiple_of, p.power_of, p.log)


def has_default(parameter: Parameter) -> bool:
    """Return whether the user gave a default; None is one only if it is among the choices."""
    return parameter.default is not None or (isinstance(parameter, Choice) and None in parameter.choices)


def middle_value(parameter: Parameter) -> Value:
    """Return the value of a parameter without a default: the middle of its range, the first choice, or False."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        return parameter.choices[0]
    if isinstance(parameter, Float):
        return parameter.middle
    return False if isinstance(parameter, Bool) else parameter.from_unit(0.5)


def imputed_value(parameter: Parameter) -> Value:
    """Return the user's default, or the middle of the range."""
    return parameter.default if has_default(parameter) else middle_value(parameter)


def plain(given: Any) -> Any:
    """Return a scalar of NumPy or the like as Python's own, and an enum's member as its value; all else as it is."""
    if isinstance(given, Enum):
        return plain(given.value)
    item = getattr(given, "item", None)
    return item() if callable(item) and getattr(given, "ndim", None) == 0 else given
