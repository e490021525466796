"""`tunesmith mcp`: serves the tools over MCP, on stdio or on HTTP on 127.0.0.1 with a token."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

from tunesmith import __version__
from tunesmith.cli.session.study_sessions import StudySessions
from tunesmith.study.errors import ProjectError
from tunesmith.tools.llm_tools.registry import tools_up_to
from tunesmith.tools.llm_tools.tool import Effect
from tunesmith.tools.mcp_server import HOST, http_app, make_server, serve_stdio

TOKEN_VARIABLE = "TUNESMITH_MCP_TOKEN"  # noqa: S105  # the name of a variable
MIN_TOKEN_LENGTH = 16


def serve_mcp(study: Path, *, history: Path | None, port: int | None, effect: Effect) -> None:
    """Serve until the client disconnects (stdio) or the process ends (HTTP).

    Args:
        study: study.toml or its folder, with any number of studies; files may be written later.
        history: the history file; None for the default path.
        port: for HTTP, 0 to pick a free one; None for stdio.
        effect: the strongest effect of the offered tools.

    Raises:
        ProjectError: the package mcp is missing, the token is too short, or the port is in use.
    """
    sessions = StudySessions(study, history, by="mcp", may_write=effect >= Effect.RUN)
    server = make_server(sessions, tools_up_to(effect), version=__version__)
    if port is None:
        asyncio.run(serve_stdio(server))
        return
    import socket

    import uvicorn

    token = _token()
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise ProjectError(f"--http {port} cannot be used: {error}; choose another port, or 0 for a free one") from None
    address = f"http://{HOST}:{listening.getsockname()[1]}/mcp"
    print(f"MCP at {address}\nAuthorization: Bearer {token}", file=sys.stderr, flush=True)
    config = uvicorn.Config(http_app(server, token), log_level="error", ws="none", timeout_graceful_shutdown=2)
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _token() -> str:
    """Return the token of the environment variable, else a new random one."""
    given = os.environ.get(TOKEN_VARIABLE)
    if given is None:
        return secrets.token_urlsafe(24)
    if len(given) < MIN_TOKEN_LENGTH:
        raise ProjectError(f"{TOKEN_VARIABLE} is too short for a secret; use at least {MIN_TOKEN_LENGTH} characters")
    return given
