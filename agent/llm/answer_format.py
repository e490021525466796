"""The form of the planner's answers: candidates as changes to a known configuration, and requests about the study.

Reading checks only that each candidate is an object, so that one wrong candidate does not invalidate the others. Weak
models write whole configurations under `params`, or changes as an object; both are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace

KINDS = ("explore", "refine", "ablate", "combine", "simplify", "confirm", "region")
"""Kinds of candidates; prompts/operators.toml has the instruction for each that is asked for."""

KINDS_ALONE = tuple(kind for kind in KINDS if kind != "region")
"""Kinds of candidates where no sampler takes part, whose turns a region would hold."""

BASE_PATTERN = "^(#[0-9]{1,6}|default|best|)$"
"""What a candidate may change: a trial, the default, the best, or nothing. Small models need a grammar for it."""

ACTIONS = ("pin", "unpin", "values", "range", "forbid", "permit", "derive", "parameter")
"""What a model may ask for about the study itself."""


_BOUND = {"type": ["number", "null"]}


@dataclass(frozen=True, slots=True)
class PlannerAnswer:
    """An answer as it was decoded: candidates and requests, each an object that is not checked yet."""

    candidates: Sequence[Mapping[str, Any]]
    requests: Sequence[Mapping[str, Any]] = ()


def planner_format(space: SearchSpace, kinds: Sequence[str] = KINDS) -> AnswerFormat[PlannerAnswer]:
    """Return the format of an answer for this space. Every key is required, as strict mode demands."""
    candidate = {
        "kind": {"type": "string", "enum": list(kinds)},
        "base": {"type": "string", "pattern": BASE_PATTERN},
        "changes": {"type": "array", "items": {"anyOf": _change_items(space)}},
        "free": {"type": "array", "items": _free_item(space)},
        "runs": {"type": "integer", "minimum": 1, "maximum": 20},
        "rationale": {"type": "string"},
        "predicted": {"type": ["number", "null"]},
        "refuted_by": {"type": "string"},
    }
    # A prompt that describes the form itself has the search space already.
    plain = {
        **candidate,
        "changes": {"type": "array", "items": closed_object({"name": {"type": "string"}, "value": {}})},
        "free": {"type": "array", "items": closed_object({"name": {"type": "string"}, "low": _BOUND, "high": _BOUND})},
    }
    return AnswerFormat("candidates", _answer(candidate), _read_answer, shown=_answer(plain))


def _answer(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an answer with candidates of this form."""
    properties = {
        "candidates": {"type": "array", "minItems": 1, "items": closed_object(candidate)},
        "requests": {"type": "array", "items": _request_item()},
    }
    return closed_object(properties)


def closed_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with exactly these properties, all required, as strict mode demands."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _change_items(space: SearchSpace) -> list[dict[str, Any]]:
    """Return what one change may be: a value, all shares of a mixture, or one share of a mixture."""
    items = []
    for name, parameter in space.declared.items():
        if isinstance(parameter, Shares):
            shares = space.shares_of(name)
            whole = closed_object({p.source: _value_schema(p) for p in shares.values()})
            items.append(closed_object({"name": {"type": "string", "enum": [name]}, "value": whole}))
            part = {"type": "number", "minimum": 0.0, "maximum": 1.0}
            items.append(closed_object({"name": {"type": "string", "enum": list(shares)}, "value": part}))
        else:
            items.append(_change(name, parameter, space))
    return items


def _change(name: str, parameter: Parameter, space: SearchSpace) -> dict[str, Any]:
    value = _value_schema(parameter)
    if name in space.conditions:
        value = {"anyOf": [value, {"type": "null"}]}
    return closed_object({"name": {"type": "string", "enum": [name]}, "value": value})


def _free_item(space: SearchSpace) -> dict[str, Any]:
    return closed_object(
        {"name": {"type": "string", "enum": [*space.mixtures, *space.names]}, "low": _BOUND, "high": _BOUND}
    )


def _request_item() -> dict[str, Any]:
    scalar = {"type": ["number", "string", "boolean", "null"]}
    return closed_object(
        {
            "action": {"type": "string", "enum": list(ACTIONS)},
            "name": {"type": "string"},
            "value": scalar,
            "values": {"type": "array", "items": scalar},
            "low": {"type": ["number", "null"]},
            "high": {"type": ["number", "null"]},
            "condition": {"type": "string"},
            "why": {"type": "string"},
        }
    )


def _value_schema(parameter: Parameter) -> dict[str, Any]:
    match parameter:
        case Choice(choices=choices):
            return {"enum": list(choices)}
        case Bool():
            return {"type": "boolean"}
        case Float(low=low, high=high):
            return {"type": "number", "minimum": low, "maximum": high}
        case Int(low=low, high=high):
            return {"type": "integer", "minimum": low, "maximum": high}


def _read_answer(found: Any) -> PlannerAnswer:
    is_one = "params" in found or "changes" in found
    entries = found.get("candidates", [found] if is_one else None)
    if not isinstance(entries, list):
        raise ValueError(
            'candidates: give a list, as in {"candidates": [{"base": "#3", "changes": [{"name": ..., "value": ...}]}]}'
        )
    objects = [entry for entry in entries if isinstance(entry, Mapping)]
    if not objects:
        raise ValueError("candidates: the list contains no object; give at least one candidate")
    requests = found.get("requests")
    asked = [entry for entry in requests if isinstance(entry, Mapping)] if isinstance(requests, list) else ()
    return PlannerAnswer(objects, asked)
