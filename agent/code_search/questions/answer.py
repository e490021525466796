"""The form of an answer about edits, and its reading: ideas, joins and trials, each list the most promising first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.answer_format import closed_object
from tunesmith.agent.llm.answers.intervals import is_number
from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.study.formatting import one_line
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import KINDS
from tunesmith.study.variant import DIRECTIONS, Edit
from tunesmith.tools.variants.build import EditProposal

_MAX_RATIONALE_CHARS = 600
_MAX_BLOCKS = 40
_MAX_LISTED = 4
"""Number of joins or trials that are taken from one answer."""

_NUMBER_KEYS = ("low", "high", "log", "default")
_KEYS_OF_KIND: Mapping[str, Sequence[str]] = {
    "float": _NUMBER_KEYS,
    "int": _NUMBER_KEYS,
    "choice": ("choices", "default"),
    "bool": ("default",),
}
"""What the declaration of a new parameter of each kind may have; models fill in keys of other kinds as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """An edit as the model wrote it.

    Attributes:
        parent: the version that the edit is made on; "" for the one that the question shows.
        params: the configuration that it was written for, as far as it was given.
    """

    proposal: EditProposal
    parent: str = ""
    params: Mapping[str, Value]
    predicted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTrial:
    """A trial of a version with other settings, as the model wrote it; "" is the version that the question shows."""

    version: str
    params: Mapping[str, Value]
    rationale: str = ""
    predicted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditAnswer:
    """One answer, read but not yet checked."""

    ideas: tuple[Idea, ...] = ()
    joins: tuple[tuple[str, str], ...] = ()
    trials: tuple[WantedTrial, ...] = ()
    constants: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """For each version, the names of the numbers in its code that become parameters."""


def edit_format(names: Sequence[str], *, may_fit: bool = False) -> AnswerFormat[EditAnswer]:
    """Return the format of an answer about edits.

    Args:
        names: the parameters of trials.
        may_fit: whether the answer may make numbers in the code parameters.
    """
    text, number = {"type": "string"}, {"type": ["number", "null"]}
    version = {"type": ["string", "null"]}
    params = closed_object(dict.fromkeys(names, {"type": ["string", "number", "boolean", "null"]}))
    block = closed_object({"path": text, "search": text, "replace": text})
    idea = {
        "rationale": text,
        "direction": {"type": "string", "enum": list(DIRECTIONS)},
        "parent": version,
        "edits": {"type": "array", "minItems": 1, "items": block},
        "params": params,
        "new_params": {"type": "array", "items": {"anyOf": [_declaration(kind) for kind in KINDS]}},
        "predicted": number,
    }
    trial = {"version": version, "params": params, "rationale": text, "predicted": number}
    properties = {
        "ideas": {"type": "array", "items": closed_object(idea)},
        "joins": {"type": "array", "items": closed_object({"first": text, "second": text})},
        "trials": {"type": "array", "items": closed_object(trial)},
    }
    if may_fit:
        chosen = {"version": version, "names": {"type": "array", "items": text}}
        properties["constants"] = {"type": "array", "items": closed_object(chosen)}
    return AnswerFormat("edits", closed_object(properties), _read_answer)


def _declaration(kind: str) -> dict[str, Any]:
    """Return the schema of a new parameter of a kind: only keys that a parameter of that kind has."""
    number = {"type": "integer" if kind == "int" else "number"}
    kinds: dict[str, Any] = {
        "low": number,
        "high": number,
        "log": {"type": "boolean"},
        "choices": {"type": "array", "minItems": 2, "items": {"type": ["string", "number"]}},
        "default": {"choice": {"type": ["string", "number"]}, "bool": {"type": "boolean"}}.get(kind, number),
    }
    properties = {"name": {"type": "string"}, "type": {"type": "string", "enum": [kind]}}
    return closed_object(properties | {key: kinds[key] for key in _KEYS_OF_KIND[kind]})


def _read_answer(answer: Any) -> EditAnswer:
    found = answer if isinstance(answer, Mapping) else {}
    # A single idea without the list around it is what weak models write.
    listed = found.get("ideas", [found] if "edits" in found else [])
    ideas = [_read_idea(entry, number) for number, entry in enumerate(_objects(listed), start=1)]
    joins = [(str(j.get("first")), str(j.get("second"))) for j in _objects(found.get("joins"))[:_MAX_LISTED]]
    trials = [_read_trial(entry) for entry in _objects(found.get("trials"))[:_MAX_LISTED]]
    constants = [_read_constants(entry) for entry in _objects(found.get("constants"))[:_MAX_LISTED]]
    if not ideas and not joins and not trials and not constants:
        raise ValueError(
            'ideas: give a list with at least one idea, for example {"ideas": [{"rationale": "...", "direction": '
            '"optimizer", "edits": [{"path": "train.py", "search": "...", "replace": "..."}], "params": {}}]}'
        )
    return EditAnswer(ideas=tuple(ideas), joins=tuple(joins), trials=tuple(trials), constants=tuple(constants))


def _read_constants(entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    names = entry.get("names")
    return str(entry.get("version") or ""), tuple(map(str, names)) if isinstance(names, list) else ()


def _read_idea(entry: Mapping[str, Any], number: int) -> Idea:
    blocks = entry.get("edits")
    if not isinstance(blocks, list) or not blocks:
        raise ValueError(
            f'ideas[{number}].edits: give a list of blocks: {{"path": "train.py", "search": "...", "replace": "..."}}'
        )
    direction = entry.get("direction")
    proposal = EditProposal(
        edits=[_read_block(block, index) for index, block in enumerate(blocks[:_MAX_BLOCKS], start=1)],
        author="llm",
        direction=direction if direction in DIRECTIONS else "other",
        rationale=one_line(str(entry.get("rationale") or ""), _MAX_RATIONALE_CHARS),
        declared=_read_new_params(entry.get("new_params")),
    )
    return Idea(
        proposal=proposal,
        parent=str(entry.get("parent") or ""),
        params=_read_params(entry.get("params")),
        predicted=_number(entry.get("predicted", entry.get("predicted_mean"))),
    )


def _read_trial(entry: Mapping[str, Any]) -> WantedTrial:
    return WantedTrial(
        version=str(entry.get("version") or ""),
        params=_read_params(entry.get("params")),
        rationale=one_line(str(entry.get("rationale") or ""), _MAX_RATIONALE_CHARS),
        predicted=_number(entry.get("predicted")),
    )


def _read_block(block: Any, number: int) -> Edit:
    keys = ("path", "search", "replace")
    if not isinstance(block, Mapping) or not all(isinstance(block.get(key), str) for key in keys):
        raise ValueError(f"edits[{number}]: give path, search and replace, each as a string")
    return Edit(**{key: block[key] for key in keys})


def _read_params(params: Any) -> dict[str, Value]:
    """Return the values that were given; null keeps the value of the parent's best trial."""
    given = params.items() if isinstance(params, Mapping) else ()
    return {str(name): value for name, value in given if isinstance(value, str | int | float)}


def _read_new_params(declared: Any) -> dict[str, dict[str, Any]]:
    """Return tables as in [space], from a list of objects with names, or from an object of objects.

    Keys without a value, and keys that the kind of parameter does not have, are left out.
    """
    if isinstance(declared, Mapping):
        declared = [{"name": name, **table} for name, table in declared.items() if isinstance(table, Mapping)]
    named = [entry for entry in _objects(declared) if isinstance(entry.get("name"), str)]
    return {entry["name"]: _declared_table(entry) for entry in named}


def _declared_table(entry: Mapping[str, Any]) -> dict[str, Any]:
    other = {key for keys in _KEYS_OF_KIND.values() for key in keys}
    own = _KEYS_OF_KIND.get(str(entry.get("type")), other)
    return {
        key: value
        for key, value in entry.items()
        if key != "name" and value is not None and (key in own or key not in other)
    }


def _objects(entries: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
