"""[derived] and `forbid` of study.toml: where the file has them, and what they are read with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.config.tables.run import GIVEN_PLACEHOLDERS
from tunesmith.study.errors import Mistake, SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.rules.repair import SAMPLES, allowed_fraction
from tunesmith.study.space.space import SearchSpace

FEW_LEFT = 0.01
"""Part of the space below which `tunesmith check` warns that rules leave little."""


@dataclass(frozen=True, slots=True)
class RelationTables:
    """What a search space takes from other tables of the file than [space]; what has a wrong type is left out."""

    derived: Mapping[str, str] = field(default_factory=dict)
    forbid: Sequence[str] = ()
    constants: Mapping[str, Value] = field(default_factory=dict)


def with_rules_at_top(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document with a list `forbid` of [space] moved to the top level.

    TOML counts a line below [space] to that table, and below [space] is where people write rules about it.
    """
    space = document.get("space")
    if not isinstance(space, Mapping) or not isinstance(space.get("forbid"), list | str):
        return document
    rules = [document.get("forbid", []), space["forbid"]]
    listed = [rule for part in rules for rule in ([part] if isinstance(part, str) else part)]
    rest = {name: entry for name, entry in space.items() if name != "forbid"}
    return {**document, "space": rest, "forbid": listed}


def relations_of(document: Mapping[str, Any]) -> RelationTables:
    """Return the derived values, rules and constants of a document."""
    derived, forbid = document.get("derived", {}), document.get("forbid", [])
    listed = [forbid] if isinstance(forbid, str) else forbid if isinstance(forbid, list) else []
    return RelationTables(
        {n: text for n, text in derived.items() if isinstance(text, str)} if isinstance(derived, Mapping) else {},
        [rule for rule in listed if isinstance(rule, str)],
        _constants(document),
    )


def _constants(document: Mapping[str, Any]) -> dict[str, Value]:
    """Return the numbers of [scale], and the fidelity of a full run."""
    scale, fidelity = document.get("scale", {}), document.get("fidelity", {})
    found = dict(scale) if isinstance(scale, Mapping) else {}
    if isinstance(fidelity, Mapping) and isinstance(fidelity.get("name"), str):
        found[fidelity["name"]] = fidelity.get("max")
    return {name: value for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def placed_mistake(mistake: Mistake) -> Mistake:
    """Return a mistake of a search space with its key in the file."""
    is_outside = mistake.key.split(".")[0] in ("derived", "forbid")
    return mistake if is_outside else mistake.under("space")


def reserved_name_mistakes(space: SearchSpace) -> Iterator[Mistake]:
    """Yield derived values whose names the command has other values for."""
    for name in GIVEN_PLACEHOLDERS:
        if name in space.relations.derived:
            yield Mistake(f"derived.{name}", f"Tunesmith itself sets {{{name}}} in the command; rename it")


def nothing_left_mistakes(space: SearchSpace) -> Iterator[Mistake]:
    """Yield that the rules forbid everything."""
    if not space.relations or space.default is not None or allowed_fraction(space, samples=50):
        return
    try:
        space.from_unit([0.5] * len(space))
    except SpaceExhausted as error:
        yield Mistake("forbid", f"{error}; the rules leave nothing of the space")


def few_left_warning(space: SearchSpace) -> str:
    """Return that the rules leave little of the space; "" if they leave enough."""
    left = allowed_fraction(space)
    if left >= FEW_LEFT:
        return ""
    share = f"{left:.1%}" if left else f"less than {1 / SAMPLES:.1%}"
    rules = "; ".join(space.forbid)
    return (
        f"the rules leave {share} of the space ({rules}): trials crowd there; narrow the ranges, or use multiple_of, "
        "power_of or [derived] so that fewer configurations are ruled out"
    )
