"""The form in which a language model proposes, and which of its proposals may run: sound, known, or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.agent.sampler.deduplication import config_key, tried_keys
from tunesmith.agent.sampler.surrogate.encoding import SpaceEncoding
from tunesmith.study.errors import ProposalError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import StudyView

NEAR_DUPLICATE_DISTANCE = 5e-3
"""A near duplicate differs by no more from a known configuration in any smooth coordinate, and in nothing else."""

OPERATORS = ("explore", "refine", "ablate", "combine", "simplify")
_LONGEST_WORDS = 600
_MOST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration that a model proposes, with its reason in its own words, cut to a few lines.

    Attributes:
        predicted: what it expects of the first objective; None when it does not say.
        refuted_by: what would show that it was wrong.
    """

    params: Mapping[str, Value]
    rationale: str = ""
    predicted: float | None = None
    refuted_by: str = ""
    operator: str = ""


@dataclass(frozen=True, slots=True)
class ValidatedCandidates:
    """Candidates that may run, and why each other one may not, so that the model can do better."""

    sound: tuple[Candidate, ...]
    problems: tuple[str, ...]


def candidates_format(space: SearchSpace) -> AnswerFormat[list[Mapping[str, Any]]]:
    """Return the form of an answer with candidates for this space.

    Only that each candidate is an object is checked when it is read: one wrong value must not spoil the others.
    """
    properties = {
        "params": closed_object({name: _value_schema(p, space, name) for name, p in space.parameters.items()}),
        "rationale": {"type": "string"},
        "predicted": {"type": ["number", "null"]},
        "refuted_by": {"type": "string"},
        "operator": {"type": "string", "enum": list(OPERATORS)},
    }
    schema = closed_object({"candidates": {"type": "array", "minItems": 1, "items": closed_object(properties)}})
    return AnswerFormat("candidates", schema, _read)


def validate_candidates(raw: Sequence[Mapping[str, Any]], view: StudyView) -> ValidatedCandidates:
    """Check candidates against the space, what is known, and each other."""
    encoding, tried = SpaceEncoding(view.space), tried_keys(view)
    taken = [view.space.to_unit(t.params) for t in [*view.finished, *view.pending] if view.counts_as_tried(t)]
    numbers = {config_key(t.params): t.number for t in reversed(view.trials)}
    sound: list[Candidate] = []
    problems: list[str] = []
    for index, entry in enumerate(raw[:_MOST], start=1):
        try:
            candidate = _checked(entry, view.space)
        except ProposalError as error:
            problems.append(f"candidate {index}: {error}")
            continue
        name = config_key(candidate.params)
        unit = view.space.to_unit(candidate.params)
        if name in tried:
            which = f"trial #{numbers[name]}" if name in numbers else "an earlier candidate"
            problems.append(f"candidate {index} is {which} again: {name}")
        elif _near(np.array(unit), taken, encoding):
            problems.append(f"candidate {index} is next to one that is known: {name}")
        else:
            sound.append(candidate)
            tried.add(name)
            taken.append(unit)
    return ValidatedCandidates(tuple(sound), tuple(problems))


def revalidate(candidates: Sequence[Candidate], view: StudyView) -> tuple[Candidate, ...]:
    """Return those of earlier candidates that are still new: others may have run since."""
    raw = [{"params": dict(candidate.params)} for candidate in candidates]
    sound = {config_key(fresh.params) for fresh in validate_candidates(raw, view).sound}
    return tuple(candidate for candidate in candidates if config_key(candidate.params) in sound)


def _near(unit: np.ndarray[Any, Any], taken: Sequence[Sequence[float]], encoding: SpaceEncoding) -> bool:
    if not taken:
        return False
    reach = np.where(encoding.smooth, NEAR_DUPLICATE_DISTANCE, 1e-9)
    return bool((np.abs(np.array(taken) - unit) <= reach).all(axis=1).any())


def _checked(entry: Mapping[str, Any], space: SearchSpace) -> Candidate:
    # A flat object is meant well: its names are the parameters.
    params = entry.get("params", {name: entry[name] for name in space.names if name in entry})
    given = {str(n): _scalar(v) for n, v in params.items() if v is not None} if isinstance(params, Mapping) else {}
    predicted = entry.get("predicted")
    return Candidate(
        params=space.parse(given),
        rationale=_words(entry.get("rationale")),
        predicted=float(predicted) if isinstance(predicted, int | float) and not isinstance(predicted, bool) else None,
        refuted_by=_words(entry.get("refuted_by")),
        operator=str(entry.get("operator")) if entry.get("operator") in OPERATORS else "",
    )


def _scalar(value: Any) -> Value:
    """Return a value that a parameter can judge; what is no scalar becomes its text, which no parameter accepts."""
    return value if isinstance(value, str | int | float | bool) else str(value)[:80]


def _words(text: Any) -> str:
    return " ".join(str(text).split())[:_LONGEST_WORDS] if isinstance(text, str) else ""


def _read(found: Any) -> list[Mapping[str, Any]]:
    entries = found.get("candidates", [found] if "params" in found else None)
    if not isinstance(entries, list):
        raise ValueError('candidates: give a list, as in {"candidates": [{"params": {...}, "rationale": "..."}]}')
    objects = [entry for entry in entries if isinstance(entry, Mapping)]
    if not objects:
        raise ValueError("candidates: the list holds no object; give at least one candidate")
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
    """Return a closed object all of whose properties are required, as strict servers want it."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
