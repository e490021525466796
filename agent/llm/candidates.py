"""The answer format for candidates, and their validation: well-formed, inside the space, and not tried before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.agent.sampler.deduplication import tried_keys
from tunesmith.agent.sampler.surrogate.encoding import SpaceEncoding
from tunesmith.study.errors import ProposalError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key, own_value
from tunesmith.study.trials.view import StudyView

NEAR_DUPLICATE_DISTANCE = 5e-3
"""Largest difference per smooth coordinate of the unit cube at which two configurations count as duplicates."""

OPERATORS = ("explore", "refine", "ablate", "combine", "simplify")
_MAX_TEXT_CHARS = 600
_MAX_CANDIDATES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration proposed by a model.

    Attributes:
        rationale: the model's reason, at most 600 characters.
        predicted: expected value of the first objective; None when the model gave none.
        refuted_by: the result that would refute the rationale, in the model's words.
        operator: one of OPERATORS; "" when the model named none of them.
    """

    params: Mapping[str, Value]
    rationale: str = ""
    predicted: float | None = None
    refuted_by: str = ""
    operator: str = ""


@dataclass(frozen=True, slots=True)
class ValidatedCandidates:
    """Candidates that may run, and a problem for each of the others, phrased for the model."""

    valid: tuple[Candidate, ...]
    problems: tuple[str, ...]


def candidates_format(space: SearchSpace) -> AnswerFormat[list[Mapping[str, Any]]]:
    """Return the format of an answer with candidates for this space.

    Reading checks only that each candidate is an object. `validate_candidates` checks the values one by one, so that
    one wrong candidate does not invalidate the others.
    """
    properties = {
        "params": closed_object({name: _value_schema(p, space, name) for name, p in space.parameters.items()}),
        "rationale": {"type": "string"},
        "predicted": {"type": ["number", "null"]},
        "refuted_by": {"type": "string"},
        "operator": {"type": "string", "enum": list(OPERATORS)},
    }
    schema = closed_object({"candidates": {"type": "array", "minItems": 1, "items": closed_object(properties)}})
    return AnswerFormat("candidates", schema, _read_candidates)


def validate_candidates(raw: Sequence[Mapping[str, Any]], view: StudyView) -> ValidatedCandidates:
    """Check candidates against the space, the tried configurations and each other."""
    encoding, tried = SpaceEncoding(view.space), tried_keys(view)
    points = [view.space.to_unit(t.params) for t in [*view.finished, *view.pending] if view.counts_as_tried(t)]
    numbers = {config_key(t.params): t.number for t in reversed(view.trials)}
    valid: list[Candidate] = []
    problems: list[str] = []
    for index, entry in enumerate(raw[:_MAX_CANDIDATES], start=1):
        try:
            candidate = _parse_candidate(entry, view.space)
        except ProposalError as error:
            problems.append(f"candidate {index}: {error}")
            continue
        key = config_key(candidate.params)
        unit = view.space.to_unit(candidate.params)
        if key in tried:
            which = f"trial #{numbers[key]}" if key in numbers else "an earlier candidate"
            problems.append(f"candidate {index} is {which} again: {key}")
        elif _is_near_duplicate(np.array(unit), points, encoding):
            problems.append(f"candidate {index} nearly repeats a configuration that was tried or proposed: {key}")
        else:
            valid.append(candidate)
            tried.add(key)
            points.append(unit)
    return ValidatedCandidates(tuple(valid), tuple(problems))


def revalidate(candidates: Sequence[Candidate], view: StudyView) -> tuple[Candidate, ...]:
    """Return the earlier candidates that are still new; other trials may have been proposed in the meantime."""
    raw = [{"params": dict(candidate.params)} for candidate in candidates]
    valid_keys = {config_key(valid.params) for valid in validate_candidates(raw, view).valid}
    return tuple(candidate for candidate in candidates if config_key(candidate.params) in valid_keys)


def _is_near_duplicate(unit: np.ndarray[Any, Any], points: Sequence[Sequence[float]], encoding: SpaceEncoding) -> bool:
    if not points:
        return False
    tolerance = np.where(encoding.smooth, NEAR_DUPLICATE_DISTANCE, 1e-9)
    return bool((np.abs(np.array(points) - unit) <= tolerance).all(axis=1).any())


def _parse_candidate(entry: Mapping[str, Any], space: SearchSpace) -> Candidate:
    # Accept a flat object without "params", as weak models write it.
    params = entry.get("params", {name: entry[name] for name in space.names if name in entry})
    given = {str(n): _scalar(v) for n, v in params.items()} if isinstance(params, Mapping) else {}
    # null stands for "not active", except where it is one of the choices.
    given = {n: v for n, v in given.items() if v is not None or _is_valid(space.parameters.get(n), v)}
    predicted = entry.get("predicted")
    return Candidate(
        params=space.parse(given),
        rationale=_clean_text(entry.get("rationale")),
        predicted=float(predicted) if isinstance(predicted, int | float) and not isinstance(predicted, bool) else None,
        refuted_by=_clean_text(entry.get("refuted_by")),
        operator=str(entry.get("operator")) if entry.get("operator") in OPERATORS else "",
    )


def _scalar(value: Any) -> Value:
    """Return the value; one that is not a scalar becomes text, which the parameter then rejects with a message."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)[:80]


def _is_valid(parameter: Parameter | None, value: Value) -> bool:
    return parameter is not None and parameter.invalid_reason(own_value(parameter, value)) is None


def _clean_text(text: Any) -> str:
    return " ".join(str(text).split())[:_MAX_TEXT_CHARS] if isinstance(text, str) else ""


def _read_candidates(found: Any) -> list[Mapping[str, Any]]:
    entries = found.get("candidates", [found] if "params" in found else None)
    if not isinstance(entries, list):
        raise ValueError('candidates: give a list, as in {"candidates": [{"params": {...}, "rationale": "..."}]}')
    objects = [entry for entry in entries if isinstance(entry, Mapping)]
    if not objects:
        raise ValueError("candidates: the list contains no object; give at least one candidate")
    return objects


def _value_schema(parameter: Parameter, space: SearchSpace, name: str) -> dict[str, Any]:
    match parameter:
        case Choice(choices=choices):
            schema: dict[str, Any] = {"enum": list(choices)}
        case Bool():
            schema = {"type": "boolean"}
        case Float(low=low, high=high):
            schema = {"type": "number", "minimum": low, "maximum": high}
        case _:
            schema = {"type": "integer", "minimum": parameter.low, "maximum": parameter.high}
    return {"anyOf": [schema, {"type": "null"}]} if name in space.conditions else schema


def closed_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with exactly these properties, all required, as strict mode demands."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
