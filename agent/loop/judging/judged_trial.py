"""A trial whose texts are judged after its command has ended: polled like any other. Records nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.study.trials.observed.texts import Texts, TextsUnusable
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState

if TYPE_CHECKING:
    from tunesmith.agent.text_judge.judge import Hearing, TextJudge
    from tunesmith.agent.text_judge.judged import JudgedValues


class JudgedTrial:
    """A trial and the judging of its texts, in one slot.

    Args:
        trial: what runs.
        judge: who judges.
        evaluation: the running command; None where it ran before and only its judging is left.
        ran: how the command ended in that case.
        read: returns the texts that the command left; raises TextsUnusable.
        keep: keeps how the command ended, so that it need not run again.
        change: gives other trials the values that the new comparisons change.
        name: what the file of texts is called, for messages.
    """

    def __init__(  # noqa: PLR0913  # what runs, who judges, and what is kept
        self,
        trial: Trial,
        judge: TextJudge,
        *,
        evaluation: Evaluation | None,
        ran: Outcome | None,
        read: Callable[[], Texts],
        keep: Callable[[Outcome], None],
        change: Callable[[dict[int, JudgedValues]], None],
        name: str,
    ) -> None:
        self.trial = trial
        self._judge, self._evaluation, self._ran = judge, evaluation, ran
        self._read, self._keep, self._change, self._name = read, keep, change, name
        self._hearing: Hearing | None = None
        self._outcome: Outcome | None = None
        self._stopped_for = ""

    @property
    def is_judged(self) -> bool:
        """Whether its command has ended and its texts wait for the judge."""
        return self._ran is not None and self._outcome is None

    def poll(self) -> Outcome | None:
        """Return the outcome once the texts are judged; None before; never blocks.

        Raises:
            InputError: the folders of the next command cannot be made, or the texts cannot be kept.
        """
        if self._outcome is None:
            self._outcome = self._advance()
        return self._outcome

    def stop(self, note: str, failure: FailureKind | None = None) -> None:
        """Ask the command to end; a trial that is being judged ends without a value."""
        if self._ran is None and self._evaluation is not None:
            self._evaluation.stop(note, failure)
        else:
            self._stopped_for = self._stopped_for or note

    def kill(self, reason: str) -> None:
        """End the command at once, or leave the judging; what was kept of it stays."""
        if self._ran is None and self._evaluation is not None:
            self._evaluation.kill(reason)
        else:
            self._stopped_for = self._stopped_for or reason

    def _advance(self) -> Outcome | None:
        if self._ran is None:
            assert self._evaluation is not None  # noqa: S101  # one of the two is given
            ended = self._evaluation.poll()
            if ended is None or ended.state is not TrialState.COMPLETE:
                return ended
            self._ran = ended
        if self._hearing is None:
            try:
                texts = self._read()
            except TextsUnusable as error:
                return _failed(self._ran, f"{self._name}, the file of its texts, cannot be judged: {error}")
            self._hearing = self._judge.hear(self.trial.number, texts)
            if self._evaluation is not None:
                self._keep(self._ran)
        if self._stopped_for:
            self._judge.drop(self._hearing)
            return replace(self._ran, state=TrialState.STOPPED, note=self._stopped_for)
        return self._judged(self._hearing, self._ran)

    def _judged(self, hearing: Hearing, ran: Outcome) -> Outcome | None:
        found = self._judge.result(hearing)
        if found is None:
            return None
        if reason := self._judge.unusable_reason(hearing, found):
            return _failed(ran, reason)
        values = self._judge.settle(found)
        own = values.pop(self.trial.number)
        self._change(values)
        note = "; ".join(filter(None, (own.note, ran.note)))
        return replace(ran, values={**ran.values, **own.values}, note=note)


def _failed(ran: Outcome, reason: str) -> Outcome:
    failure = Failure(kind=FailureKind.NO_METRIC, reason=reason)
    return replace(ran, state=TrialState.FAILED, failure=failure)
