"""What a model asks for about the study itself, as plain data. What becomes of a request is decided elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.llm.answer_format import ACTIONS
from tunesmith.agent.llm.answers.intervals import is_number
from tunesmith.study.formatting import one_line, render_parameter
from tunesmith.study.space.condition import Value

MAX_REQUESTS = 4
"""Requests of one answer that are read; a model that asks for more has no single aim."""

_MAX_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: pin, unpin, values, range, forbid, permit, derive or parameter; fields without a meaning are empty.

    Attributes:
        name: the parameter.
        value: the value to pin it at.
        values: the choices to keep.
        low: the new lower end of its range; None to keep it.
        high: the new upper end.
        condition: what is forbidden or permitted, or the expression that a value is derived from.
        why: the model's reason.
    """

    action: str
    name: str = ""
    value: Value = None
    values: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    condition: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        """The request in words."""
        what = {
            "pin": f"pin {self.name} at {render_parameter(self.value)}",
            "unpin": f"unpin {self.name}",
            "values": f"keep only {', '.join(render_parameter(v) for v in self.values)} of {self.name}",
            "range": f"let {self.name} range {_range_text(self.low, self.high)}",
            "forbid": f"forbid {self.condition}",
            "permit": f"permit {self.condition} again",
            "derive": f"derive {self.name} = {self.condition}",
            "parameter": f"add a parameter {self.name} {_range_text(self.low, self.high)}".rstrip(),
        }
        return what[self.action]

    @property
    def sentence(self) -> str:
        """The request with the model's reason in brackets."""
        return f"{self.text} ({self.why})" if self.why else self.text

    def to_json(self) -> dict[str, Any]:
        """Return what the history keeps of a request to the person."""
        fields = {"action": self.action, "name": self.name, "low": self.low, "high": self.high}
        return {**fields, "condition": self.condition, "text": self.text, "sentence": self.sentence}


def read_requests(raw: Sequence[Mapping[str, Any]]) -> tuple[Request, ...]:
    """Return the requests of an answer; what has no known action or nothing to act on is left out."""
    found = [_read(entry) for entry in raw[:MAX_REQUESTS] if entry.get("action") in ACTIONS]
    return tuple(request for request in found if request.name or request.condition)


def _read(entry: Mapping[str, Any]) -> Request:
    values = entry.get("values")
    value = entry.get("value")
    return Request(
        action=str(entry["action"]),
        name=_text(entry.get("name"))[:80],
        value=value if isinstance(value, str | int | float | bool) else None,
        values=tuple(v for v in values if isinstance(v, str | int | float | bool)) if isinstance(values, list) else (),
        low=_number(entry.get("low")),
        high=_number(entry.get("high")),
        condition=_text(entry.get("condition")),
        why=_text(entry.get("why")),
    )


def _number(value: Any) -> float | None:
    return value if is_number(value) else None


def _text(value: Any) -> str:
    return one_line(value, _MAX_TEXT) if isinstance(value, str) else ""


def _range_text(low: float | None, high: float | None) -> str:
    parts = [f"from {render_parameter(low)}" if low is not None else ""]
    parts.append(f"to {render_parameter(high)}" if high is not None else "")
    return " ".join(part for part in parts if part)
