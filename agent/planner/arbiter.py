"""Chooses the next proposal: the user's default, a candidate of the LLM or a point of the sampler, with the reasons.

The LLM and the sampler propose. This module decides which candidate runs, and what replaces one that does not.
Knows no executor and writes no history. A choice is a function of the view and of what the LLM answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.candidates import Candidate
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION
from tunesmith.agent.llm.questions.pace import RethinkRule
from tunesmith.agent.planner.box_search import fill_free
from tunesmith.agent.planner.judging.judgement import Judgement, in_order, judge, may_insist, why_ahead
from tunesmith.agent.planner.judging.scorer import Scorer
from tunesmith.agent.planner.judging.source_credit import REJECTED, source_credits
from tunesmith.agent.planner.order.default_turn import is_default_due, is_default_set_aside
from tunesmith.agent.planner.order.repeats import may_repeat, repeat_of
from tunesmith.agent.planner.order.turns import Turn, drawn_turn, next_turn
from tunesmith.agent.sampler.base import Sampler, Suggestion
from tunesmith.agent.sampler.bayes import BayesSampler, CandidateScore
from tunesmith.agent.sampler.beside_llm import without_llm_misses
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params, random_params, tried_keys
from tunesmith.study.errors import TunesmithError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed, tuning_seed
from tunesmith.study.trials.trial import Prediction, Proposal, Source
from tunesmith.study.trials.view import StudyView

SAMPLER_FAILED = "the sampler failed"
"""Prefix of a proposal's fallback reason when a random point replaces the sampler's."""

_NO_REPEAT = "the study has enough repeats for now"
_NO_VALUE = "every value in its ranges was tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMRules:
    """How the LLM takes part.

    Attributes:
        fraction: the fraction of trials that the LLM gets, in [0, 1]; None to let results decide.
        scored: whether a model of the study judges candidates.
        by_prediction: if not scored, whether the candidate with the LLM's best prediction runs instead of its first.
        count: the number of candidates to ask for at a time.
        rethinks: when candidates that did not run are asked for again after a result.
    """

    fraction: float | None = None
    scored: bool = True
    by_prediction: bool = False
    count: int = CANDIDATES_PER_QUESTION
    rethinks: RethinkRule = "when cheap"


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
        self._refused: dict[int, Judgement] = {}
        self._scores: tuple[object, list[CandidateScore] | None] = (None, None)

    def choose(self, view: StudyView) -> Proposal:
        """Return the proposal for trial `view.number`.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        default = view.space.default
        if default is not None and is_default_due(view, default):
            return self._default(view, default)
        pool = self._candidate_pool
        if pool is None:
            return self._from_sampler(view)
        turn = self._turn(view, pool)
        if turn.is_llm:
            return self._from_llm(view, pool, turn.reason)
        if pool.asks_ahead:
            pool.prepare(view)
        return self._within_region(view, pool, turn.reason) or self._from_sampler(view, considered=(turn.reason,))

    def must_wait(self, view: StudyView) -> bool:
        """Return whether the next trial should wait for an answer of the LLM that is on its way."""
        pool, default = self._candidate_pool, view.space.default
        if pool is None or (default is not None and is_default_due(view, default)):
            return False
        if not self._turn(view, pool).is_llm:
            return False
        self._acceptable(view, pool)
        return pool.must_wait(view)

    @property
    def is_waiting(self) -> bool:
        """Whether `must_wait` would still return True, without needing a view."""
        return self._candidate_pool is not None and self._candidate_pool.is_waiting

    def choose_default(self, view: StudyView) -> Proposal | None:
        """Return the default if every run of it is set aside and none waits or runs; None otherwise."""
        default = view.space.default
        if default is None or not is_default_set_aside(view):
            return None
        return self._default(view, default)

    def _turn(self, view: StudyView, pool: CandidatePool) -> Turn:
        fixed = self._rules.fraction
        pool.share = source_credits(view.trials, view.objectives).llm_fraction if fixed is None else fixed
        return next_turn(view, pool.share) if fixed is None else drawn_turn(view, fixed)

    def _default(self, view: StudyView, default: Mapping[str, Value]) -> Proposal:
        why = "your default" if view.number == 0 else "your default in the present space"
        if is_default_set_aside(view):
            why = "your default again, since its earlier run does not count"
        return self._proposal(view, Suggestion(params=default, rationale=why), Source.DEFAULT)

    # -- the sampler's turn -----------------------------------------------------------------------------------------

    def _from_sampler(
        self, view: StudyView, *, considered: tuple[str, ...] = (), fallback_reason: str = ""
    ) -> Proposal:
        """Return the sampler's point; a fallback reason says why it replaces a candidate of the LLM."""
        source = Source.FALLBACK if fallback_reason else Source.SAMPLER
        try:
            suggestion = self._suggested(view)
        except TunesmithError:
            raise
        except Exception as error:  # noqa: BLE001  # numerics may fail in unforeseen ways; the study has to continue
            reason = f"{SAMPLER_FAILED}: {type(error).__name__}: {error}"
            return self._proposal(view, _random_suggestion(view), Source.FALLBACK, fallback_reason=reason)
        return self._proposal(view, suggestion, source, fallback_reason=fallback_reason, considered=considered)

    def _suggested(self, view: StudyView) -> Suggestion:
        """Return the sampler's suggestion; what it does not learn from may not be repeated either."""
        suggestion = self._sampler.suggest(without_llm_misses(view))
        return suggestion if config_key(suggestion.params) not in tried_keys(view) else self._sampler.suggest(view)

    def _within_region(self, view: StudyView, pool: CandidatePool, reason: str) -> Proposal | None:
        """Return the sampler's point within the region that the LLM named; None without a region."""
        region = pool.region(view)
        params = fill_free(view, region, self._scorer) if region is not None else None
        if region is None or params is None:
            return None
        pool.use_region(region, view)
        why = f"within the region that the LLM named ({', '.join(region.free)}): {region.rationale}"
        return self._proposal(view, Suggestion(params=params, rationale=why), Source.SAMPLER, considered=(reason,))

    # -- the LLM's turn ---------------------------------------------------------------------------------------------

    def _from_llm(self, view: StudyView, pool: CandidatePool, reason: str) -> Proposal:
        judgements = self._acceptable(view, pool)
        considered = (reason, *(judgement.text for judgement in judgements))
        if judgements:
            chosen = self._first(judgements, view)
            if why := why_ahead(chosen, judgements):
                pool.run_ahead(chosen.candidate, why, view)
            pool.mark_used(chosen.candidate)
            return self._llm_proposal(view, chosen, considered)
        refused = self._refused.get(view.number)
        if refused is None:
            return self._from_sampler(view, considered=considered, fallback_reason=pool.reason_for_none(view))
        return self._stand_in(view, refused, (*considered, refused.text))

    def _acceptable(self, view: StudyView, pool: CandidatePool) -> list[Judgement]:
        """Return the candidates that may run; where all are refused, the model learns why and is asked once more."""
        for is_last in (view.number in self._refused, True):
            candidates = pool.offer(view).candidates
            judgements = self._judge(view, pool, candidates)
            acceptable = [judgement for judgement in judgements if not judgement.objection]
            if acceptable or not candidates:
                return acceptable
            if not judgements:
                continue
            best = max(judgements, key=lambda j: j.score.p_feasible if j.score is not None else 0.0)
            self._refused = {view.number: best}
            for judgement in judgements:
                pool.refuse(judgement.candidate, judgement.objection, view)
            if is_last:
                return []
            pool.second_try(view, [judgement.for_model for judgement in judgements])
        return []

    def _judge(self, view: StudyView, pool: CandidatePool, candidates: Sequence[Candidate]) -> list[Judgement]:
        """Return a judgement of each candidate that is new, with values for what it leaves to the sampler."""
        pairs: list[tuple[Candidate, Mapping[str, Value]]] = []
        for candidate in candidates:
            params = self._filled(view, candidate)
            if params is None:
                pool.refuse(candidate, _NO_REPEAT if candidate.repeats is not None else _NO_VALUE, view)
            else:
                pairs.append((candidate, params))
        scores = self._scored(view, [params for _, params in pairs]) if self._rules.scored else None
        insists = may_insist(view)
        return [
            judge(c, params, scores[index] if scores else None, insists=insists and pool.was_refused(c))
            for index, (c, params) in enumerate(pairs)
        ]

    def _filled(self, view: StudyView, candidate: Candidate) -> Mapping[str, Value] | None:
        """Return the configuration of a candidate, with values for what it leaves to the sampler; None if it is known.

        A repeat beyond what a study needs counts as known.
        """
        if candidate.repeats is not None:
            return candidate.params if may_repeat(view, candidate.repeats) else None
        return fill_free(view, candidate, self._scorer) if candidate.free else candidate.params

    def _scored(self, view: StudyView, pool: Sequence[Mapping[str, Value]]) -> list[CandidateScore] | None:
        """Return the scores; equal questions about one state of the study are answered once."""
        if not pool:
            return []
        key = (view.number, len(view.finished), *(config_key(params) for params in pool))
        if self._scores[0] != key:
            self._scores = (key, self._scorer.score(view, pool))
        return self._scores[1]

    def _first(self, judgements: Sequence[Judgement], view: StudyView) -> Judgement:
        predicted = [j for j in judgements if j.candidate.predicted is not None]
        if self._rules.by_prediction and predicted:
            return min(predicted, key=lambda j: view.objectives[0].sign * (j.candidate.predicted or 0.0))
        return in_order(judgements, view)[0]

    def _stand_in(self, view: StudyView, refused: Judgement, considered: tuple[str, ...]) -> Proposal:
        """Return the sampler's point in place of refused candidates, unless the same judge thinks no better of it."""
        why = f"{REJECTED}: {refused.objection}"
        proposal = self._from_sampler(view, considered=considered, fallback_reason=why)
        scores = self._scored(view, [proposal.params])
        if scores and refused.score is not None and scores[0].p_feasible <= refused.score.p_feasible:
            reason = "the sampler's own point is not more likely to succeed"
            return self._llm_proposal(view, refused, (*considered, reason))
        return proposal

    def _llm_proposal(self, view: StudyView, judgement: Judgement, considered: tuple[str, ...]) -> Proposal:
        candidate, score = judgement.candidate, judgement.score
        if candidate.repeats is not None:
            repeated = next(t for t in view.trials if t.number == candidate.repeats)
            why = f"the LLM asked for #{repeated.number} on another seed: {candidate.rationale}".rstrip(": ")
            return repeat_of(repeated, view, why)
        predicted = None if candidate.predicted is None else Prediction(mean=candidate.predicted, std=0.0)
        suggestion = Suggestion(params=judgement.params, rationale=_rationale(candidate), prediction=predicted)
        made = self._proposal(view, suggestion, Source.LLM, considered=considered)
        return made if score is None else replace(made, rival=score.rival, judged=score.prediction)

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


def _rationale(candidate: Candidate) -> str:
    """Return why a candidate runs, for people: kind and base, the model's reason, what it expects."""
    head = candidate.kind if candidate.base is None else f"{candidate.kind or 'from'} #{candidate.base}"
    parts = [f"{head}: {candidate.rationale or 'no reason given'}" if head else candidate.rationale]
    if candidate.free:
        parts.append(f"{', '.join(candidate.free)} left to the sampler")
    if candidate.predicted is not None:
        parts.append(f"it expects {candidate.predicted:.4g}")
    if candidate.refuted_by:
        parts.append(f"refuted by: {candidate.refuted_by}")
    return "; ".join(part for part in parts if part) or "no reason given"


def _random_suggestion(view: StudyView) -> Suggestion:
    rng = np.random.default_rng(derived_seed(view.seed, "fallback", view.number))
    params = draw_new_params(view, lambda: random_params(view.space, rng), rng)
    return Suggestion(params=params, rationale="a random point in place of the sampler's")
