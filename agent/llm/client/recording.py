"""Records questions and answers to a file, and replays them: a run without a network.

A question that was recorded gets its answer. Any other question about the same study gets the next answer in the
recorded order: seconds of trials and the moment of a question differ from run to run. A line with "about" is a note of
whoever made the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.replies.parsing import read_last_object
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LanguageModel, LookupTool, ModelAnswer, TokenUse
from tunesmith.prompts.message import Message
from tunesmith.study.errors import ProjectError
from tunesmith.study.search_replace import split_lines

T = TypeVar("T")


class RecordingModel:
    """Appends each answer or failure of a model to a file, as one line of JSON.

    Args:
        model: the model to record.
        path: the file.

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
        """Name of the model."""
        return self._model.name

    def ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Ask the model and record the answer or the failure; see `LanguageModel`."""
        key = {"key": _question_key(messages, answer_format), "study": _study_key(messages, answer_format)}
        try:
            answer = self._model.ask(messages, answer_format, tools=tools, max_tool_calls=max_tool_calls)
        except ModelDown as error:
            self._write({**key, "down": error.kind.value, "reason": error.reason}, error.call)
            raise
        except AnswerUnusable as error:
            unusable = {"unusable": error.kind.value, "reason": error.reason, "text": error.text}
            self._write({**key, **unusable}, error.call)
            raise
        self._write({**key, "text": answer.text}, answer.call)
        return answer

    def _write(self, line: dict[str, Any], call: CallRecord) -> None:
        usage = {"input": call.usage.input, "cached": call.usage.cached, "output": call.usage.output}
        record = {"model": call.model, "requests": call.requests, "cost_usd": call.cost_usd, "usage": usage}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "call": record}) + "\n")


class ReplayModel:
    """Answers from a recording. A question that was asked several times gets its answers in the recorded order.

    Args:
        path: the file.
        name: name of the recorded model.

    Raises:
        ProjectError: the file cannot be read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name or "replay"
        self._lines: list[dict[str, Any]] = []
        try:
            for text in split_lines(path.read_text(encoding="utf-8")):
                line = json.loads(text)
                if "about" not in line:
                    self._lines.append({"study": None, **line, "key": line["key"]})
        except OSError as error:
            raise ProjectError(f"--replay {path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise ProjectError(f"--replay {path} is not a recording; make one with --record FILE") from None

    @property
    def name(self) -> str:
        """Name of the recorded model."""
        return self._name

    def ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,  # noqa: ARG002
    ) -> ModelAnswer[T]:
        """Return the recorded answer to the same question, else the next one about the same study.

        Raises:
            ModelDown: as recorded, or because the file does not contain the question.
            AnswerUnusable: as recorded.
        """
        line = self._next_line(messages, answer_format)
        if line is None:
            reason = f"the recording has no further answer: {self._path} is of another study, or of fewer questions"
            raise ModelDown(Down.NOT_FOUND, reason, call=CallRecord(model=self._name))
        self._lines.remove(line)
        record = line["call"]
        call = CallRecord(
            model=record["model"],
            requests=record["requests"],
            cost_usd=record["cost_usd"],
            usage=TokenUse(**record["usage"]),
        )
        if "down" in line:
            raise ModelDown(Down(line["down"]), line["reason"], call=call)
        if "unusable" in line:
            raise AnswerUnusable(Unusable(line["unusable"]), line["reason"], line["text"], call)
        return ModelAnswer(read_last_object(line["text"], answer_format.read), line["text"], call)

    def _next_line(self, messages: Sequence[Message], answer_format: AnswerFormat[Any]) -> dict[str, Any] | None:
        key, study = _question_key(messages, answer_format), _study_key(messages, answer_format)
        same = (line for line in self._lines if line["key"] == key)
        of_study = (line for line in self._lines if line["study"] == study)
        return next(same, None) or next(of_study, None)


def _study_key(messages: Sequence[Message], answer_format: AnswerFormat[Any]) -> str:
    """Return a key that all questions of one kind about one search space share, on any machine."""
    text = "\n".join(message.text for message in messages)
    space = text.partition("# The search space\n")[2].partition("\n# ")[0] or messages[0].text
    return hashlib.sha256(json.dumps([answer_format.name, space]).encode()).hexdigest()[:24]


def _question_key(messages: Sequence[Message], answer_format: AnswerFormat[Any]) -> str:
    text = json.dumps([answer_format.name, *((m.role, m.text) for m in messages)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
