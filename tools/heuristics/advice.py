"""What a rule answers: named numbers, where it is from, and what lies outside of what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.study.errors import Mistake, SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A rule's answer.

    Attributes:
        values: numbers by name; names carry units.
        source: author, year, and where to read it.
        outside: a sentence for each input beyond the rule's range of validity; it answers all the same.
    """

    values: Mapping[str, float]
    source: str
    outside: tuple[str, ...] = ()


def positive(**inputs: float) -> None:
    """Check inputs.

    Raises:
        SpecError: one of them is not above 0, or no finite number.
    """
    wrong = [
        Mistake(name, f"is {value}; give a number above 0") for name, value in inputs.items() if not 0 < value < 1e30
    ]
    if wrong:
        raise SpecError(wrong, where="the rule")


def outside(name: str, value: float, low: float, high: float) -> tuple[str, ...]:
    """Return a sentence when a value lies outside of the range that a rule was measured on."""
    if low <= value <= high:
        return ()
    return (f"{name} = {value:.3g} lies outside of {low:.3g} to {high:.3g}, on which the rule was measured",)
