"""Keeps questions and answers in a file, and answers from such a file: a deterministic run without a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.agent.llm.client.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.parsing import find_json_object
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LanguageModel, LookupTool, ModelAnswer, TokenUse
from tunesmith.prompts.message import Message
from tunesmith.study.errors import ProjectError

T = TypeVar("T")


class RecordingModel:
    """A model whose answers and failures are kept, a JSON line each.

    Args:
        model: answers.
        path: the file; lines are put on its end.

    Raises:
        ProjectError: the file cannot be written.
    """

    def __init__(self, model: LanguageModel, path: Path) -> None:
        self._model = model
        self._path = path
        try:
            path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ProjectError(f"--record {path} cannot be written: {error.strerror}") from None

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Ask the model, and keep what it said."""
        kept: dict[str, Any] = {"key": _key(messages, form)}
        try:
            answer = self._model.ask(messages, form, tools=tools, max_tool_calls=max_tool_calls)
        except ModelDown as error:
            self._keep({**kept, "down": error.kind.value, "reason": error.reason}, error.call)
            raise
        except AnswerUnusable as error:
            unusable = {"unusable": error.kind.value, "reason": error.reason, "text": error.text}
            self._keep({**kept, **unusable}, error.call)
            raise
        self._keep({**kept, "text": answer.text}, answer.call)
        return answer

    def _keep(self, line: dict[str, Any], call: CallRecord) -> None:
        use = {"input": call.usage.input, "cached": call.usage.cached, "output": call.usage.output}
        record = {"model": call.model, "requests": call.requests, "cost_usd": call.cost_usd, "usage": use}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "call": record}) + "\n")


class ReplayModel:
    """Answers from a recording: equal questions in the order in which they were asked.

    Raises:
        ProjectError: the file cannot be read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name or "replay"
        self._lines: dict[str, list[dict[str, Any]]] = {}
        try:
            for text in path.read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                self._lines.setdefault(line["key"], []).append(line)
        except OSError as error:
            raise ProjectError(f"--replay {path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise ProjectError(f"--replay {path} is no recording; make one with --record FILE") from None

    @property
    def name(self) -> str:
        """The recorded model's name."""
        return self._name

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,  # noqa: ARG002
    ) -> ModelAnswer[T]:
        """Return what was said to the same question.

        Raises:
            ModelDown: as recorded, or because the question is not in the file.
            AnswerUnusable: as recorded.
        """
        waiting = self._lines.get(_key(messages, form))
        if not waiting:
            reason = f"this question is not in {self._path}; the study differs from the recorded one"
            raise ModelDown(Down.NOT_FOUND, reason, call=CallRecord(model=self._name))
        line = waiting.pop(0)
        told = line["call"]
        call = CallRecord(
            model=told["model"], requests=told["requests"], cost_usd=told["cost_usd"], usage=TokenUse(**told["usage"])
        )
        if "down" in line:
            raise ModelDown(Down(line["down"]), line["reason"], call=call)
        if "unusable" in line:
            raise AnswerUnusable(Unusable(line["unusable"]), line["reason"], line["text"], call)
        return ModelAnswer(form.read(find_json_object(line["text"])), line["text"], call)


def _key(messages: Sequence[Message], form: AnswerFormat[Any]) -> str:
    text = json.dumps([form.name, *((m.role, m.text) for m in messages)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
