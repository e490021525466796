"""The sampler's state as plain data, for prompts and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerState:
    """What the sampler would propose next and what it has learned.

    Attributes:
        next_params: the point that it would propose next.
        next_prediction: its prediction for that point; None without a model.
        importance: each parameter's part of the variance with an interval, a line per region; empty if unknown.
        interactions: one sentence per pair of interacting parameters, the strongest first.
        failing: one sentence per parameter range where trials fail, the clearest first.
    """

    next_params: Mapping[str, Value]
    next_prediction: Prediction | None = None
    importance: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
