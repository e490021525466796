"""What is sent with each request besides the messages: [planner]'s limits, sampling options, headers and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.study.config.tables.planner import PlannerTable

_SPELLINGS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
    "reasoning_effort": ("reasoning_effort", "reasoning.effort", "reasoning effort", "effort", "thinking"),
}
_REFUSED = re.compile(
    r"support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|invalid|deprecated|extra (?:input|field)"
    r"|forbidden|only the default|must be|too large|at most|cannot be used|not a valid",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """Options of every request of one model.

    Attributes:
        timeout_s: limit for one request, in seconds.
        max_tokens: limit for an answer, thinking included; None for the server's.
        temperature: None for the server's.
        reasoning_effort: how long a reasoning model thinks, in the provider's words; None for its default.
        headers: further HTTP headers; "$NAME" in a value is the environment variable NAME.
        body: further keys of the request's JSON.
        new_limit_name: max_tokens is called max_completion_tokens behind a base_url, as OpenAI's own server demands.
    """

    timeout_s: float = 300.0
    max_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    new_limit_name: bool = False

    @classmethod
    def from_planner(cls, planner: PlannerTable) -> RequestOptions:
        """Return the options that [planner] sets."""
        return cls(
            timeout_s=planner.timeout,
            max_tokens=planner.max_tokens,
            temperature=planner.temperature,
            reasoning_effort=planner.reasoning_effort,
            headers=planner.headers,
            body=planner.body,
        )

    def refused_by(self, text: str) -> str:
        """Return the option that a server's error refuses; "" when it refuses none of those that are set."""
        if not _REFUSED.search(text):
            return ""
        set_options = [name for name in _SPELLINGS if getattr(self, name) is not None]
        for name in [*set_options, *self.body]:
            spellings = "|".join(map(re.escape, _SPELLINGS.get(name, (name,))))
            if re.search(rf"(?<!\w)(?:{spellings})(?!\w)", text):
                return name
        return ""

    def without(self, name: str) -> RequestOptions:
        """Return the options without one of them."""
        if name in self.body:
            return replace(self, body={key: value for key, value in self.body.items() if key != name})
        nothing: dict[str, Any] = {name: None}
        return replace(self, **nothing)
