"""[serve]: a study of a server. Says how it starts, when it is ready, and what measures it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tunesmith.study.config.tables.field_types import Table, Text, no_bool
from tunesmith.study.units import parse_seconds

PORT, RESULT = "port", "result"
"""Placeholders that are filled when a trial starts: a free port, and the file that the benchmark writes."""
SERVE_PLACEHOLDERS = (PORT, RESULT)
UNREAD = "x"
"""Takes the place of a text that is missing or wrong while the rest of a file is checked."""
SHOWN_PORT = 8000
"""Port in a command that is shown to people."""


def pattern(text: str) -> str:
    """Return a regular expression.

    Raises:
        ValueError: it is none.
    """
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(str(error)) from None
    return text


def ready_address(value: Any) -> Any:
    """Return a path, an address of this machine, or a table with a pattern.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str) and not re.match(r"/|http://(?:127\.0\.0\.1|localhost|\[::1\])[:/]", value):
        raise ValueError("not a path or an address of this machine")
    return value


class ReadyLog(Table):
    """`ready = { log = ... }`: the server is ready once a line of its log matches."""

    log: Annotated[Text, AfterValidator(pattern)] = Field(
        description='a regular expression for a line of the log, for example "Application startup complete"'
    )


class ServeTable(Table):
    """[serve]: the server that is started for each configuration, and the benchmark that measures it."""

    command: Text = Field(description='a command line with {port}, for example "vllm serve MODEL --port {port}"')
    bench: Text = Field(
        description="a command line that measures the server, for example "
        '"tunesmith load-test http://127.0.0.1:{port} --result {result}"'
    )
    ready: Annotated[str | ReadyLog, BeforeValidator(ready_address)] = Field(
        "/health",
        description='a path that answers once the server is ready, such as "/health", or a line of its log, such as '
        '{ log = "startup complete" }',
    )
    start_timeout: Annotated[float, BeforeValidator(parse_seconds)] = Field(
        600.0, description='a duration such as "10m": the longest time until the server is ready'
    )
    port: Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=65535)] | None = Field(
        None, description="a port from 1 to 65535; a free one for each trial when left out"
    )
    max_errors: Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        0.05, description="a share of requests from 0 to 1; a trial fails if more of its requests do"
    )


def with_server_as_command(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document with the server's command as [run].command, and only its benchmark's output read.

    What tunes, shows or exports a command then has the one of the server. The server's own log holds numbers, such as
    its throughput of the last seconds, that are not results of the benchmark.
    """
    serve, run = document.get("serve"), document.get("run", {})
    if serve is None or not isinstance(run, Mapping):
        return document
    # Where [serve] has no command, that is the mistake, and not that [run] has none.
    command = serve.get("command") if isinstance(serve, Mapping) else None
    command = command if isinstance(command, str) and command else UNREAD
    return {**document, "run": {"command": command, "metrics_from": ["stdout"], **run}}
