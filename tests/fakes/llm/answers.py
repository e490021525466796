"""Answers of scripted models: candidates in the form that the planner asks for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fakes.llm.server import Reply, message

from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Unusable
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LookupTool, ModelAnswer, TokenUse
from tunesmith.prompts.message import Message

T = TypeVar("T")
Params = Mapping[str, Any]


def candidates_text(
    points: Sequence[Params], rationale: str = "the loss falls towards this side", predicted: float = 0.1
) -> str:
    """Return an answer with these candidates."""
    candidates = [
        {
            "params": dict(p),
            "rationale": rationale,
            "predicted": predicted,
            "refuted_by": "a worse one",
            "operator": "refine",
        }
        for p in points
    ]
    return json.dumps({"candidates": candidates})


def candidates_reply(points: Sequence[Params]) -> Reply:
    """Return the same over HTTP."""
    return message(candidates_text(points))


def drawn_points(names: Sequence[str], seed: int, count: int = 4) -> list[Params]:
    """Return random points of the unit cube."""
    rng = random.Random(seed)
    return [{name: round(rng.random(), 4) for name in names} for _ in range(count)]


class ScriptedModel:
    """A model without a server: `says(n, messages)` returns the text of answer n, or raises an error of a model."""

    name = "scripted:model"

    def __init__(self, says: Callable[[int, Sequence[Message]], str]) -> None:
        self._says = says
        self.asked: list[Sequence[Message]] = []

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        self.asked.append(messages)
        text = self._says(len(self.asked) - 1, messages)
        usage = TokenUse(input=1000, output=100)
        call = CallRecord(model=self.name, requests=1, usage=usage)
        try:
            return ModelAnswer(form.read(json.loads(text)), text, call)
        except ValueError as error:
            raise AnswerUnusable(Unusable.WRONG_SHAPE, str(error), text, call) from None
