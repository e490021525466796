"""Makes what a file, a model or a person gives a parameter's own value. Every door uses it; knows no search space.

The value of a choice is the choice itself and not what equals it: 16 and not 16.0 or "16" where 16 is the choice, the
text "None" for null where the study spells it. An Int keeps every digit, a Float is a float. What fits no value of the
parameter stays as it is, so that the parameter refuses it with its own words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, TypeAlias

from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.numeric_checks import near
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter, plain

_TRUE, _FALSE = ("true", "yes", "on", "1", "1.0"), ("false", "no", "off", "0", "0.0")
_NONE = ("none", "null")
_LONGEST_NUMBER = 400
"""Characters of a text that may be a number; more digits than a double or an Int can have take long to convert."""
_ROUNDING = 1e-9
"""Relative error of a value that went through somebody's logarithm and back."""

_Test: TypeAlias = Callable[[Value, Any], bool]


def own_value(parameter: Parameter | None, given: Any) -> Any:
    """Return the parameter's value that was meant; what fits none, or a parameter of None, as a plain value.

    Args:
        parameter: the parameter; None where a name is not known.
        given: a number, text, bool or None; also a scalar of NumPy, or an enum's member.
    """
    value = plain(given)
    match parameter:
        case Choice():
            return _choice(parameter, value, given)
        case Bool():
            return _truth(value)
        case Int():
            return _whole(value)
        case Float():
            return _real(parameter, value)
    return value


def config_key(params: Mapping[str, Value]) -> str:
    """Return a text that is equal for equal configurations and different for different ones; 16.0 equals 16."""
    return json.dumps({name: _canonical(value) for name, value in params.items()}, sort_keys=True)


def _canonical(value: Any) -> Any:
    value = plain(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _choice(parameter: Choice, value: Any, given: Any) -> Any:
    """Return the choice that the value is; of several that could be meant, the most alike."""
    if not isinstance(value, str | int | float | Decimal | Fraction | None):
        return value
    tests: tuple[_Test, ...] = (_is_identical, same, _is_spelled, _is_meant)
    for test in tests:
        for choice in parameter.choices:
            if test(choice, value):
                return choice
    # A choice of 0.1 in single precision is 0.10000000149.
    narrowed = (c for c in parameter.choices if value is not given and _is_narrowed(c, given))
    return next(narrowed, value)


def _is_identical(choice: Value, value: Any) -> bool:
    return type(choice) is type(value) and choice == value


def _is_spelled(choice: Value, value: Any) -> bool:
    return isinstance(value, str) and str(choice) == value.strip()


def _is_meant(choice: Value, value: Any) -> bool:
    """Return whether one of the two is the text of the other, in the spelling of any file: 16.0, TRUE, null."""
    if not isinstance(choice, str) and not isinstance(value, str | Decimal | Fraction):
        return False
    texts = [str(one).strip().lower() for one in (choice, value)]
    if texts[0] == texts[1] or all(text in _NONE for text in texts):
        return True
    if isinstance(choice, bool | None) or isinstance(value, bool | None):
        return False
    if isinstance(choice, str) and isinstance(value, str):
        return False  # "1.10" may be another version than "1.1"
    first, second = _exact(choice), _exact(value)
    if first is None or second is None:
        return False
    # As a double, 0.1 is not the decimal that a text spells.
    return first == second or (isinstance(choice, float) and float(second) == choice)


def _is_narrowed(choice: Value, given: Any) -> bool:
    if not isinstance(choice, float):
        return False
    try:
        return bool(type(given)(choice) == given)
    except (TypeError, ValueError, OverflowError):
        return False


def _truth(value: Any) -> Any:
    word = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    return word in _TRUE if word in (*_TRUE, *_FALSE) else value


def _whole(value: Any) -> Any:
    """Return a whole number as an int with every digit."""
    number = _exact(value)
    if number is None:
        return value
    nearest = round(number)
    # 63.99999999999 is 64 after a logarithm and back; beyond 2^53 every digit counts.
    is_rounded = -(2**53) < number < 2**53 and math.isclose(number, nearest, rel_tol=_ROUNDING)
    return nearest if number == nearest or is_rounded else value


def _real(parameter: Float, value: Any) -> Any:
    """Return a number as a float, on the grid and within the range where it misses them by its last digits only."""
    try:
        exact = value if isinstance(value, float) else _exact(value)
        number = math.nan if exact is None else float(exact)
    except OverflowError:
        return value
    if not math.isfinite(number):
        return value
    nearest = parameter.clip(number)
    if math.isfinite(parameter.cardinality):
        return (nearest if near(nearest, number) else number) + 0.0
    is_near = math.isclose(number, nearest, rel_tol=_ROUNDING, abs_tol=parameter.rounding)
    # -0.0 and 0.0 are one value.
    return (nearest if is_near else number) + 0.0


def _exact(value: Any) -> int | Fraction | None:
    """Return a number, or the number that a text is, with every digit; None for anything else, nan and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal | Fraction):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return None
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else value
        # 1e999999999 would be written out with a billion digits.
        if isinstance(number, Decimal) and abs(number.adjusted()) > _LONGEST_NUMBER:
            return None
        return Fraction(number)
    except (InvalidOperation, ValueError, OverflowError):
        return None
