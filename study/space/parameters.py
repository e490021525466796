"""The types of parameter: Float, Int, Choice and Bool. Each has its valid values and maps them to [0, 1] and back.

Knows no search space and no study. The constructors refuse mistakes, so every parameter that exists is valid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import ConditionError, Value, same
from tunesmith.study.space.encoding import EXACT_BINS, Bins, Integers, Linear, Log, Scale
from tunesmith.study.space.numeric_checks import Numeric, near, numeric_mistakes


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
    """A real number in [low, high]: on a log scale with `log`, one of low, low + step, ... with `step`.

    Raises:
        SpecError: the bounds, step or default do not fit together.
    """

    kind: ClassVar[str] = "float"
    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._require_valid()
        if self.default is not None:
            object.__setattr__(self, "default", float(self.default))

    def _mistakes(self) -> list[Mistake]:
        return numeric_mistakes(Numeric(self.low, self.high, self.default, self.step, self.log, is_int=False))

    @property
    def cardinality(self) -> float:
        """The number of values; inf without a step."""
        return math.inf if self.step is None else _steps(self.low, self.high, self.step)

    @property
    def scale(self) -> Scale:
        """The map to [0, 1]; by index if there is a step."""
        if self.step is not None:
            return Bins(_steps(self.low, self.high, self.step))
        return Log(self.low, self.high) if _is_log(self) else Linear(self.low, self.high)

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        is_endless = isinstance(value, float) and not math.isfinite(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or is_endless:
            return f"{render_literal(value)} is not a finite number; expected one from {self.low!r} to {self.high!r}"
        if not self.low <= value <= self.high:
            return f"{value!r} is out of range; expected a number from {self.low!r} to {self.high!r}"
        if self.step is not None and not near(self.clip(value), value):
            return f"{value!r} is not on the grid of step = {self.step!r}; the nearest value is {self.clip(value)!r}"
        return None

    def clip(self, value: float) -> float:
        """Return the valid value nearest to `value`."""
        inside = float(min(max(value, self.low), self.high))
        return inside if self.step is None else self._at(round((inside - self.low) / self.step))

    def to_unit(self, value: float) -> float:
        """Value -> coordinate in [0, 1]."""
        return self.scale.encode(value if self.step is None else round((value - self.low) / self.step))

    def from_unit(self, coordinate: float) -> float:
        """Coordinate -> value; the inverse of `to_unit` for every value that `from_unit` can return."""
        decoded = self.scale.decode(coordinate)
        return float(decoded) if self.step is None else self._at(decoded)

    def _at(self, index: float) -> float:
        step = self.step or 0.0
        last = _steps(self.low, self.high, step) - 1
        # 0.1 * 3 is 0.30000000000000004; a grid of decimals should read 0.3.
        return float(min(max(float(f"{self.low + min(max(index, 0), last) * step:.15g}"), self.low), self.high))


@dataclass(frozen=True, slots=True)
class Int(_Common):
    """A whole number from low to high, both included; at most 10^18 wide.

    Raises:
        SpecError: the bounds, step or default do not fit together.
    """

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int | None = field(default=None, kw_only=True)
    default: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._require_valid()

    def _mistakes(self) -> list[Mistake]:
        return numeric_mistakes(Numeric(self.low, self.high, self.default, self.step, self.log, is_int=True))

    @property
    def cardinality(self) -> float:
        """The number of values."""
        return (self.high - self.low) // (self.step or 1) + 1

    @property
    def scale(self) -> Scale:
        """The map to [0, 1]; by index if the range is small enough."""
        if self.step is not None or (not _is_log(self) and self.cardinality <= EXACT_BINS):
            return Bins(int(self.cardinality))
        return Integers(self.low, self.high, _is_log(self))

    def invalid_reason(self, value: object) -> str | None:
        """Return why `value` is not valid here, None if it is."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{render_literal(value)} is not a whole number; expected one from {self.low} to {self.high}"
        if not self.low <= value <= self.high:
            return f"{value!r} is out of range; expected a whole number from {self.low} to {self.high}"
        if (value - self.low) % (self.step or 1):
            return f"{value!r} is not on the grid of step = {self.step}; the nearest value is {self.clip(value)}"
        return None

    def clip(self, value: float) -> int:
        """Return the valid value nearest to `value`."""
        step, inside = self.step or 1, min(max(round(value), self.low), self.high)
        # Whole numbers only: a quotient of floats loses the last digits beyond 2^53.
        index = (inside - self.low + step // 2) // step
        return self.low + min(index, (self.high - self.low) // step) * step

    def to_unit(self, value: int) -> float:
        """Value -> coordinate in [0, 1]."""
        scale = self.scale
        return scale.encode((value - self.low) // (self.step or 1) if isinstance(scale, Bins) else value)

    def from_unit(self, coordinate: float) -> int:
        """Coordinate -> value; the inverse of `to_unit` for every value that `from_unit` can return."""
        scale = self.scale
        decoded = int(scale.decode(coordinate))
        return self.low + decoded * (self.step or 1) if isinstance(scale, Bins) else decoded


@dataclass(frozen=True, slots=True)
class Choice(_Common):
    """One of several values; `ordered` when neighbours resemble each other (16, 32, 64).

    Raises:
        SpecError: no choices, a choice twice, or a default that is none of them.
    """

    kind: ClassVar[str] = "choice"
    choices: Sequence[Value]
    ordered: bool = field(default=False, kw_only=True)
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
        return found

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


def _is_log(parameter: Float | Int) -> bool:
    """Return whether the log scale applies; on a very narrow range it differs from the linear one by rounding only."""
    return parameter.log and parameter.high / parameter.low > 1 + 1e-6


def has_default(parameter: Parameter) -> bool:
    """Return whether the user gave a default; None is one only if it is among the choices."""
    return parameter.default is not None or (isinstance(parameter, Choice) and None in parameter.choices)


def middle_value(parameter: Parameter) -> Value:
    """Return the value of a parameter without a default: the middle of its range, the first choice, or False."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        return parameter.choices[0]
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


def _steps(low: float, high: float, step: float) -> int:
    # 0.1 to 0.7 by 0.1 has seven values, although (0.7 - 0.1) / 0.1 falls just short of 6.
    return math.floor((high - low) / step * (1 + 1e-12) + 1e-9) + 1
