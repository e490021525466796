"""Types of the keys that say how a language model is asked: [planner] and [judge] have the same."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tunesmith.study.config.tables.field_types import Count, Text, no_bool
from tunesmith.study.units import parse_seconds

Address = Annotated[Text | None, Field(description='an address such as "http://127.0.0.1:11434/v1"')]
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
