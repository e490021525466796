"""Asks a language model for an edit of the code, and lets it correct what cannot be made. It proposes; it runs nothing.

What does not apply, does not pass the gate or is there already goes back to the model with the reason, twice at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.candidates import closed_object
from tunesmith.agent.llm.client.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel
from tunesmith.prompts.edit_prompts import CodeFacts, FailedEdit, edit_retry_message, editing_messages
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.formatting import one_line
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import KINDS
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import DIRECTIONS, Edit, EditRefused, Variant, VariantState
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.rules import GateRules

MAX_QUESTIONS = 3
"""An edit that cannot be made comes back to the model, twice at most."""

_LONGEST_WORDS = 600
_MOST_BLOCKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestion:
    """What an edit is asked for.

    Attributes:
        parent: the version to edit.
        known: every version of the study, by id.
        facts: what the model is shown.
        space: the parameters of trials with the parent.
        broken: an edit to repair; None for a new one.
    """

    parent: Variant
    known: Mapping[str, Variant]
    facts: CodeFacts
    space: SearchSpace
    broken: FailedEdit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """What a question brought.

    Attributes:
        made: the versions in the order of making, those that may not run included; the last may be sound.
        params: what the sound one has to be run with beside the best configuration.
        predicted: what the model expects of the first metric; None when it does not say.
        trouble: why there is no answer, "" when there was one; then the model is left alone for a while.
        lasting: a person has to change something before asking again makes sense.
    """

    made: tuple[Variant, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    predicted: float | None = None
    calls: tuple[LoggedCall, ...] = ()
    trouble: str = ""
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer of the model, as far as it can be read."""

    change: EditProposal
    params: Mapping[str, Any]
    predicted: float | None


class Editor:
    """Asks one model about one study's code.

    Args:
        model: answers.
        subject: what does not change while the study runs.
        rules: what the gate knows.
        clock: seconds since the epoch.
    """

    def __init__(
        self, model: LanguageModel, subject: StudyBrief, rules: GateRules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._model = model
        self._subject = subject
        self._rules = rules
        self._clock = clock

    def edit(self, question: EditQuestion) -> EditResult:
        """Return what the model made of it; whatever happens to the model shows in the answer."""
        calls: list[LoggedCall] = []
        made: list[Variant] = []
        messages = editing_messages(self._subject, question.facts, broken=question.broken)
        form = edit_format(question.space)
        for turn in range(MAX_QUESTIONS):
            try:
                answer = ask_and_log(self._model, "edit.md", messages, form, calls, clock=self._clock)
            except ModelDown as error:
                return EditResult(made=tuple(made), calls=tuple(calls), trouble=error.reason, lasting=error.lasting)
            except AnswerUnusable as error:
                messages = [*messages, edit_retry_message(error.reason, last=turn == MAX_QUESTIONS - 2)]
                continue
            problem = self._tried(answer, question, made)
            if not problem:
                params = _fitting(answer.params, question.space)
                return EditResult(made=tuple(made), params=params, predicted=answer.predicted, calls=tuple(calls))
            said = Message("assistant", calls[-1].answer[:8000])
            messages = [*messages, said, edit_retry_message(problem, last=turn == MAX_QUESTIONS - 2)]
        trouble = "" if made else f"{self._model.name} gave no edit that can be made, asked {MAX_QUESTIONS} times"
        return EditResult(made=tuple(made), calls=tuple(calls), trouble=trouble)

    def _tried(self, answer: _Answer, question: EditQuestion, made: list[Variant]) -> str:
        """Put the version that an answer makes on the end of `made`; return why it may not run, "" when it may."""
        if answer.change.direction == question.facts.tired:
            return f"its direction is {question.facts.tired}, of which there were enough; choose another"
        known = {**question.known, **{v.id: v for v in made if v.state is not VariantState.REFUSED}}
        try:
            variant = make_variant(answer.change, question.parent, known, self._rules)
        except EditRefused as refused:
            return str(refused)
        made.append(replace(variant, created_at=self._clock()))
        return variant.reason if variant.state is not VariantState.SOUND else ""


def edit_format(space: SearchSpace) -> AnswerFormat[_Answer]:
    """Return the form of an answer with an edit, for a study with this space."""
    text, number = {"type": "string"}, {"type": ["number", "null"]}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    new = {
        "name": text,
        "type": {"type": "string", "enum": list(KINDS)},
        "low": number,
        "high": number,
        "log": {"type": ["boolean", "null"]},
        "default": scalar,
        "choices": {"type": ["array", "null"], "items": {"type": ["string", "number"]}},
    }
    block = closed_object({"path": text, "search": text, "replace": text})
    properties = {
        "rationale": text,
        "direction": {"type": "string", "enum": list(DIRECTIONS)},
        "edits": {"type": "array", "minItems": 1, "items": block},
        "params": closed_object(dict.fromkeys(space.names, scalar)),
        "new_params": {"type": "array", "items": closed_object(new)},
        "predicted": number,
    }
    return AnswerFormat("edit", closed_object(properties), _read)


def _read(found: Any) -> _Answer:
    blocks = found.get("edits") if isinstance(found, Mapping) else None
    if not isinstance(blocks, list) or not blocks:
        raise ValueError('edits: give a list of blocks: {"path": "train.py", "search": "...", "replace": "..."}')
    edits = [_read_block(block, number) for number, block in enumerate(blocks[:_MOST_BLOCKS], start=1)]
    predicted = found.get("predicted", found.get("predicted_mean"))
    params = found.get("params")
    direction = found.get("direction")
    change = EditProposal(
        edits=edits,
        author="llm",
        direction=direction if direction in DIRECTIONS else "other",
        rationale=one_line(str(found.get("rationale") or ""), _LONGEST_WORDS),
        declared=_read_declared(found.get("new_params")),
    )
    is_number = isinstance(predicted, int | float) and not isinstance(predicted, bool)
    return _Answer(change, params if isinstance(params, Mapping) else {}, float(predicted) if is_number else None)


def _read_block(block: Any, number: int) -> Edit:
    wanted = ("path", "search", "replace")
    if not isinstance(block, Mapping) or not all(isinstance(block.get(name), str) for name in wanted):
        raise ValueError(f"edits[{number}]: give path, search and replace, each a text")
    return Edit(**{name: block[name] for name in wanted})


def _read_declared(found: Any) -> dict[str, dict[str, Any]]:
    """Return tables like those of [space], from a list of objects with a name each, or from an object of them."""
    if isinstance(found, Mapping):
        found = [{"name": name, **table} for name, table in found.items() if isinstance(table, Mapping)]
    listed = found if isinstance(found, list) else []
    entries = [e for e in listed if isinstance(e, Mapping) and isinstance(e.get("name"), str)]
    return {e["name"]: {k: v for k, v in e.items() if k != "name" and v is not None} for e in entries}


def _fitting(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Value]:
    """Return the values that the space accepts, one by one; the others are passed over."""
    found: dict[str, Value] = {}
    for name, value in params.items():
        parameter = space.parameters.get(name)
        if parameter is not None and value is not None and not parameter.refuse(value):
            found[name] = value
    return found
