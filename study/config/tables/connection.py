"""Types of the keys that say how a language model is asked: [planner] and [judge] have the same."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tunesmith.study.config.tables.field_types import Count, Text, no_bool
from tunesmith.study.units import parse_seconds


def web_address(text: str) -> str:
    """Return the address of a server.

    Raises:
        ValueError: it has no server, or begins with neither http:// nor https://.
    """
    if re.fullmatch(r"https?://[^\s/]+\S*", text) is None:
        raise ValueError("not an address")
    return text


Address = Annotated[
    Annotated[Text, AfterValidator(web_address)] | None,
    Field(description='an address with http:// or https://, such as "http://127.0.0.1:11434/v1"'),
]
AnswerWait = Annotated[
    float,
    BeforeValidator(parse_seconds),
    Field(description='the longest wait for the next part of an answer, in seconds or as text such as "10m"'),
]
AnswerTokens = Annotated[Count | None, Field(description="a whole number of tokens of at least 1, thinking included")]
Temperature = Annotated[
    Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=2)] | None, Field(description="a number from 0 to 2")
]
Effort = Annotated[
    Text | None, Field(description='a word that the provider knows, such as "minimal", "low", "medium" or "high"')
]
Headers = Annotated[
    dict[Text, Annotated[str, Field(strict=True)]],
    Field(description='a table of HTTP headers, for example { "X-Team" = "vision", Authorization = "Bearer $NAME" }'),
]
Body = Annotated[
    dict[Text, Any], Field(description="a table of further keys of each request, for example { top_p = 0.9 }")
]
