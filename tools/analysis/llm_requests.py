"""What the LLM asked the person for about the study, as far as nobody has done it: requests wait, they never lapse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.parameters import Bool, Choice

REQUEST_KEY = "request"
"""Key of an event's detail under which a request to the person is kept: action, name, low, high, condition, text."""

_HOW = {
    "range": "change its range in study.toml, or /bounds {name} LOW HIGH in the chat",
    "parameter": "let the script read it, then add [space.{name}] to study.toml",
    "derive": "add it to [derived] in study.toml",
    "unpin": "/unpin {name} in the chat, if you agree",
    "permit": "remove that rule from `forbid` in study.toml",
}


def open_requests(events: Sequence[Event], spec: StudySpec) -> list[str]:
    """Return the requests to the person that the study does not meet yet, the oldest first, each with what to do."""
    steered = [e.detail["steering"]["pins"] for e in events if "steering" in e.detail]
    pins: Mapping[str, Any] = steered[-1] if steered else {}
    found: dict[str, str] = {}
    for event in events:
        request = event.detail.get(REQUEST_KEY)
        if isinstance(request, Mapping) and not _is_met(request, spec, pins):
            how = _HOW.get(str(request.get("action")), "").format(name=request.get("name", ""))
            found.setdefault(str(request.get("text")), f"The LLM asks: {request.get('sentence')}. To do it: {how}.")
    return list(found.values())


def _is_met(request: Mapping[str, Any], spec: StudySpec, pins: Mapping[str, Any]) -> bool:
    name, space = str(request.get("name")), spec.space
    match request.get("action"):
        case "parameter":
            return name in space.parameters
        case "derive":
            return name in space.relations.derived
        case "unpin":
            return name not in pins
        case "permit":
            return request.get("condition") not in space.forbid
        case "range" if name in space.parameters:
            parameter = space.parameters[name]
            if isinstance(parameter, Choice | Bool):
                return False
            low, high = request.get("low"), request.get("high")
            return (low is None or parameter.low <= low) and (high is None or parameter.high >= high)
    return False
