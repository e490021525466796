"""Judges an LLM's candidates: refuses what would probably fail, and orders the rest.

The order is the LLM's own and the sampler's, weighted by whose predictions ranked earlier outcomes better. A small
expected gain is not a reason to refuse: the judge knows little of where a model goes for reasons of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.agent.llm.candidates import Candidate
from tunesmith.agent.planner.judging.llm_calibration import TrackRecord, log_ei_shift, prediction_error, track_record
from tunesmith.agent.sampler.bayes import CandidateScore
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Source, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

MIN_P_FEASIBLE = 0.35
"""Probability of success below which a candidate is refused."""

_GAP_PER_POSITION = 1.0
"""Difference in log expected improvement that counts as much as one position in the model's answer."""

_MAX_GAP = 8.0
"""Largest difference that counts."""

_GAP_PER_TRIAL = 0.5
"""How much of that each complete trial allows: a model of a few trials is sure of itself without a reason."""

MAX_FAILED_FRACTION = 1 / 3
"""Fraction of failed trials up to which an LLM may insist on what was refused."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate that was judged.

    Attributes:
        params: its configuration, with values for what it leaves to the sampler.
        score: by the sampler's model; None without one.
        objection: why it is refused; "" if it may run.
    """

    candidate: Candidate
    params: Mapping[str, Value]
    score: CandidateScore | None
    objection: str = ""

    @property
    def text(self) -> str:
        """The judgement in a line, for the history."""
        verdict = self.objection or "may run"
        return f"{render_params(self.params)}: {verdict}{_score_text(self.score)}"

    @property
    def for_model(self) -> str:
        """The refusal in a line, for the model."""
        chance = f" ({self.score.p_feasible:.0%} chance of success)" if self.score is not None else ""
        return f"{render_params(self.params, digits=4)}: {self.objection}{chance}"


def judge(
    candidate: Candidate, params: Mapping[str, Value], score: CandidateScore | None, *, insists: bool
) -> Judgement:
    """Return the judgement of a candidate.

    Args:
        candidate: what a model gave.
        params: its configuration, with values for what it leaves to the sampler.
        score: by the sampler's model; None without one, which refuses nothing.
        insists: whether it was refused before, and the model, knowing that, gave it again and may insist.
    """
    is_allowed = score is None or insists or candidate.repeats is not None or score.p_feasible >= MIN_P_FEASIBLE
    return Judgement(candidate, params, score, "" if is_allowed else "it would probably fail or break a limit")


def may_insist(view: StudyView) -> bool:
    """Return whether a refused candidate runs when the model gives it again: not if many of its trials failed."""
    own = [t for t in view.trials if t.proposal.source is Source.LLM and t.state.is_finished]
    failed = sum(t.state is TrialState.FAILED for t in own)
    return failed <= MAX_FAILED_FRACTION * max(len(own), 1)


def in_order(acceptable: Sequence[Judgement], view: StudyView) -> list[Judgement]:
    """Return judgements in the order in which they should run."""
    if any(judgement.score is None for judgement in acceptable):
        return list(acceptable)
    record = track_record(view.trials, view.objectives[0])
    shifted = _with_predictions([j.score for j in acceptable if j.score is not None], acceptable, view, record)
    least = min(score.log_ei_gap for score in shifted)
    most = min(_MAX_GAP, _GAP_PER_TRIAL * sum(t.state is TrialState.COMPLETE for t in view.finished))

    def cost(index: int) -> float:
        """The model's own order is that of its answer, which the prompt asks for; it decides where both are equal.

        A repeat keeps its place: its gain is to know the noise, which the judge does not count.
        """
        is_repeat = acceptable[index].candidate.repeats is not None
        gap = 0.0 if is_repeat else min(shifted[index].log_ei_gap - least, most)
        return record.weight * index + (1.0 - record.weight) * gap / _GAP_PER_POSITION

    return [acceptable[index] for index in sorted(range(len(acceptable)), key=cost)]


def why_ahead(chosen: Judgement, judgements: Sequence[Judgement]) -> str:
    """Return why a candidate runs before others that the model put higher, phrased for the model; "" for its first."""
    above, first = next(i for i, judgement in enumerate(judgements) if judgement is chosen), judgements[0]
    if not above:
        return ""
    text = f"it ran before {above} that you put higher:"
    if chosen.score is None or first.score is None:
        return f"{text} you predicted more of it"
    own, other = (short_number(one.score.prediction.mean) for one in (chosen, first) if one.score is not None)
    return f"{text} the sampler saw more to gain ({own} expected, {other} of your first)"


def _with_predictions(
    scores: Sequence[CandidateScore], judgements: Sequence[Judgement], view: StudyView, record: TrackRecord
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
        return log_ei_shift(score.prediction, predicted - record.bias, error, best=value, sign=objective.sign)

    pairs = zip(scores, judgements, strict=True)
    return [replace(score, log_ei_gap=score.log_ei_gap - shift(score, j.candidate.predicted)) for score, j in pairs]


def _score_text(score: CandidateScore | None) -> str:
    if score is None:
        return ""
    mean, std = score.prediction.mean, score.prediction.std
    gain = f"log gain {-score.log_ei_gap:+.1f} against the sampler's point"
    return f"; the model expects {mean:.4g} ± {std:.2g}, {score.p_feasible:.0%} chance of success, {gain}"
