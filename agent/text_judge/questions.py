"""What a judge is asked: which of two texts is better, or which score a text deserves. Asks nothing itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.answer_format import closed_object
from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.prompts.judge_prompts import PAIR, SCORE, pair_messages, score_messages
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import template_version
from tunesmith.study.formatting import one_line

FIRST, SECOND, TIE, UNUSABLE = "a", "b", "tie", "none"
"""Verdicts on a pair; the last one means that no answer was usable, also for scores."""


MAX_REASON_CHARS = 300
"""Longest reason that is kept of an answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer: "a", "b", "tie", a score as text, or "none"; and its reason in a line, which is data as well."""

    said: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to the judge.

    Attributes:
        key: hash of everything that the answer depends on; equal questions are asked once.
        template: name of the template.
        messages: the prompt.
        form: the form of the answer.
        about: what is asked, for the log.
    """

    key: str
    template: str
    messages: tuple[Message, ...]
    form: AnswerFormat[Verdict]
    about: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What all questions of a study share.

    Attributes:
        model: name of the judge.
        criteria: the person's rules.
        low: the lowest score.
        high: the highest score.
    """

    model: str
    criteria: str
    low: int
    high: int

    @property
    def digest(self) -> str:
        """Hash of what a person says of the judge: verdicts of another one are not comparable."""
        return hash_of(self.model, self.criteria, str(self.low), str(self.high))

    def both_orders(self, input_text: str, first: str, second: str, about: str) -> tuple[Question, Question]:
        """Return the two questions which of two texts is better: `first` shown first, then `second` shown first."""
        return self._pair(input_text, first, second, about), self._pair(input_text, second, first, about)

    def score(self, input_text: str, output: str, about: str) -> Question:
        """Return the question which score a text deserves."""
        messages = tuple(score_messages(self.criteria, input_text, output, self.low, self.high))
        low, high = self.low, self.high
        grades = {"type": "integer", "enum": list(range(low, high + 1))}
        form = AnswerFormat("score", _reasoned({"score": grades}), lambda answer: _read_score(answer, low, high))
        return Question(key=self._key(SCORE, messages), template=SCORE, messages=messages, form=form, about=about)

    def _pair(self, input_text: str, a: str, b: str, about: str) -> Question:
        messages = tuple(pair_messages(self.criteria, input_text, a, b))
        return Question(key=self._key(PAIR, messages), template=PAIR, messages=messages, form=_PAIR_FORM, about=about)

    def _key(self, template: str, messages: Sequence[Message]) -> str:
        return hash_of(self.model, template_version(template), *(message.text for message in messages))


def hash_of(*parts: str) -> str:
    """Return a hash of texts in their order."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def pair_outcome(forward: str, backward: str) -> float:
    """Return 1 where the first text is better, 0 where the second is, and 0.5 for a tie.

    Args:
        forward: the verdict where the first text was shown as A.
        backward: the verdict where it was shown as B.

    Verdicts that differ say more about the place of a text than about the text, so they are a tie.
    """
    if (forward, backward) == (FIRST, SECOND):
        return 1.0
    return 0.0 if (forward, backward) == (SECOND, FIRST) else 0.5


def _reasoned(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an answer whose reason comes first: a verdict after it is a better one."""
    return closed_object({"reason": {"type": "string"}, **properties})


def _read_pair(answer: Any) -> Verdict:
    verdict = answer.get("better") if isinstance(answer, Mapping) else None
    found = str(verdict).strip().lower()
    if found not in (FIRST, SECOND, TIE):
        raise ValueError('better: write "A", "B" or "tie"')
    return Verdict(found, _reason(answer))


def _read_score(answer: Any, low: int, high: int) -> Verdict:
    score = answer.get("score") if isinstance(answer, Mapping) else None
    # The range first: infinity, which JSON can spell as 1e999, is no whole number.
    if isinstance(score, bool) or not isinstance(score, int | float) or not low <= score <= high or score != int(score):
        raise ValueError(f"score: write a whole number from {low} to {high}")
    return Verdict(str(int(score)), _reason(answer))


def _reason(answer: Mapping[str, Any]) -> str:
    return one_line(str(answer.get("reason") or ""), MAX_REASON_CHARS)


_PAIR_FORM: AnswerFormat[Verdict] = AnswerFormat(
    "comparison", _reasoned({"better": {"type": "string", "enum": ["A", "B", "tie"]}}), _read_pair
)
