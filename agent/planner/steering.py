"""Keeps proposals to what a person asked for: pinned values stand, and nothing runs that was vetoed.

A proposal that keeps to it passes as it is. One that does not is replaced by what the sampler's model likes best among
configurations that do: the proposal with the pins put in, variations on the best trials, and random ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tunesmith.agent.planner.arbiter import Judge
from tunesmith.agent.sampler.deduplication import config_key, random_params, tried_keys
from tunesmith.study.config.changes import Steering
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Condition, Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.seeds import derived_seed
from tunesmith.study.trials.trial import Proposal, Source
from tunesmith.study.trials.view import StudyView

_DRAWS = 4000
_POOL = 128
_NEAR = 0.1
"""A variation moves each coordinate of the unit cube by about so much."""


def steered(proposal: Proposal, view: StudyView, steering: Steering, judge: Judge | None) -> Proposal:
    """Return the proposal, or the nearest thing to it that keeps to what was asked.

    Args:
        proposal: what would run next.
        view: the study.
        steering: what was asked.
        judge: has a model of the study; None for none.

    Raises:
        SpaceExhausted: nothing new keeps to it.
    """
    if not steering or proposal.source is Source.DEFAULT:
        return proposal
    vetoes = [conditions.parse(text) for text in steering.vetoes]
    pinned = _pinned(view, proposal.params, steering.pins)
    tried = tried_keys(view)
    if _is_allowed(pinned, vetoes) and (pinned == dict(proposal.params) or config_key(pinned) not in tried):
        return proposal if pinned == dict(proposal.params) else _with(proposal, pinned, steering)
    pool = [pinned, *_others(view, steering, derived_seed(view.seed, "steered", view.number))]
    allowed = {config_key(p): p for p in pool if _is_allowed(p, vetoes) and config_key(p) not in tried}
    if not allowed:
        raise SpaceExhausted(f"nothing new is left to try: {steering.words}")
    chosen = _best(list(allowed.values()), view, judge)
    if proposal.source is Source.LLM:
        reason = "not allowed: the LLM's candidate is against what a person asked for"
        proposal = replace(proposal, source=Source.FALLBACK, fallback_reason=reason)
    return _with(proposal, chosen, steering)


def _with(proposal: Proposal, params: Mapping[str, Value], steering: Steering) -> Proposal:
    rationale = f"{proposal.rationale}; as asked, {steering.words}"
    return replace(proposal, params=params, prediction=None, rival=None, rationale=rationale)


def _pinned(view: StudyView, params: Mapping[str, Value], pins: Mapping[str, Value]) -> dict[str, Value]:
    """Return the configuration with the pins in it; what they make active stands where it rests."""
    full = {name: imputed_value(parameter) for name, parameter in view.space.parameters.items()}
    return view.space.clip({**full, **params, **pins})


def _is_allowed(params: Mapping[str, Value], vetoes: Sequence[Condition]) -> bool:
    return not any(veto.holds(params) for veto in vetoes)


def _others(view: StudyView, steering: Steering, seed: int) -> Iterator[dict[str, Value]]:
    """Yield configurations with the pins in them: about the best trials, and all over the space."""
    rng = np.random.default_rng(seed)
    vetoes = [conditions.parse(text) for text in steering.vetoes]
    best = [t.params for t in candidates(view.finished, view.objectives, view.constraints)[:5]]
    found = 0
    for turn in range(_DRAWS):
        if best and turn % 2:
            unit = np.array(view.space.to_unit(best[turn // 2 % len(best)]))
            near = np.clip(unit + rng.normal(0.0, _NEAR, len(unit)), 0.0, 1.0)
            params = view.space.from_unit([float(u) for u in near])
        else:
            params = random_params(view.space, rng)
        params = _pinned(view, params, steering.pins)
        if _is_allowed(params, vetoes):
            found += 1
            yield params
        if found >= _POOL:
            return


def _best(pool: Sequence[Mapping[str, Value]], view: StudyView, judge: Judge | None) -> Mapping[str, Value]:
    """Return the one that the model likes best; the first while there is no model."""
    judged = judge.score(view, pool) if judge is not None else None
    if judged is None:
        return pool[0]
    return pool[min(range(len(pool)), key=lambda i: judged[i].log_ei_gap)]
