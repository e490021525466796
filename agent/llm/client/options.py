"""What is sent with each request besides the messages: [planner]'s limits, sampling options, headers and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.study.config.tables.planner import PlannerTable

DEFAULT_ANSWER_TOKENS = 16_384
"""Limit for an answer of a server of one's own, thinking included, where [planner].max_tokens is not set.

A small model may never stop by itself. Reasoning models seldom think for half as long about such a question; one that
is cut while it thinks is asked without the limit. Providers set limits of their own, which count differently.
"""

_LEAST_ANSWER_TOKENS = 1024
"""Smallest limit that is tried with a model whose context is too short for a question, and of unknown length."""

_SPELLINGS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
    "reasoning_effort": ("reasoning_effort", "reasoning.effort", "reasoning effort", "effort", "thinking"),
    "stream": ("stream", "streaming", "stream_options"),
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
        timeout_s: longest wait for the next part of an answer, in seconds.
        max_tokens: limit for an answer, thinking included; None for the server's.
        default_tokens: the same behind a base_url where max_tokens is None.
        temperature: None for the server's.
        reasoning_effort: how long a reasoning model thinks, in the provider's words; None for its default.
        headers: further HTTP headers; "$NAME" in a value is the environment variable NAME.
        body: further keys of the request's JSON.
        streams: replies of a server behind a base_url arrive while they are written.
        new_limit_name: max_tokens is called max_completion_tokens behind a base_url, as OpenAI's own server demands.
    """

    timeout_s: float = 300.0
    max_tokens: int | None = None
    default_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    streams: bool = True
    new_limit_name: bool = False

    @classmethod
    def from_planner(cls, planner: PlannerTable) -> RequestOptions:
        """Return the options that [planner] sets."""
        return cls(
            timeout_s=planner.timeout,
            max_tokens=planner.max_tokens,
            default_tokens=DEFAULT_ANSWER_TOKENS,
            temperature=planner.temperature,
            reasoning_effort=planner.reasoning_effort,
            headers=planner.headers,
            body=planner.body,
        )

    def refused_by(self, text: str) -> str:
        """Return the option that a server's error refuses; "" when it refuses none of those that are set."""
        if not _REFUSED.search(text):
            return ""
        for name in [*self._given(), *self.body]:
            spellings = "|".join(map(re.escape, _SPELLINGS.get(name, (name,))))
            if re.search(rf"(?<!\w)(?:{spellings})(?!\w)", text):
                return name
        return ""

    def without(self, name: str) -> RequestOptions:
        """Return the options without one of them."""
        if name in self.body:
            return replace(self, body={key: value for key, value in self.body.items() if key != name})
        if name == "stream":
            return replace(self, streams=False)
        if name == "max_tokens":
            return replace(self, max_tokens=None, default_tokens=None)
        nothing: dict[str, Any] = {name: None}
        return replace(self, **nothing)

    def fitted_to(self, context_tokens: int | None) -> RequestOptions:
        """Return the options with a default limit that leaves three quarters of a model's context to the question.

        Args:
            context_tokens: length of the context; None where it is only known to be too short.
        """
        if self.max_tokens is not None or self.default_tokens is None:
            return self
        limit = context_tokens // 4 if context_tokens else max(self.default_tokens // 4, _LEAST_ANSWER_TOKENS)
        return replace(self, default_tokens=min(self.default_tokens, limit))

    def is_from_person(self, name: str) -> bool:
        """Return whether [planner] sets an option, or it is a default of ours."""
        return name in self.body or (name != "stream" and getattr(self, name, None) is not None)

    def own_server_body(self) -> dict[str, Any]:
        """Return the keys of a request's JSON for a server behind a base_url, [planner].body included."""
        body: dict[str, Any] = {}
        limit = self.default_tokens if self.max_tokens is None else self.max_tokens
        if limit is not None and not set(_SPELLINGS["max_tokens"]) & set(self.body):
            # Few other servers know OpenAI's newer name.
            body["max_completion_tokens" if self.new_limit_name else "max_tokens"] = limit
        if self.streams and "stream" not in self.body:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return {**body, **self.body}

    def _given(self) -> list[str]:
        """Return the options that are set, ours included."""
        is_set = {
            "temperature": self.temperature is not None,
            "max_tokens": self.max_tokens is not None or self.default_tokens is not None,
            "reasoning_effort": self.reasoning_effort is not None,
            "stream": self.streams,
        }
        return [name for name, value in is_set.items() if value]
