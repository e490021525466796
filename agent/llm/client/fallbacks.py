"""Several models as one: when the first is down, the next one answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tunesmith.agent.llm.client.failures.errors import ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel, LookupTool, ModelAnswer
from tunesmith.prompts.message import Message

T = TypeVar("T")


class FallbackModel:
    """Asks models in order until one answers. A model with a permanent failure is not asked again.

    Args:
        models: at least one; the preferred one first.
    """

    def __init__(self, models: Sequence[LanguageModel]) -> None:
        self._models = list(models)

    @property
    def name(self) -> str:
        """Name of the model that is asked first."""
        return self._models[0].name

    def ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Return the first answer.

        Raises:
            ModelDown: every model is down; the failure of the last one.
            AnswerUnusable: a model answered, but its answer cannot be used.
        """
        for model in list(self._models):
            try:
                return model.ask(messages, answer_format, tools=tools, max_tool_calls=max_tool_calls)
            except ModelDown as error:
                down = error
                if error.permanent and len(self._models) > 1:
                    self._models.remove(model)
        raise down
