"""What the commands of a study's earlier runs still change: keys of the study file, pins and vetoes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.study.config.changes import SpecChange, Steering, active_changes
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError
from tunesmith.study.formatting import render_parameter, render_params, render_shares

COMMAND_EVENT = "order"
"""Kind of the event that stores a command and its answer. Old histories use it too, so it stays "order"."""


@dataclass(frozen=True, slots=True)
class EarlierCommands:
    """The effect of the commands of earlier runs.

    Attributes:
        spec: the study file with the changes that still hold.
        steering: the pins and vetoes that still hold.
        names: the names of the answered commands, so that none is executed twice.
        words: the changes that still hold, a sentence each.
    """

    spec: StudySpec
    steering: Steering = field(default_factory=lambda: Steering({}))
    names: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


def read_earlier_commands(spec: StudySpec, events: Sequence[Event]) -> EarlierCommands:
    """Return which commands of earlier runs still hold.

    Args:
        spec: the study as its file is now.
        events: the events of kind `COMMAND_EVENT`, in command.
    """
    done = [event.detail for event in events if event.detail.get("done")]
    changes = [SpecChange(**detail["change"]) for detail in done if detail.get("change")]
    document, held = active_changes(spec.document, changes)
    try:
        made = parse_spec(document) if held else spec
    except SpecError:
        # The edited file and the changes contradict each other: the file wins.
        made, held = spec, []
    steering = Steering({})
    for detail in done:
        if "steering" in detail:
            steering = Steering(detail["steering"]["pins"], tuple(detail["steering"]["vetoes"]))
    pins = made.space.own_values(steering.pins)
    known = {name: value for name, value in pins.items() if name in made.space.parameters}
    steering = replace(
        steering, pins={n: v for n, v in known.items() if not made.space.parameters[n].invalid_reason(v)}
    )
    words = [f"{change.key} = {changed_value_text(change.after)}, as asked earlier" for change in held]
    return EarlierCommands(
        spec=made,
        steering=steering,
        names=frozenset(str(event.detail.get("name")) for event in events),
        words=tuple([*words, *([f"as asked earlier: {steering.words}"] if steering else [])]),
    )


def changed_value_text(value: object) -> str:
    """Return the value of a changed key in words: a parameter without what a change keeps."""
    if isinstance(value, Mapping) and value.get("type") == "shares":
        limits = (f"{key} {render_shares(value[key])}" for key in ("min", "max") if isinstance(value.get(key), Mapping))
        return ", ".join(limits) or f"shares of {', '.join(map(str, value.get('of', [])))}"
    if isinstance(value, Mapping):
        return render_params({k: v for k, v in value.items() if k not in ("metric", "type", "help", "when")})
    if isinstance(value, list):
        return "; ".join(str(part) for part in value) or "nothing"
    return render_parameter(value)
