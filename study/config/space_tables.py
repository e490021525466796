"""Reads [space], [derived] and `forbid` of a study file, and writes a space as such tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.study.config.tables.relations import (
    RelationTables,
    placed_mistake,
)
from tunesmith.study.config.tables.texts import TEXT
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import KINDS as SCALAR_KINDS
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace

KINDS: Mapping[str, type[Parameter | Shares]] = {**SCALAR_KINDS, Shares.kind: Shares}

_OTHER_KINDS = {
    "categorical": "choice", "categories": "choice", "ordinal": "choice", "enum": "choice", "string": "choice",
    "prompt": "text", "file": "text",
    "uniform": "float", "loguniform": "float", "real": "float", "double": "float", "number": "float",
    "integer": "int", "randint": "int", "boolean": "bool", "flag": "bool",
    "mixture": "shares", "simplex": "shares", "dirichlet": "shares", "share": "shares", "proportions": "shares",
    "weights": "shares",
}  # fmt: skip
_EXAMPLES = {"low": "low = 0.0", "high": "high = 1.0", "of": 'of = ["code", "prose"]'}
_FIELD_TYPES: Mapping[str, tuple[type, str]] = {
    "log": (bool, "true or false"),
    "ordered": (bool, "true or false"),
    "choices": (list, 'a list, for example ["adam", "sgd"]'),
    "when": (str, "a condition in quotes, for example \"optimizer == 'sgd'\""),
    "help": (str, "a text in quotes"),
}


def parse_space(tables: Mapping[str, Any]) -> SearchSpace:
    """Return the parameters that tables like those of [space] describe.

    Raises:
        SpecError: carries every mistake.
    """
    found: list[Mistake] = []
    space = read_space(dict(tables), found)
    if space is None or found:
        raise SpecError(found)
    return space


def space_document(space: SearchSpace) -> dict[str, Any]:
    """Return the [space] table from which `parse_spec` reads an equal space."""
    return {name: parameter_document(parameter) for name, parameter in space.declared.items()}


def relations_document(space: SearchSpace) -> dict[str, Any]:
    """Return the table [derived] and the list `forbid` of a space, and its constants as [scale]; without empty ones."""
    relations = space.relations
    tables: dict[str, Any] = {
        "derived": {name: formula.text for name, formula in relations.derived.items()},
        "forbid": list(space.forbid),
        "scale": dict(relations.constants),
    }
    return {key: table for key, table in tables.items() if table}


def parameter_document(parameter: Parameter | Shares) -> dict[str, Any]:
    """Return the entry of [space] from which an equal parameter is read."""
    entry: dict[str, Any] = {"type": parameter.kind}
    for field in _fields_for_people(parameter):
        value = getattr(parameter, field.name)
        if value != field.default or field.default is dataclasses.MISSING:
            entry[field.name] = list(value) if isinstance(value, tuple) else value
    return entry


def _fields_for_people(
    parameter: Parameter | Shares | type[Parameter | Shares],
) -> list[dataclasses.Field[Any]]:
    """Return the fields with `when` and `help` last, since a person looks for the range first."""
    return sorted(dataclasses.fields(parameter), key=lambda field: field.name in ("when", "help"))


def as_json_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as JSON values; TOML's times become texts, which `parse_spec` accepts too."""
    values: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return values


def read_space(table: Any, found: list[Mistake], relations: RelationTables | None = None) -> SearchSpace | None:
    """Return the space of [space], and collect its mistakes; None where it cannot be read."""
    if not isinstance(table, Mapping):
        found.append(
            Mistake(
                "space",
                f"expected a table, got {render_literal(table)}; write [space] and below it one line per parameter",
            )
        )
        return None
    before = len(found)
    parameters = {name: _read_parameter(name, entry, found) for name, entry in table.items()}
    if len(found) > before:
        return None
    try:
        given = relations or RelationTables()
        return SearchSpace(
            {name: parameter for name, parameter in parameters.items() if parameter},
            derived=given.derived,
            forbid=given.forbid,
            constants=given.constants,
        )
    except SpecError as error:
        found += [placed_mistake(mistake) for mistake in error.mistakes]
        return None


def _read_parameter(name: str, entry: Any, found: list[Mistake]) -> Parameter | Shares | None:
    key = f"space.{name}"
    if not isinstance(entry, Mapping):
        example = f'{name} = {{ type = "float", low = 0.0, high = 1.0 }}'
        found.append(Mistake(key, f"expected a parameter, got {render_literal(entry)}; write for example {example}"))
        return None
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        found.append(Mistake(f"{key}.type", _kind_message(kind)))
        return None
    mistakes = list(_field_mistakes(KINDS[kind], entry))
    found += [mistake.under(key) for mistake in mistakes]
    if mistakes:
        return None
    try:
        return KINDS[kind](**{k: v for k, v in entry.items() if k != "type"})
    except SpecError as error:
        found += [mistake.under(key) for mistake in error.mistakes]
        return None


def _kind_message(kind: Any) -> str:
    if kind is None:
        return f"is missing; expected one of {', '.join([*KINDS, TEXT])}"
    if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
        return f"unknown type {render_literal(kind)}; did you mean {_OTHER_KINDS[kind.lower()]}?"
    return f"unknown type {render_literal(kind)}{did_you_mean(str(kind), [*KINDS, TEXT])}"


def _field_mistakes(cls: type[Parameter | Shares], entry: Mapping[str, Any]) -> Iterable[Mistake]:
    fields = {field.name: field for field in _fields_for_people(cls)}
    for key, value in entry.items():
        if key != "type" and key not in fields:
            yield Mistake(key, f"unknown key for type {cls.kind}{did_you_mean(key, ['type', *fields])}")
        elif key in _FIELD_TYPES and not isinstance(value, _FIELD_TYPES[key][0]):
            yield Mistake(key, not_valid(value, _FIELD_TYPES[key][1]))
        elif key == "choices" and any(isinstance(choice, list | dict) for choice in value):
            yield Mistake(key, "may only hold texts, numbers, true and false")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in entry:
            example = _EXAMPLES.get(name, 'choices = ["a", "b"]')
            yield Mistake(name, f"is missing; write for example {example}")


def not_valid(value: object, expected: str) -> str:
    """Return what is wrong with a value, and what was expected."""
    return f"{render_literal(value)} is not valid here; expected {expected}"
