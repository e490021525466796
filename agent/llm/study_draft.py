"""Has a model improve the study file that `init` drafts. What it writes is read back before it counts.

The draft stands wherever the model is down or writes nothing that can be used: init never fails because of an LLM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.client.errors import AnswerUnusable, ModelDown, Unusable
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel
from tunesmith.history.redact import redact
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ToolRefused

MAX_QUESTIONS = 3
"""A file with mistakes is sent back with all of them named, twice at most."""

_SCHEMA = {
    "type": "object",
    "properties": {"toml": {"type": "string"}},
    "required": ["toml"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class StudyDraft:
    """A study file. `trouble` says why it is the draft by rules of thumb after all; "" when the model wrote it."""

    text: str
    trouble: str = ""
    cost_usd: float | None = None


def improve_draft(
    model: LanguageModel, draft: str, script: str, *, check: Callable[[str], object], wish: str = ""
) -> StudyDraft:
    """Return the study file as the model improves it.

    Args:
        model: is asked, at most three times.
        draft: the file by rules of thumb.
        script: the source that it is for.
        check: reads a file; raises ToolRefused with every mistake.
        wish: what the person wants of the study, in their own words.
    """
    mistakes, cost_usd = "", 0.0
    for _ in range(MAX_QUESTIONS):
        asked = render_text("init_ask.md", draft=draft, script=redact(script), wish=wish, mistakes=mistakes)
        messages = [Message("system", render_text("init.md")), Message("user", asked)]
        try:
            answer = model.ask(messages, AnswerFormat("study_file", _SCHEMA, lambda found: _checked(found, check)))
        except ModelDown as error:
            return StudyDraft(draft, error.reason, cost_usd or None)
        except AnswerUnusable as error:
            mistakes = error.reason
            cost_usd += error.call.cost_usd or 0.0
            if error.kind not in (Unusable.WRONG_SHAPE, Unusable.NOT_JSON):
                break
            continue
        return StudyDraft(answer.value, cost_usd=cost_usd + (answer.call.cost_usd or 0.0) or None)
    return StudyDraft(draft, f"{model.name} wrote no file that can be used: {mistakes}", cost_usd or None)


def _checked(found: Any, check: Callable[[str], object]) -> str:
    text = found.get("toml") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise ValueError('give the whole file as a text under "toml"')
    try:
        check(text)
    except ToolRefused as error:
        raise ValueError(str(error)) from None
    return text if text.endswith("\n") else f"{text}\n"
