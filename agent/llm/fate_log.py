"""Remembers what became of candidates that are no trials, so that the model learns it with its next question."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.agent.llm.answers.intervals import Interval, is_number
from tunesmith.agent.llm.candidates import Candidate, InvalidCandidate
from tunesmith.prompts.candidate_fates import MAX_FATES, CandidateFate, Fate
from tunesmith.study.formatting import render_short
from tunesmith.study.space.values import config_key


class FateLog:
    """The latest candidates of one run that were refused, passed over or left out; those that ran are in the history.

    Attributes:
        dropped: number of candidates that did not run and that the model did not give again.
    """

    def __init__(self) -> None:
        self._decided: list[CandidateFate] = []
        self.dropped = 0

    def refuse(self, candidate: Candidate, reason: str, *, after: int) -> None:
        """Remember that a candidate does not run, and why."""
        self._add(_fate(candidate, Fate.REFUSED, after, reason))

    def refuse_invalid(self, invalid: Sequence[InvalidCandidate], *, after: int) -> None:
        """Remember candidates that could not be validated."""
        for one in invalid:
            self._add(CandidateFate(params=one.params, fate=Fate.REFUSED, after=after, reason=f"it {one.problem}"))

    def run_ahead(self, candidate: Candidate, reason: str, *, number: int) -> None:
        """Remember why a candidate became this trial before others that the model put higher."""
        self._add(_fate(candidate, Fate.AHEAD, number, reason))

    def end_region(self, region: Candidate, reason: str, *, after: int) -> None:
        """Remember that a region holds no longer, and why."""
        self._add(_fate(region, Fate.REGION, after, reason))

    def was_refused(self, candidate: Candidate) -> bool:
        """Return whether the same configuration was refused before, and the model knows."""
        key = config_key(candidate.params)
        return any(one.fate is Fate.REFUSED and config_key(one.params) == key for one in self._decided)

    def with_waiting(
        self, waiting: Sequence[Candidate], regions: Sequence[Candidate], *, after: int
    ) -> tuple[CandidateFate, ...]:
        """Return every fate for a prompt: the decided ones, the regions that hold, and the candidates that wait."""
        held = [
            _fate(region, Fate.REGION, after, f"holds for {region.runs} more of the sampler's turns")
            for region in regions
            if region.runs > 0
        ]
        return (*self._decided, *held, *(_fate(candidate, Fate.WAITING, after, "") for candidate in waiting))

    def _add(self, fate: CandidateFate) -> None:
        self._decided = [*self._decided, fate][-2 * MAX_FATES :]


def _fate(candidate: Candidate, fate: Fate, after: int, reason: str) -> CandidateFate:
    return CandidateFate(
        params=candidate.params,
        fate=fate,
        after=after,
        kind=candidate.kind,
        expected=candidate.predicted,
        reason=reason,
        base=candidate.base,
        free=[_range_text(name, interval, candidate) for name, interval in candidate.free.items()],
        is_repeat=candidate.repeats is not None,
    )


def _range_text(name: str, interval: Interval, candidate: Candidate) -> str:
    """Return a free parameter with its range; the interval of a choice is of no use to a reader."""
    value = candidate.params.get(name)
    if not is_number(value) or not interval.low <= float(str(value)) <= interval.high:
        return name
    return f"{name} {render_short(interval.low)} to {render_short(interval.high)}"
