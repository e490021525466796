"""Makes proposals respect the user's steering: pinned values are kept, and nothing vetoed runs.

A proposal that respects the steering passes unchanged. Any other is replaced by the configuration that the sampler's
model scores best among these: the proposal with the pins, variations of the best trials, and random ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tunesmith.agent.planner.judging.scorer import Scorer
from tunesmith.agent.sampler.candidates.deduplication import random_params, tried_keys
from tunesmith.study.config.changes import Steering
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Condition, Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Proposal, Source
from tunesmith.study.trials.view import StudyView

_MAX_DRAWS = 4000
"""Number of configurations to draw at most in search of allowed ones."""
_POOL_SIZE = 128
"""Number of allowed configurations to score at most."""
_VARIATION_STD = 0.1
"""Standard deviation of a variation of a good trial, per coordinate of the unit cube."""
_BEST_TRIALS = 5
"""Number of best trials that are varied."""


def apply_steering(proposal: Proposal, view: StudyView, steering: Steering, scorer: Scorer | None) -> Proposal:
    """Return the proposal itself if it respects the steering, else the best replacement that does.

    Args:
        proposal: what would run next.
        view: the study.
        steering: the pins and vetoes.
        scorer: has a model of the study; None for none.

    Raises:
        SpaceExhausted: every configuration that respects the steering was tried.
    """
    if not steering or proposal.source is Source.DEFAULT:
        return proposal
    vetoes = [conditions.parse(text) for text in steering.vetoes]
    pinned = _with_pins(view, proposal.params, steering.pins)
    is_unchanged = pinned == dict(proposal.params)
    tried = tried_keys(view)
    if _is_allowed(pinned, vetoes) and (is_unchanged or config_key(pinned) not in tried):
        return proposal if is_unchanged else _with_params(proposal, pinned, steering)
    pool = [pinned, *_alternatives(view, steering, derived_seed(view.seed, "steered", view.number))]
    allowed = {config_key(p): p for p in pool if _is_allowed(p, vetoes) and config_key(p) not in tried}
    if not allowed:
        raise SpaceExhausted(f"nothing new is left to try: {steering.words}")
    if proposal.source is Source.LLM:
        reason = "not allowed: the LLM's candidate contradicts what the user asked for"
        proposal = replace(proposal, source=Source.FALLBACK, fallback_reason=reason)
    return _with_params(proposal, _best(list(allowed.values()), view, scorer), steering)


def _with_params(proposal: Proposal, params: Mapping[str, Value], steering: Steering) -> Proposal:
    rationale = f"{proposal.rationale}; as the user asked: {steering.words}"
    return replace(proposal, params=params, prediction=None, rival=None, rationale=rationale)


def _with_pins(view: StudyView, params: Mapping[str, Value], pins: Mapping[str, Value]) -> dict[str, Value]:
    """Return the configuration with the pins; parameters that become active get their imputed values."""
    imputed = {name: imputed_value(parameter) for name, parameter in view.space.parameters.items()}
    return view.space.clip({**imputed, **params, **pins}, keep=pins)


def _is_allowed(params: Mapping[str, Value], vetoes: Sequence[Condition]) -> bool:
    return not any(veto.holds(params) for veto in vetoes)


def _alternatives(view: StudyView, steering: Steering, seed: int) -> Iterator[dict[str, Value]]:
    """Yield allowed configurations with the pins: random ones, alternating with variations of the best trials."""
    rng = np.random.default_rng(seed)
    vetoes = [conditions.parse(text) for text in steering.vetoes]
    best = [t.params for t in candidates(view.finished, view.objectives, view.constraints)[:_BEST_TRIALS]]
    found = 0
    for draw in range(_MAX_DRAWS):
        if best and draw % 2:
            params = _variation(view, best[draw // 2 % len(best)], rng)
        else:
            params = random_params(view.space, rng)
        try:
            params = _with_pins(view, params, steering.pins)
        except SpaceExhausted:
            continue
        if _is_allowed(params, vetoes):
            found += 1
            yield params
        if found >= _POOL_SIZE:
            return


def _variation(view: StudyView, params: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
    unit = np.array(view.space.to_unit(params))
    varied = np.clip(unit + rng.normal(0.0, _VARIATION_STD, len(unit)), 0.0, 1.0)
    return view.space.from_unit([float(u) for u in varied])


def _best(pool: Sequence[Mapping[str, Value]], view: StudyView, scorer: Scorer | None) -> Mapping[str, Value]:
    """Return the configuration with the best score; the first one while there is no model."""
    scores = scorer.score(view, pool) if scorer is not None else None
    if scores is None:
        return pool[0]
    return pool[min(range(len(pool)), key=lambda i: scores[i].log_ei_gap)]
