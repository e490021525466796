"""Picks what the next trial tries, and says why: the user's default, the LLM's candidate or the sampler's point.

The LLM proposes; here it is decided whose turn it is, whether a candidate is worth a trial, and what stands in for one
that is not. Knows no executor and writes no history. But for what an LLM says, a choice is a function of the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.candidates import Candidate
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION
from tunesmith.agent.planner.llm_calibration import gain_by_prediction, shown_error
from tunesmith.agent.planner.source_credit import REJECTED, Shares, shares_of
from tunesmith.agent.sampler.base import Sampler, Suggestion
from tunesmith.agent.sampler.bayes import BayesSampler, CandidateScore
from tunesmith.agent.sampler.deduplication import draw_new_params, random_params
from tunesmith.study.errors import TunesmithError
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.results import incumbent
from tunesmith.study.trials.seeds import derived_seed, tuning_seed
from tunesmith.study.trials.trial import Prediction, Proposal, Source
from tunesmith.study.trials.view import StudyView

INTERLEAVED = 8
"""Among so many first trials the LLM and the sampler take turns, unless one of them has shown to be of no use."""

SAMPLER_FAILED = "the sampler failed"
"""How the reason of a fallback begins when a random point stands in for the sampler's."""

_STILL_IN = 0.3
_LEADS = 0.6
_HOPELESS = 0.35


class Judge(Protocol):
    """Whoever has a model of the study; `BayesSampler` is one."""

    def score(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[CandidateScore] | None:
        """Return what the model thinks of configurations; None while there is no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the LLM's part is decided on.

    Attributes:
        share: a fixed share of the trials; None to let results decide.
        judged: whether a model has to find a candidate worth a trial.
        by_prediction: whether, unjudged, the candidate of which the LLM expects most runs, not the one it names first.
        count: how many candidates are asked for at a time.
    """

    share: float | None = None
    judged: bool = True
    by_prediction: bool = False
    count: int = CANDIDATES_PER_QUESTION


class Arbiter:
    """Chooses for one study.

    Args:
        sampler: proposes wherever nobody with precedence does.
        fidelity: at which fidelity trials run; None when the study has none.
        candidate_pool: the LLM's side; None without an LLM.
        rules: how the LLM's part is decided on.
        judge: whose model judges candidates; None for our Bayesian sampler's.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        fidelity: float | None = None,
        candidate_pool: CandidatePool | None = None,
        rules: Rules | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._sampler = sampler
        self._fidelity = fidelity
        self._candidate_pool = candidate_pool
        self._rules = rules or Rules()
        self._judge: Judge = judge or BayesSampler()

    def choose(self, view: StudyView) -> Proposal:
        """Return the proposal for trial `view.number`.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        default = view.space.default
        if view.number == 0 and default is not None:
            return self._proposal(view, Suggestion(params=default, rationale="your default"), Source.DEFAULT)
        if self._candidate_pool is None:
            return self._sampled(view)
        shares = shares_of(view.trials, view.objectives)
        fixed = self._rules.share
        turn, why = _turn(view, shares.llm_share) if fixed is None else _drawn(view, fixed)
        if turn:
            return self._advised(view, self._candidate_pool, shares, why)
        self._candidate_pool.prepare(view)
        return self._sampled(view, considered=(why,))

    def _sampled(self, view: StudyView, *, considered: tuple[str, ...] = (), instead_of: str = "") -> Proposal:
        """Return the sampler's point; with `instead_of` it stands in for the LLM's, and that is why."""
        source = Source.FALLBACK if instead_of else Source.SAMPLER
        try:
            suggestion = self._sampler.suggest(view)
        except TunesmithError:
            raise
        except Exception as error:  # noqa: BLE001  # numerics may fail in ways no list foresees; a night must go on
            reason = f"{SAMPLER_FAILED}: {type(error).__name__}: {error}"
            return self._proposal(view, _random_suggestion(view), Source.FALLBACK, fallback_reason=reason)
        return self._proposal(view, suggestion, source, fallback_reason=instead_of, considered=considered)

    def _advised(self, view: StudyView, candidate_pool: CandidatePool, shares: Shares, why: str) -> Proposal:
        offer = candidate_pool.offer(view)
        if not offer.candidates:
            return self._sampled(view, considered=(why,), instead_of=offer.reason)
        found = self._judge.score(view, [c.params for c in offer.candidates]) if self._rules.judged else None
        if found is None:
            chosen = self._unjudged(view, offer.candidates)
            candidate_pool.mark_used(chosen)
            lost = tuple(f"also offered: {render_params(c.params)}" for c in offer.candidates if c is not chosen)
            how = "nobody can judge it yet" if self._rules.judged else "it is taken as it comes"
            return self._llm_proposal(view, chosen, (why, how, *lost))
        tolerance = _tolerance(shares, sum(bool(t.values) for t in view.finished))
        found = _with_second_opinions(found, offer.candidates, view)
        verdicts = [_verdict(judgement, tolerance) for judgement in found]
        lines = tuple(
            f"{render_params(c.params)}: {verdict or 'worth a trial'}, {_numbers(j)}"
            for c, j, verdict in zip(offer.candidates, found, verdicts, strict=True)
        )
        able = [i for i, verdict in enumerate(verdicts) if not verdict]
        if not able:
            candidate_pool.discard()
            reason = f"{REJECTED}: {verdicts[0]}" if len(set(verdicts)) == 1 else f"{REJECTED}: {'; '.join(verdicts)}"
            return self._sampled(view, considered=(why, *lines), instead_of=reason)
        # Among what is worth a trial the model's gain decides, and a little the order in which the LLM named them.
        best = min(able, key=lambda i: found[i].log_ei_gap + 0.3 * i)
        candidate_pool.mark_used(offer.candidates[best])
        return self._llm_proposal(view, offer.candidates[best], (why, *lines), rival=found[best].rival)

    def _unjudged(self, view: StudyView, candidates: Sequence[Candidate]) -> Candidate:
        predicted = [c for c in candidates if c.predicted is not None]
        if not (self._rules.by_prediction and predicted):
            return candidates[0]
        return min(predicted, key=lambda c: view.objectives[0].sign * (c.predicted or 0.0))

    def _llm_proposal(
        self, view: StudyView, candidate: Candidate, considered: tuple[str, ...], rival: Prediction | None = None
    ) -> Proposal:
        words = [candidate.rationale]
        if candidate.predicted is not None:
            words.append(f"it expects {candidate.predicted:.4g}")
        if candidate.refuted_by:
            words.append(f"refuted by: {candidate.refuted_by}")
        rationale = "; ".join(word for word in words if word) or "no reason given"
        suggestion = Suggestion(params=candidate.params, rationale=rationale)
        proposal = self._proposal(view, suggestion, Source.LLM, considered=considered, predicted=candidate.predicted)
        return replace(proposal, rival=rival)

    def _proposal(
        self,
        view: StudyView,
        suggestion: Suggestion,
        source: Source,
        *,
        fallback_reason: str = "",
        considered: tuple[str, ...] = (),
        predicted: float | None = None,
    ) -> Proposal:
        prediction = suggestion.prediction
        if predicted is not None:
            prediction = Prediction(mean=predicted, std=0.0)
        return Proposal(
            params=suggestion.params,
            source=source,
            seed=tuning_seed(view.seed, view.number),
            rationale=suggestion.rationale,
            fidelity=self._fidelity,
            prediction=prediction,
            fallback_reason=fallback_reason,
            considered=considered,
        )


def _turn(view: StudyView, share: float) -> tuple[bool, str]:
    """Return whether it is the LLM's turn, and why."""
    if view.number < INTERLEAVED and share >= _STILL_IN:
        leads = view.number > 1 and share >= _LEADS
        odd = view.number % 2 == 1
        if leads and not odd:
            return True, f"the LLM leads so far ({share:.0%}): its turn again"
        return odd, f"the first trials take turns: {'the LLM' if odd else 'the sampler'}"
    return _drawn(view, share)


def _drawn(view: StudyView, share: float) -> tuple[bool, str]:
    drawn = derived_seed(view.seed, "turn", view.number) / 2**31 < share
    whose = "its" if drawn else "the sampler's"
    return drawn, f"the LLM has {share:.0%} of the trials: {whose} turn"


def _with_second_opinions(
    found: Sequence[CandidateScore], candidates: Sequence[Candidate], view: StudyView
) -> list[CandidateScore]:
    """Return the judgements with what the LLM predicts taken in, as far as its predictions were right so far."""
    objective, best = view.objectives[0], incumbent(view.trials, view.objectives, view.constraints)
    error = shown_error(view.trials, objective)
    if best is None or error is None:
        return list(found)
    value = best.values[objective.metric]

    def gain(judgement: CandidateScore, predicted: float | None) -> float:
        if predicted is None:
            return 0.0
        return gain_by_prediction(judgement.prediction, predicted, error, best=value, sign=objective.sign)

    return [replace(j, log_ei_gap=j.log_ei_gap - gain(j, c.predicted)) for j, c in zip(found, candidates, strict=True)]


def _tolerance(shares: Shares, complete: int) -> float:
    """Return how far a candidate's log gain may lie below the sampler's own: less the less the LLM was worth so far.

    With few trials the model knows little, and a good candidate may look like any other.
    """
    return 1.5 + 8.0 * shares.llm.mean + 15.0 / max(complete, 1)


def _verdict(judgement: CandidateScore, tolerance: float) -> str:
    """Return why a candidate is not worth a trial, "" when it is."""
    if judgement.p_feasible < _HOPELESS:
        return "it would probably fail"
    return "it promises too little" if judgement.log_ei_gap > tolerance else ""


def _numbers(judgement: CandidateScore) -> str:
    mean, std = judgement.prediction.mean, judgement.prediction.std
    return f"the model expects {mean:.4g} ± {std:.2g}, {judgement.p_feasible:.0%} to run, log gain {-judgement.log_ei_gap:+.1f}"


def _random_suggestion(view: StudyView) -> Suggestion:
    rng = np.random.default_rng(derived_seed(view.seed, "fallback", view.number))
    params = draw_new_params(view, lambda: random_params(view.space, rng), rng)
    return Suggestion(params=params, rationale="random point in the sampler's place")
