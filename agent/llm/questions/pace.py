"""Decides when candidates are thought over after a result, and how many a question asks for.

The rule in words is in docs/llm.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.llm_budget import LLMBudget
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION, FIRST_CANDIDATES
from tunesmith.agent.llm.questions.timing import QuestionCost, is_cheap, news, question_cost, seems_cheap
from tunesmith.study.trials.trial import Source, TrialState
from tunesmith.study.trials.view import StudyView

MIN_SHARE_TO_RETHINK = 0.25
"""Share of the trials below which a model's candidates are run down before it is asked again."""

ALTERNATIVES = 2
"""Number of candidates that are asked for beyond those that may start before the next question."""

RethinkRule = Literal["when cheap", "always", "never"]
"""When candidates that did not run are asked for again after a result: by their cost, always, or never."""


class QuestionPace:
    """The pace of one run's questions.

    Args:
        rule: when candidates that did not run are asked for again after a result.
        count: candidates per question where they are used up before the next one.
        slots: number of trials that run at once.
        usage: the LLM's budget, which has to last.

    Attributes:
        share: fraction of the trials that the model gets now.
    """

    def __init__(self, rule: RethinkRule, *, count: int, slots: int, usage: LLMBudget) -> None:
        self._rule = rule
        self._count = count
        self._slots = slots
        self._usage = usage
        self._costs: list[QuestionCost] = []
        self._finished_seen = -1
        self.share = 0.5

    def begin(self, view: StudyView) -> None:
        """Take in that a question about this view begins."""
        self._finished_seen = len(view.finished)

    def add_answer(self, calls: Sequence[LoggedCall]) -> None:
        """Take in the calls that an answer took."""
        if calls:
            self._costs.append(question_cost(calls))

    def must_rethink(self, view: StudyView) -> bool:
        """Return whether results since the last question make the waiting candidates worth another thought."""
        if self._rule == "never" or len(view.finished) <= self._finished_seen:
            return False
        if all(t.proposal.source is Source.DEFAULT and t.state is TrialState.COMPLETE for t in view.finished):
            return False  # starting points given while the default ran are thought over once one of them has ended
        is_news = self.share >= MIN_SHARE_TO_RETHINK and news(view, since=self._finished_seen)
        return is_news or self._follows_results(view)

    def starts(self, view: StudyView) -> int | None:
        """Return how many candidates may start before the next question; None where all of them may."""
        return self._slots if self._follows_results(view) else None

    def candidates(self, starts: int | None, *, first: bool) -> int:
        """Return how many candidates to ask for: those that may start before the next question, and alternatives.

        Args:
            starts: how many may start before it; None where all of them may.
            first: whether no trial but the default has a result.
        """
        if starts is not None and self._count >= CANDIDATES_PER_QUESTION:
            return min(starts + ALTERNATIVES, FIRST_CANDIDATES)
        return max(FIRST_CANDIDATES, self._count) if first and self._count > 1 else self._count

    def _follows_results(self, view: StudyView) -> bool:
        """Return whether each result is followed by a new question, as far as that is known."""
        if self._rule != "when cheap":
            return self._rule == "always"
        if self.share < MIN_SHARE_TO_RETHINK:
            return False
        if not self._costs:
            return seems_cheap(view)
        return is_cheap(view, self._costs, self._usage.limits, self._usage.spent)
