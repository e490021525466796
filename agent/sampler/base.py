"""Who may propose, and what they answer. A proposer sees a snapshot of the study and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Prediction
from tunesmith.study.trials.view import StudyView


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A configuration to try: the active parameters, what is expected of it, and why in one line."""

    params: Mapping[str, Value]
    prediction: Prediction | None = None
    rationale: str = ""


class Sampler(Protocol):
    """A classical optimizer.

    A suggestion is a pure function of the view: of its seed, its number and its trials. So a study that was killed and
    resumed goes on as the uninterrupted one would. Nothing may be kept between calls but caches.
    """

    def suggest(self, view: StudyView) -> Suggestion:
        """Return the configuration for trial `view.number`: valid, and untried where that is possible.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
