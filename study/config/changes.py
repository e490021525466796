"""Changes that a person makes to a running study, one key of the study file each; they survive a restart.

A change stays active while the file has the value that the change replaced. Once a person edits that key, the file
wins. Plain data: reads and writes no file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.commands import Bounds, Constrain, Forbid, Limit, Parallel, Setting
from tunesmith.study.errors import SpecError, ToolRefused
from tunesmith.study.formatting import render_parameter
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Params, Value, same
from tunesmith.study.space.mixtures.checks import bound_of
from tunesmith.study.space.mixtures.rows import mended
from tunesmith.study.space.mixtures.shares import Shares

Document = Mapping[str, Any]

LIVE_KEYS = (
    "run.timeout", "run.disk", "run.log", "run.memory", "stop.no_gain", "confirm.top", "confirm.seeds",
    "confirm.max_seeds", "notify.on", "planner.allow",
)  # fmt: skip
"""Keys that a running study takes over and that no command of their own changes."""
_OWN_COMMANDS = {"budget": "limit", "space": "bounds", "constraints": "constrain", "forbid": "forbid"}
"""Commands that change a table."""


@dataclass(frozen=True, slots=True)
class SpecChange:
    """A new value for one key of a study file, such as budget.trials or constraints.gpu_mem_gb.

    None means that the file does not have the key, before or after the change.
    """

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Steering:
    """What every proposal must respect.

    Attributes:
        pins: fixed values of parameters.
        vetoes: conditions that must be false for every proposal.
    """

    pins: Mapping[str, Value]
    vetoes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pins or self.vetoes)

    def objection(self, params: Params) -> str:
        """Return the pin or veto that a configuration contradicts, in words; "" if it respects all."""
        for name, value in self.pins.items():
            if name in params and not same(params[name], value):
                return f"{name} is fixed at {render_parameter(value)}"
        return self.veto_of(params)

    def veto_of(self, params: Params) -> str:
        """Return the veto that a configuration meets, in words; "" if it meets none."""
        met = (veto for veto in self.vetoes if conditions.parse(veto).holds(params))
        return next((f"no trial may have {veto}" for veto in met), "")

    def excluded(self, name: str, values: Sequence[Value]) -> tuple[Value, ...]:
        """Return the values of a parameter that no proposal may have, with any values of the others."""
        parsed = [conditions.parse(text) for text in self.vetoes]
        on_it = [veto for veto in parsed if {c.name for c in conditions.comparisons(veto)} == {name}]
        return tuple(
            value
            for value in values
            if (name in self.pins and not same(value, self.pins[name])) or any(v.holds({name: value}) for v in on_it)
        )

    @property
    def words(self) -> str:
        """The pins and vetoes as text for people and models; "" if there are none."""
        parts = [f"{name} is fixed at {render_parameter(value)}" for name, value in self.pins.items()]
        parts += [f"no trial may have {condition}" for condition in self.vetoes]
        return "; ".join(parts)


def requested_change(
    document: Document, command: Limit | Parallel | Setting | Bounds | Constrain | Forbid
) -> SpecChange:
    """Return the change that a command asks for.

    Raises:
        ToolRefused: the parameter or rule does not exist or has no such bound, or a running study cannot take the key
            over.
    """
    match command:
        case Limit(name=name, value=value):
            whole = int(value) if isinstance(value, float) and value.is_integer() else value
            return _change(document, f"budget.{name}", whole)
        case Parallel(count=count):
            return _change(document, "run.parallel", count)
        case Setting(key=key, value=value):
            _require_live(key)
            return _change(document, key, list(value) if isinstance(value, list) else value)
        case Constrain(metric=metric, min=low, max=high):
            bound = {"metric": metric, "min": low, "max": high}
            kept = {key: value for key, value in bound.items() if value is not None}
            return _change(document, f"constraints.{metric}", kept if len(kept) > 1 else None)
        case Bounds():
            return _bounds(document, command)
        case Forbid():
            return _rule(document, command)


def with_change(document: Document, change: SpecChange) -> dict[str, Any]:
    """Return the document with the change made."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    table, _, name = change.key.partition(".")
    if table == "forbid":
        made["forbid"] = list(change.after)
        return made
    if table == "constraints":
        rest = [entry for entry in made.get("constraints", []) if entry.get("metric") != name]
        made["constraints"] = [*rest, *([change.after] if change.after is not None else [])]
        return made
    entries = dict(made.get(table, {}))
    if change.after is None:
        entries.pop(name, None)
    else:
        entries[name] = change.after
    made[table] = entries
    return made


def active_changes(document: Document, changes: Iterable[SpecChange]) -> tuple[dict[str, Any], list[SpecChange]]:
    """Return the document with those changes made that still hold, and these; see the module's own words."""
    made, held = dict(document), []
    for change in changes:
        if at_key(made, change.key) == change.before:
            made = with_change(made, change)
            held.append(change)
    return made, held


def _change(document: Document, key: str, after: Any) -> SpecChange:
    return SpecChange(key, at_key(document, key), after)


def at_key(document: Document, key: str) -> Any:
    """Return what a document has at a key such as budget.trials or constraints.gpu_mem_gb; None for nothing."""
    table, _, name = key.partition(".")
    if table == "forbid":
        return list(document.get("forbid", []))
    if table == "constraints":
        return next((dict(e) for e in document.get("constraints", []) if e.get("metric") == name), None)
    return document.get(table, {}).get(name)


def _require_live(key: str) -> None:
    """Refuse a key that a running study cannot take over.

    Raises:
        ToolRefused: the message says what changes it instead.
    """
    if key in LIVE_KEYS:
        return
    table, _, name = key.partition(".")
    if key == "run.parallel":
        raise ToolRefused("parallel changes how many trials run at once")
    if table in _OWN_COMMANDS:
        raise ToolRefused(f"{_OWN_COMMANDS[table]} changes {key}")
    if table == "study" and name in ("metric", "direction", "name"):
        raise ToolRefused(
            f"with another {name} it would be another study, whose results cannot be compared; "
            "write that study under another name, and this one warm-starts it"
        )
    hint = did_you_mean(key, LIVE_KEYS) if "." in key else f"; give table and key, such as {LIVE_KEYS[0]}"
    raise ToolRefused(
        f"a running study does not take {key} over{hint}. To change another key, end the run, change the study file, "
        "and start it again: its trials stay"
    )


def _bounds(document: Document, command: Bounds) -> SpecChange:
    space = document.get("space", {})
    mixture, _, source = command.name.rpartition(".")
    if space.get(mixture, {}).get("type") == Shares.kind and source in space[mixture]["of"]:
        return _change(document, f"space.{mixture}", _with_share_bounds(space[mixture], source, command))
    if command.name not in space:
        raise ToolRefused(f"there is no parameter {command.name!r}{did_you_mean(command.name, space)}")
    entry = dict(space[command.name])
    ranged = entry["type"] in ("float", "int")
    if entry["type"] == Shares.kind:
        first = f"{command.name}.{entry['of'][0]}"
        raise ToolRefused(f"{command.name} is a mixture; give low, high or both for one of its shares, such as {first}")
    if (command.low is not None or command.high is not None) and not ranged:
        raise ToolRefused(f"{command.name} is a {entry['type']}, which has no low and high; give choices")
    if command.choices is not None and entry["type"] != "choice":
        raise ToolRefused(f"{command.name} is a {entry['type']}, which has no choices; give low, high or both")
    if command.low is None and command.high is None and command.choices is None:
        raise ToolRefused("nothing to change; give low, high or choices")
    for name, value in (("low", command.low), ("high", command.high), ("choices", command.choices)):
        if value is not None:
            entry[name] = _own_bound(entry, value)
    _fit_default(entry)
    return _change(document, f"space.{command.name}", entry)


def _with_share_bounds(entry: Mapping[str, Any], source: str, command: Bounds) -> dict[str, Any]:
    """Return the table of a mixture with other bounds of one share, and a default within them."""
    if command.choices is not None or (command.low is None and command.high is None):
        raise ToolRefused(f"{command.name} is a share; give low, high or both")
    made = dict(entry)
    for key, bound, otherwise in (("min", command.low, 0.0), ("max", command.high, 1.0)):
        if bound is not None:
            given = made.get(key, otherwise)
            each = {name: bound_of(given, name, otherwise) for name in made["of"]}
            made[key] = {**each, source: float(bound)}
    if "default" in made:
        before = Shares(**{key: value for key, value in entry.items() if key != "type"})
        try:
            after = Shares(**{key: value for key, value in made.items() if key not in ("type", "default")})
        except SpecError as error:
            raise ToolRefused(str(error)) from None
        made["default"] = mended(after, before.default) if isinstance(before.default, Mapping) else before.default
    return made


def _rule(document: Document, command: Forbid) -> SpecChange:
    before: list[str] = at_key(document, "forbid")
    rule = " ".join(command.rule.split())
    if command.lift and rule not in before:
        raise ToolRefused(f"there is no rule {rule!r}; current rules: {'; '.join(before) or 'none'}")
    if not command.lift and rule in before:
        raise ToolRefused(f"{rule} is forbidden already")
    rest = [one for one in before if one != rule]
    return SpecChange("forbid", before, rest if command.lift else [*rest, rule])


def _own_bound(entry: Mapping[str, Any], value: Any) -> Any:
    """Return a bound as the parameter has it, and choices that it has already as they are: 16 for 16.0."""
    if isinstance(value, list):
        known = entry["choices"]
        return [next((choice for choice in known if same(choice, new)), new) for new in value]
    whole = entry["type"] == "int" and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _fit_default(entry: dict[str, Any]) -> None:
    """Move a default outside the new range to the nearest bound; remove one that is no longer a choice."""
    default = entry.get("default")
    if default is None:
        return
    if entry["type"] == "choice":
        if not any(same(default, choice) for choice in entry["choices"]):
            del entry["default"]
    elif entry["low"] <= entry["high"]:
        entry["default"] = min(max(default, entry["low"]), entry["high"])
