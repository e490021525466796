"""Schemas of a tool's arguments as a model needs them: names, types, choices and meanings.

A schema travels with every call of the model, so titles, defaults and bounds are left out: wrong values are refused
with a sentence anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "enum", "description", "required")


def short_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema of pydantic without what a model can do without; definitions are put in their places."""
    short = _short(schema, schema.get("$defs", {}))
    short.pop("description", None)
    return {"type": "object", "properties": {}, **short}


def _short(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of the schema; a union with null is what it is without null, since omitting is shorter."""
    meaning = {"description": schema["description"]} if "description" in schema else {}
    if "$ref" in schema:
        named = _short(definitions[str(schema["$ref"]).rpartition("/")[2]], definitions)
        named.pop("description", None)
        return {**named, **meaning}
    if "anyOf" in schema:
        kinds = [_short(one, definitions) for one in schema["anyOf"] if one.get("type") != "null"]
        return {**_union(kinds), **meaning}
    found = {key: schema[key] for key in _KEPT if key in schema}
    if "items" in schema:
        found["items"] = _short(schema["items"], definitions)
    if "properties" in schema:
        found["properties"] = {name: _short(one, definitions) for name, one in schema["properties"].items()}
    return found


def _union(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    if len(kinds) == 1:
        return kinds[0]
    if all(set(kind) == {"type"} for kind in kinds):
        return {"type": [kind["type"] for kind in kinds]}
    return {"anyOf": kinds}
