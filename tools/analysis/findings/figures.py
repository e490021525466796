"""One configuration with its values, and figures as text. Every ± is half the width of a 95% interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.mean_interval import margin_text
from tunesmith.study.trials.results import percent_text
from tunesmith.tools.analysis.confirmation.significance import Sample

HIDDEN_DATA = "hidden data"
"""What a choice rests on that the command of [confirm] made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigResult:
    """One configuration with its tuning value and its values on fresh seeds.

    Attributes:
        number: the number of its first trial.
        value: tuning value of the first objective, in the metric's own direction.
        confirmed: values of the first objective on fresh seeds; None when it was not replicated.
        fresh: what these values come from: "fresh seeds", "held-out instances" or "hidden data".
    """

    number: int
    source: str
    params: Mapping[str, Value]
    values: Mapping[str, float]
    value: float
    confirmed: Sample | None = None
    fresh: str = "fresh seeds"

    @property
    def is_hidden(self) -> bool:
        """Whether `confirmed` are values on hidden data."""
        return self.fresh == HIDDEN_DATA


def confirmed_text(found: ConfigResult) -> str:
    """Return the value that nothing was chosen by: "0.2049 ± 0.0021 on 5 fresh seeds"; "" if it has none."""
    return "" if found.confirmed is None else f"{plus_minus(found.confirmed)} on {runs_text(found)}"


def runs_text(found: ConfigResult) -> str:
    """Return "5 fresh seeds", or "5 runs on held-out instances": a few instances run on several seeds each."""
    count = found.confirmed.count if found.confirmed is not None else 0
    if "seeds" in found.fresh:
        return f"{count} {found.fresh}"
    return f"{count} runs on {found.fresh}" if count != 1 else found.fresh


def gain_text(gain: float) -> str:
    """Return a gain as text: "51% better", "0.3% worse", "733% better"."""
    return f"{percent_text(abs(gain))} {'better' if gain >= 0 else 'worse'}"


def plus_minus(found: Sample) -> str:
    """Return the mean with half the width of its 95% interval: "0.2049 ± 0.0021"; only the mean for one value."""
    return margin_text(found.mean, found.margin)


def probability_text(probability: float) -> str:
    """Return a probability with three decimals, "> 0.999" or "< 0.001"."""
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"
