"""What the sampler thinks at one moment, as plain data: prompts and pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerState:
    """The sampler's state in words and numbers.

    Attributes:
        next_params: the point that it would try next.
        next_prediction: what it expects there; None while it has no model.
        importance: each parameter's share in what decided the value, largest first; empty while that is unknown.
        interactions: which parameters act together and how, a sentence per pair, the strongest first.
        failing: where trials fail, one sentence per parameter that tells, the clearest first.
    """

    next_params: Mapping[str, Value]
    next_prediction: Prediction | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    interactions: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
