"""Has a model improve the study file that `init` drafts. The answer is parsed and checked before it is used.

When the model is down or its file is not valid, the original draft is returned: an LLM never makes `init` fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.answer_format import closed_object
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown, Unusable
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ToolRefused

MAX_QUESTIONS = 3
"""Questions at most: the first one, and two more that name every mistake of the previous file."""

_SCHEMA = closed_object({"toml": {"type": "string"}})


@dataclass(frozen=True, slots=True)
class StudyDraft:
    """A study file.

    Attributes:
        error: why the text is the original draft; "" when the model wrote it.
        cost_usd: dollars for all questions; None when unknown or nothing.
    """

    text: str
    error: str = ""
    cost_usd: float | None = None


def improve_draft(
    model: LanguageModel, draft: str, script: str, *, check: Callable[[str], object], wish: str = ""
) -> StudyDraft:
    """Return the study file as the model improved it, or the draft with an error.

    Args:
        model: is asked at most MAX_QUESTIONS times.
        draft: the study file made without a model.
        script: source of the training script.
        check: parses a study file; raises ToolRefused that names every mistake.
        wish: what the user asked for, in their own words.
    """
    mistakes, cost_usd = "", 0.0
    for _ in range(MAX_QUESTIONS):
        question = render_text("init_ask.md", draft=draft, script=script, wish=wish, mistakes=mistakes)
        messages = [Message("system", render_text("init.md")), Message("user", question)]
        try:
            answer = model.ask(messages, AnswerFormat("study_file", _SCHEMA, lambda given: _read_file(given, check)))
        except ModelDown as error:
            return StudyDraft(draft, error.reason, cost_usd or None)
        except AnswerUnusable as error:
            mistakes = error.reason
            cost_usd += error.call.cost_usd or 0.0
            if error.kind not in (Unusable.WRONG_SHAPE, Unusable.NOT_JSON):
                break
            continue
        return StudyDraft(answer.value, cost_usd=cost_usd + (answer.call.cost_usd or 0.0) or None)
    return StudyDraft(draft, f"{model.name} did not write a valid study file: {mistakes}", cost_usd or None)


def _read_file(answer: Any, check: Callable[[str], object]) -> str:
    text = answer.get("toml") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise ValueError('toml: give the whole file as a string, as in {"toml": "..."}')
    try:
        check(text)
    except ToolRefused as error:
        raise ValueError(str(error)) from None
    return text if text.endswith("\n") else f"{text}\n"
