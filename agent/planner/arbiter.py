"""Chooses the next proposal: the user's default, a candidate of the LLM or a point of the sampler, with the reasons.

The LLM and the sampler propose. This module decides whose turn it is, whether a candidate is worth a trial, and what
replaces a candidate that is not. Knows no executor and writes no history. A choice is a function of the view and of
what the LLM answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.candidates import Candidate
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION
from tunesmith.agent.planner.llm_calibration import log_ei_shift, prediction_error
from tunesmith.agent.planner.source_credit import REJECTED, SourceCredits, source_credits
from tunesmith.agent.sampler.base import Sampler, Suggestion
from tunesmith.agent.sampler.bayes import BayesSampler, CandidateScore
from tunesmith.agent.sampler.deduplication import draw_new_params, random_params
from tunesmith.study.errors import TunesmithError
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.seeds import derived_seed, tuning_seed
from tunesmith.study.trials.trial import Prediction, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent

ALTERNATING_TRIALS = 8
"""Number of first trials for which the LLM and the sampler alternate unless one of them performs badly."""

SAMPLER_FAILED = "the sampler failed"
"""Prefix of a proposal's fallback reason when a random point replaces the sampler's."""

_MIN_FRACTION_TO_ALTERNATE = 0.3
"""Fraction of trials by credit below which the LLM no longer alternates with the sampler."""
_FRACTION_TO_LEAD = 0.6
"""Fraction of trials by credit from which on the LLM also gets the sampler's turns among the first trials."""
_MIN_P_FEASIBLE = 0.35
"""Probability of success below which a candidate is rejected."""
_ORDER_PENALTY = 0.3
"""Penalty in log expected improvement per position of a candidate in the LLM's answer."""


class Scorer(Protocol):
    """Has a model of the study; `BayesSampler` is one."""

    def score(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[CandidateScore] | None:
        """Return the model's scores of configurations; None while there is no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMRules:
    """How the LLM takes part.

    Attributes:
        fraction: the fraction of trials that the LLM gets, in [0, 1]; None to let results decide.
        scored: whether a candidate has to be worth a trial by a model of the study.
        by_prediction: if not scored, whether the candidate with the LLM's best prediction runs instead of its first.
        count: the number of candidates to ask for at a time.
    """

    fraction: float | None = None
    scored: bool = True
    by_prediction: bool = False
    count: int = CANDIDATES_PER_QUESTION


class Arbiter:
    """Chooses the proposals of one study.

    Args:
        sampler: proposes unless the default or the LLM does.
        fidelity: the fidelity of full runs; None if the study has none.
        candidate_pool: the LLM's candidates; None without an LLM.
        rules: how the LLM takes part.
        scorer: scores candidates; None for Tunesmith's Bayesian sampler.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        fidelity: float | None = None,
        candidate_pool: CandidatePool | None = None,
        rules: LLMRules | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        self._sampler = sampler
        self._fidelity = fidelity
        self._candidate_pool = candidate_pool
        self._rules = rules or LLMRules()
        self._scorer: Scorer = scorer or BayesSampler()

    def choose(self, view: StudyView) -> Proposal:
        """Return the proposal for trial `view.number`.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        default = view.space.default
        if default is not None and _is_default_due(view, default):
            return self._default(view, default)
        if self._candidate_pool is None:
            return self._from_sampler(view)
        credit = source_credits(view.trials, view.objectives)
        fixed = self._rules.fraction
        turn = _next_turn(view, credit.llm_fraction) if fixed is None else _drawn_turn(view, fixed)
        if turn.is_llm:
            return self._from_llm(view, self._candidate_pool, credit, turn.reason)
        self._candidate_pool.prepare(view)
        return self._from_sampler(view, considered=(turn.reason,))

    def choose_default(self, view: StudyView) -> Proposal | None:
        """Return the default if every run of it is set aside and none waits or runs; None otherwise."""
        default = view.space.default
        if default is None or not _is_default_set_aside(view):
            return None
        return self._default(view, default)

    def _default(self, view: StudyView, default: Mapping[str, Value]) -> Proposal:
        why = "your default" if view.number == 0 else "your default in the present space"
        if _is_default_set_aside(view):
            why = "your default again, since its earlier run does not count"
        return self._proposal(view, Suggestion(params=default, rationale=why), Source.DEFAULT)

    # -- the sampler's turn -----------------------------------------------------------------------------------------

    def _from_sampler(
        self, view: StudyView, *, considered: tuple[str, ...] = (), fallback_reason: str = ""
    ) -> Proposal:
        """Return the sampler's point; a fallback reason says why it replaces a candidate of the LLM."""
        source = Source.FALLBACK if fallback_reason else Source.SAMPLER
        try:
            suggestion = self._sampler.suggest(view)
        except TunesmithError:
            raise
        except Exception as error:  # noqa: BLE001  # numerics may fail in unforeseen ways; the study has to continue
            reason = f"{SAMPLER_FAILED}: {type(error).__name__}: {error}"
            return self._proposal(view, _random_suggestion(view), Source.FALLBACK, fallback_reason=reason)
        return self._proposal(view, suggestion, source, fallback_reason=fallback_reason, considered=considered)

    # -- the LLM's turn ---------------------------------------------------------------------------------------------

    def _from_llm(self, view: StudyView, pool: CandidatePool, credit: SourceCredits, reason: str) -> Proposal:
        offer = pool.offer(view)
        if not offer.candidates:
            return self._from_sampler(view, considered=(reason,), fallback_reason=offer.reason)
        scores = self._scorer.score(view, [c.params for c in offer.candidates]) if self._rules.scored else None
        if scores is None:
            return self._unscored(view, pool, offer.candidates, reason)
        tolerance = _max_log_ei_gap(credit, complete=sum(bool(t.values) for t in view.finished))
        scores = _with_predictions(scores, offer.candidates, view)
        objections = [_objection(score, tolerance) for score in scores]
        considered = (
            reason,
            *(
                f"{render_params(c.params)}: {objection or 'worth a trial'}; {_score_text(score)}"
                for c, score, objection in zip(offer.candidates, scores, objections, strict=True)
            ),
        )
        valid = [i for i, objection in enumerate(objections) if not objection]
        if not valid:
            pool.discard()
            why = f"{REJECTED}: {'; '.join(objections if len(set(objections)) > 1 else objections[:1])}"
            return self._from_sampler(view, considered=considered, fallback_reason=why)
        best = min(valid, key=lambda i: scores[i].log_ei_gap + _ORDER_PENALTY * i)
        pool.mark_used(offer.candidates[best])
        return self._llm_proposal(view, offer.candidates[best], considered, rival=scores[best].rival)

    def _unscored(self, view: StudyView, pool: CandidatePool, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """Return the LLM's own choice: there is no model of the study yet, or the rules do without one."""
        chosen = candidates[0]
        predicted = [c for c in candidates if c.predicted is not None]
        if self._rules.by_prediction and predicted:
            chosen = min(predicted, key=lambda c: view.objectives[0].sign * (c.predicted or 0.0))
        pool.mark_used(chosen)
        why = "no model can score it yet" if self._rules.scored else "candidates run without a score"
        others = (f"also offered: {render_params(c.params)}" for c in candidates if c is not chosen)
        return self._llm_proposal(view, chosen, (reason, why, *others))

    def _llm_proposal(
        self, view: StudyView, candidate: Candidate, considered: tuple[str, ...], rival: Prediction | None = None
    ) -> Proposal:
        parts = [candidate.rationale]
        if candidate.predicted is not None:
            parts.append(f"it expects {candidate.predicted:.4g}")
        if candidate.refuted_by:
            parts.append(f"refuted by: {candidate.refuted_by}")
        rationale = "; ".join(part for part in parts if part) or "no reason given"
        predicted = None if candidate.predicted is None else Prediction(mean=candidate.predicted, std=0.0)
        suggestion = Suggestion(params=candidate.params, rationale=rationale, prediction=predicted)
        return replace(self._proposal(view, suggestion, Source.LLM, considered=considered), rival=rival)

    def _proposal(
        self,
        view: StudyView,
        suggestion: Suggestion,
        source: Source,
        *,
        fallback_reason: str = "",
        considered: tuple[str, ...] = (),
    ) -> Proposal:
        return Proposal(
            params=suggestion.params,
            source=source,
            seed=tuning_seed(view.seed, view.number),
            rationale=suggestion.rationale,
            fidelity=self._fidelity,
            prediction=suggestion.prediction,
            fallback_reason=fallback_reason,
            considered=considered,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """Whether the LLM proposes the next trial, and why."""

    is_llm: bool
    reason: str


def _next_turn(view: StudyView, fraction: float) -> _Turn:
    """Return whose turn it is: alternating among the first trials, then by the LLM's fraction of the trials."""
    if view.number >= ALTERNATING_TRIALS or fraction < _MIN_FRACTION_TO_ALTERNATE:
        return _drawn_turn(view, fraction)
    is_odd = view.number % 2 == 1
    if view.number > 1 and fraction >= _FRACTION_TO_LEAD and not is_odd:
        return _Turn(True, f"the LLM leads so far ({fraction:.0%}): its turn again")
    whose = "LLM" if is_odd else "sampler"
    return _Turn(is_odd, f"LLM and sampler alternate at first: the {whose}'s turn")


def _is_default_due(view: StudyView, default: Mapping[str, Value]) -> bool:
    """Return whether the default runs next.

    It does at the start, again once the space has another default than it ran, and again after a failure of the study
    itself as soon as a trial shows that the study works.
    """
    if view.number == 0:
        return True
    if _is_default_set_aside(view):
        latest = max((t for t in view.every_trial if t.state.is_finished), key=lambda t: t.number)
        return latest.counts and latest.state is not TrialState.FAILED
    ran = [t for t in view.trials if t.proposal.source is Source.DEFAULT and not t.is_replicate]
    return bool(ran) and all(dict(t.params) != dict(default) for t in ran)


def _is_default_set_aside(view: StudyView) -> bool:
    """Return whether the default ran, but no run of it counts, waits or runs."""
    return any(_is_default(t) for t in view.set_aside) and not any(_is_default(t) for t in view.trials)


def _is_default(trial: Trial) -> bool:
    return trial.proposal.source is Source.DEFAULT and not trial.is_replicate


def _drawn_turn(view: StudyView, fraction: float) -> _Turn:
    is_llm = derived_seed(view.seed, "turn", view.number) / 2**31 < fraction
    whose = "its" if is_llm else "the sampler's"
    return _Turn(is_llm, f"the LLM gets {fraction:.0%} of the trials: {whose} turn")


def _with_predictions(
    scores: Sequence[CandidateScore], candidates: Sequence[Candidate], view: StudyView
) -> list[CandidateScore]:
    """Return the scores with the LLM's predictions taken into account, by how right earlier ones were."""
    objective, best = view.objectives[0], incumbent(view.trials, view)
    error = prediction_error(view.trials, objective)
    if best is None or error is None:
        return list(scores)
    value = best.values[objective.metric]

    def shift(score: CandidateScore, predicted: float | None) -> float:
        if predicted is None:
            return 0.0
        return log_ei_shift(score.prediction, predicted, error, best=value, sign=objective.sign)

    pairs = zip(scores, candidates, strict=True)
    return [replace(score, log_ei_gap=score.log_ei_gap - shift(score, c.predicted)) for score, c in pairs]


def _max_log_ei_gap(credit: SourceCredits, *, complete: int) -> float:
    """Return how far a candidate's log expected improvement may be below that of the sampler's point.

    It shrinks with the LLM's credit, and with the number of complete trials: a model of few trials knows little.
    """
    return 1.5 + 8.0 * credit.llm.mean + 15.0 / max(complete, 1)


def _objection(score: CandidateScore, tolerance: float) -> str:
    """Return why a candidate is not worth a trial; "" if it is."""
    if score.p_feasible < _MIN_P_FEASIBLE:
        return "it would probably fail"
    return "its expected gain is too small" if score.log_ei_gap > tolerance else ""


def _score_text(score: CandidateScore) -> str:
    mean, std = score.prediction.mean, score.prediction.std
    gain = f"log gain {-score.log_ei_gap:+.1f} against the sampler's point"
    return f"the model expects {mean:.4g} ± {std:.2g}, {score.p_feasible:.0%} chance of success, {gain}"


def _random_suggestion(view: StudyView) -> Suggestion:
    rng = np.random.default_rng(derived_seed(view.seed, "fallback", view.number))
    params = draw_new_params(view, lambda: random_params(view.space, rng), rng)
    return Suggestion(params=params, rationale="a random point in place of the sampler's")
