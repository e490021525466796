"""The interface of samplers: a snapshot of the study goes in, a suggested configuration comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Prediction
from tunesmith.study.trials.view import StudyView


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A configuration to try.

    Attributes:
        params: values of the active parameters.
        prediction: the predicted value of the first objective; None when there is no model.
        rationale: one line for the user.
    """

    params: Mapping[str, Value]
    prediction: Prediction | None = None
    rationale: str = ""


class Sampler(Protocol):
    """A classical optimizer.

    A suggestion is a pure function of the view: of its seed, its number and its trials. A study that was killed and
    resumed therefore continues as the uninterrupted one would. Only caches may be kept between calls.
    """

    def suggest(self, view: StudyView) -> Suggestion:
        """Return a valid configuration for trial `view.number` that differs from every one tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
