"""How long the questions to one model are: shorter once its context or its time has proved too short. Pure state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tunesmith.agent.llm.client.failures.errors import Down, ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import MAX_TOKENS
from tunesmith.study.space.space import SearchSpace

MIN_TOKENS = 1000
"""Smallest limit for a prompt that is tried when a model's context overflows."""

SMALL_CONTEXT = 8192
"""Context in tokens up to which a question leaves out the tools, and an earlier answer that it complains about."""

_QUESTION_SHARE = 0.75
"""Share of a model's context that a question may take; the answer needs the rest."""

_TOKENS_PER_CANDIDATE, _TOKENS_PER_VALUE = 120, 25
"""Length of a candidate with its reason, and of each of its values, in tokens."""


class QuestionSize:
    """What a model has shown about the questions that it can answer.

    Attributes:
        max_tokens: limit for a prompt, by the estimate of `estimate_tokens`.
    """

    def __init__(self) -> None:
        self.max_tokens = MAX_TOKENS
        self._is_slow = False
        self._context: int | None = None

    @property
    def is_small(self) -> bool:
        """Whether the model's context is known to be small."""
        return self._context is not None and self._context <= SMALL_CONTEXT

    def candidates(self, wanted: int, space: SearchSpace) -> int:
        """Return how many candidates to ask for: one of a slow model, no more than fit into a small context."""
        if self._is_slow:
            return 1
        if self._context is None:
            return wanted
        length = _TOKENS_PER_CANDIDATE + _TOKENS_PER_VALUE * len(space)
        return max(min(wanted, int((1 - _QUESTION_SHARE) * self._context / length)), 1)

    def tools(self, offered: Sequence[LookupTool]) -> Sequence[LookupTool]:
        """Return the tools that fit; a slow model gets none, since each call is another wait."""
        return () if self.is_small or self._is_slow else offered

    def shorten(self, error: ModelDown, messages: Sequence[Message], answer_format: AnswerFormat[Any]) -> bool:
        """Take in a failed question; return whether it is worth asking again at once, in a shorter form.

        A slow model is not asked again at once: it may still be at work on the question.
        """
        self._is_slow = self._is_slow or error.kind is Down.TIMEOUT
        if error.kind not in (Down.CONTEXT_OVERFLOW, Down.TIMEOUT) or self.max_tokens <= MIN_TOKENS:
            return False
        length = sum(estimate_tokens(message.text) for message in messages)
        shorter = min(self.max_tokens, length) // 2
        if error.context_tokens is not None and error.context_tokens != self._context:
            self._context = error.context_tokens
            form = estimate_tokens(json.dumps(answer_format.schema))
            shorter = min(int(_QUESTION_SHARE * self._context) - form, self.max_tokens)
        self.max_tokens = max(shorter, MIN_TOKENS)
        return error.kind is Down.CONTEXT_OVERFLOW
