"""The interface of what judges candidates: a model of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tunesmith.agent.sampler.bayes import CandidateScore
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.view import StudyView


class Scorer(Protocol):
    """Has a model of the study; `BayesSampler` is one."""

    def score(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[CandidateScore] | None:
        """Return the model's scores of configurations; None while there is no model."""
