"""Remembers what became of candidates that are no trials, so that the model learns it with its next question."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.agent.llm.candidates import Candidate, InvalidCandidate
from tunesmith.prompts.candidate_fates import MAX_FATES, CandidateFate, Fate
from tunesmith.study.space.values import config_key


class FateLog:
    """The latest refused and dropped candidates of one run; those that ran are in the history."""

    def __init__(self) -> None:
        self._decided: list[CandidateFate] = []

    def refuse(self, candidate: Candidate, reason: str, *, after: int) -> None:
        """Remember that a candidate does not run, and why."""
        self._add(_fate(candidate, Fate.REFUSED, after, reason))

    def refuse_invalid(self, invalid: Sequence[InvalidCandidate], *, after: int) -> None:
        """Remember candidates that could not be validated."""
        for one in invalid:
            self._add(CandidateFate(params=one.params, fate=Fate.REFUSED, after=after, reason=f"it {one.problem}"))

    def drop(self, candidates: Sequence[Candidate], reason: str, *, after: int) -> None:
        """Remember candidates that are given up without a judgement."""
        for candidate in candidates:
            self._add(_fate(candidate, Fate.DROPPED, after, reason))

    def was_refused(self, candidate: Candidate) -> bool:
        """Return whether the same configuration was refused before, and the model knows."""
        key = config_key(candidate.params)
        return any(one.fate is Fate.REFUSED and config_key(one.params) == key for one in self._decided)

    def with_waiting(self, waiting: Sequence[Candidate], *, after: int) -> tuple[CandidateFate, ...]:
        """Return every fate for a prompt: the decided ones, and the candidates that still wait."""
        return (*self._decided, *(_fate(candidate, Fate.WAITING, after, "") for candidate in waiting))

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
    )
