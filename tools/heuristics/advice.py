"""The answer of a published rule: named numbers, the source, and warnings about inputs outside the measured range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.study.errors import Mistake, SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The answer of a rule.

    Attributes:
        values: numbers by name; names contain units.
        source: author, year, title and arXiv number.
        warnings: a sentence for each input outside the range on which the rule was measured.
    """

    values: Mapping[str, float]
    source: str
    warnings: tuple[str, ...] = ()


def check_positive(**inputs: float) -> None:
    """Check that all inputs are finite numbers above 0.

    Raises:
        SpecError: an input is not; the message names every one.
    """
    wrong = [
        Mistake(name, f"{value} is not valid; expected a number above 0")
        for name, value in inputs.items()
        if not 0 < value < 1e30
    ]
    if wrong:
        raise SpecError(wrong, where="the rule")


def range_warnings(name: str, value: float, low: float, high: float) -> tuple[str, ...]:
    """Return a sentence for a value outside the range on which a rule was measured; () for one inside."""
    if low <= value <= high:
        return ()
    return (f"{name} = {value:.3g} is outside of {low:.3g} to {high:.3g}, the range on which the rule was measured",)
