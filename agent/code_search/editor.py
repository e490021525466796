"""Asks a language model for an edit of the code and builds a version from the answer. It runs nothing.

An edit that does not apply, is refused by the rules, or duplicates a known version is sent back with the reason, up to
two times.
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
"""Questions per edit: the first one, and two more that name the problem of the previous answer."""

_MAX_RATIONALE_CHARS = 600
_MAX_BLOCKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestion:
    """A request for one edit.

    Attributes:
        parent: the version to edit.
        known: every version of the study, by id.
        facts: what the prompt shows.
        space: parameters of trials with the parent.
        broken: a failed edit to repair; None for a new edit.
    """

    parent: Variant
    known: Mapping[str, Variant]
    facts: CodeFacts
    space: SearchSpace
    broken: FailedEdit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """Result of a request for an edit.

    Attributes:
        variants: versions in the order in which they were built, refused ones included; only the last may be valid.
        params: values that the valid version needs and that differ from the best configuration.
        predicted: the model's expected value of the first metric; None when it gave none.
        error: why the model gave no edit, in one line; "" when it gave one.
        permanent: the error lasts until a person changes something.
    """

    variants: tuple[Variant, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    predicted: float | None = None
    calls: tuple[LoggedCall, ...] = ()
    error: str = ""
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class _EditAnswer:
    """One answer of the model, parsed but not yet checked."""

    proposal: EditProposal
    params: Mapping[str, Any]
    predicted: float | None


class Editor:
    """Asks one model about the code of one study.

    Args:
        model: the model.
        brief: the facts that do not change during a study.
        rules: what edits may change.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self, model: LanguageModel, brief: StudyBrief, rules: GateRules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._model = model
        self._brief = brief
        self._rules = rules
        self._clock = clock

    def edit(self, question: EditQuestion) -> EditResult:
        """Ask for an edit, at most MAX_QUESTIONS times. Failures of the model are part of the result."""
        calls: list[LoggedCall] = []
        built: list[Variant] = []
        messages = editing_messages(self._brief, question.facts, broken=question.broken)
        answer_format = edit_format(question.space)
        for turn in range(MAX_QUESTIONS):
            is_last_retry = turn == MAX_QUESTIONS - 2
            try:
                answer = ask_and_log(self._model, "edit.md", messages, answer_format, calls, clock=self._clock)
            except ModelDown as down:
                return EditResult(
                    variants=tuple(built), calls=tuple(calls), error=down.reason, permanent=down.permanent
                )
            except AnswerUnusable as unusable:
                messages = [*messages, edit_retry_message(unusable.reason, last=is_last_retry)]
                continue
            problem = self._build(answer, question, built)
            if not problem:
                params = _valid_params(answer.params, question.space)
                return EditResult(variants=tuple(built), params=params, predicted=answer.predicted, calls=tuple(calls))
            previous = Message("assistant", calls[-1].answer[:8000])
            messages = [*messages, previous, edit_retry_message(problem, last=is_last_retry)]
        error = "" if built else f"{self._model.name} gave no edit that applies, asked {MAX_QUESTIONS} times"
        return EditResult(variants=tuple(built), calls=tuple(calls), error=error)

    def _build(self, answer: _EditAnswer, question: EditQuestion, built: list[Variant]) -> str:
        """Build a version from an answer and append it to `built`; return why it may not run, "" when it may."""
        if answer.proposal.direction == question.facts.overused_direction:
            return f"the last edits all had the direction {question.facts.overused_direction}; choose another direction"
        known = {**question.known, **{v.id: v for v in built if v.state is not VariantState.REFUSED}}
        try:
            variant = make_variant(answer.proposal, question.parent, known, self._rules)
        except EditRefused as refused:
            return str(refused)
        built.append(replace(variant, created_at=self._clock()))
        return variant.reason if variant.state is not VariantState.SOUND else ""


def edit_format(space: SearchSpace) -> AnswerFormat[_EditAnswer]:
    """Return the format of an answer with an edit, for trials with this space."""
    text, number = {"type": "string"}, {"type": ["number", "null"]}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    new_parameter = {
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
        "new_params": {"type": "array", "items": closed_object(new_parameter)},
        "predicted": number,
    }
    return AnswerFormat("edit", closed_object(properties), _read_answer)


def _read_answer(answer: Any) -> _EditAnswer:
    blocks = answer.get("edits") if isinstance(answer, Mapping) else None
    if not isinstance(blocks, list) or not blocks:
        raise ValueError('edits: give a list of blocks: {"path": "train.py", "search": "...", "replace": "..."}')
    edits = [_read_block(block, number) for number, block in enumerate(blocks[:_MAX_BLOCKS], start=1)]
    predicted = answer.get("predicted", answer.get("predicted_mean"))
    params = answer.get("params")
    direction = answer.get("direction")
    proposal = EditProposal(
        edits=edits,
        author="llm",
        direction=direction if direction in DIRECTIONS else "other",
        rationale=one_line(str(answer.get("rationale") or ""), _MAX_RATIONALE_CHARS),
        declared=_read_new_params(answer.get("new_params")),
    )
    is_number = isinstance(predicted, int | float) and not isinstance(predicted, bool)
    return _EditAnswer(proposal, params if isinstance(params, Mapping) else {}, float(predicted) if is_number else None)


def _read_block(block: Any, number: int) -> Edit:
    keys = ("path", "search", "replace")
    if not isinstance(block, Mapping) or not all(isinstance(block.get(key), str) for key in keys):
        raise ValueError(f"edits[{number}]: give path, search and replace, each as a string")
    return Edit(**{key: block[key] for key in keys})


def _read_new_params(declared: Any) -> dict[str, dict[str, Any]]:
    """Return tables as in [space], from a list of objects with names, or from an object of objects."""
    if isinstance(declared, Mapping):
        declared = [{"name": name, **table} for name, table in declared.items() if isinstance(table, Mapping)]
    entries = declared if isinstance(declared, list) else []
    named = [e for e in entries if isinstance(e, Mapping) and isinstance(e.get("name"), str)]
    return {e["name"]: {k: v for k, v in e.items() if k != "name" and v is not None} for e in named}


def _valid_params(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Value]:
    """Return the values that the space accepts; others are ignored."""
    valid: dict[str, Value] = {}
    for name, value in space.own_values(params).items():
        parameter = space.parameters.get(name)
        if parameter is not None and not parameter.invalid_reason(value):
            valid[name] = value
    return valid
