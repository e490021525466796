"""The one gain over the default that every command and file states, and what it is a gain of."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.study.trials.results import MAX_RELATIVE_GAIN, percent_text, relative_gain
from tunesmith.study.trials.view import Objective
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.significance import Difference, paired
from tunesmith.tools.analysis.findings.figures import ConfigResult

TUNING = "tuning"
"""What a gain is of that rests on the values that the choice was made by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedGain:
    """How much better the study's choice is than the default.

    Attributes:
        value: in the metric's units; above 0 is better.
        default: the default's value, or its mean, that it is measured against.
        fraction: `value` as a part of the size of `default`; None around zero, where that says nothing.
        of: "tuning", "fresh seeds", "held-out instances" or "hidden data".
    """

    value: float
    default: float
    fraction: float | None
    of: str

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was chosen by the values that it rests on, or only what hidden data chose."""
        return self.of != TUNING

    @property
    def where(self) -> str:
        """What the gain is of, to put behind it: "in tuning", "on fresh seeds"."""
        return f"{'on' if self.is_fresh else 'in'} {self.of}"

    @property
    def signed(self) -> str:
        """The gain with what it is of, worse below 0: "51% on fresh seeds", "-0.31 in tuning"."""
        size = percent_text(self.fraction) if self.fraction is not None else short_number(self.value)
        return f"{size} {self.where}"

    @property
    def text(self) -> str:
        """The gain as text: "51% better", or "0.31 worse" where a fraction says nothing."""
        size = percent_text(abs(self.fraction)) if self.fraction is not None else short_number(abs(self.value))
        return f"{size} {'better' if self.value >= 0 else 'worse'}"


def stated_gain(
    best: ConfigResult | None,
    default: ConfigResult | None,
    objective: Objective,
    versus: Difference | None,
    *,
    is_confirmed: bool,
) -> StatedGain | None:
    """Return the gain of the choice over the default: on what it was confirmed on, else in tuning.

    Args:
        best: the choice; None without one.
        default: what gains are measured against; None without it.
        objective: the first one.
        versus: their difference on fresh runs, where both have enough.
        is_confirmed: whether the choice counts as confirmed, or hidden data made it.
    """
    if best is None or default is None:
        return None
    ours, theirs = best.confirmed, default.confirmed
    if ours is None or theirs is None or not (is_confirmed or versus is not None):
        fraction = relative_gain(best.value, default.value, objective)
        value = objective.sign * (default.value - best.value)
        return StatedGain(value=value, default=default.value, fraction=fraction, of=TUNING)
    if versus is not None:
        value = versus.gain
    else:
        pairs = paired(ours, theirs) if ours.instances and theirs.instances else None
        value = objective.sign * (pairs.mean if pairs is not None else theirs.mean - ours.mean)
    size = abs(theirs.mean)
    says_nothing = not size or theirs.mean * ours.mean < 0 or abs(value) > size * MAX_RELATIVE_GAIN
    fraction = None if says_nothing else value / size
    return StatedGain(value=value, default=theirs.mean, fraction=fraction, of=best.fresh)
