"""`tunesmith mcp`: the tools as an MCP server, over stdio or over HTTP on loopback with a token."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

from tunesmith import __version__
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ProjectError
from tunesmith.tools.llm_tools.registry import tools_up_to
from tunesmith.tools.llm_tools.tool import Effect
from tunesmith.tools.mcp_server import HOST, http_app, make_server, serve_stdio

TOKEN_VARIABLE = "TUNESMITH_MCP_TOKEN"  # noqa: S105  # the name of a variable
SHORTEST_TOKEN = 16


def serve_mcp(study: Path, *, history: Path | None, port: int | None, effect: Effect) -> None:
    """Serve until the client leaves (stdio) or the process is ended (HTTP).

    Args:
        study: the study, which may come to be later.
        history: the history file; None for the usual place.
        port: for HTTP, 0 for any free one; None for stdio.
        effect: tools that do no more than this are offered.

    Raises:
        SpecError: the study file has mistakes.
        ProjectError: the package mcp is missing, the token is too short, or the port is taken.
    """
    wiring = StudySession(study, history, by="mcp")
    wiring.wired()
    server = make_server(wiring.context, tools_up_to(effect), version=__version__)
    if port is None:
        asyncio.run(serve_stdio(server))
        return
    import socket

    import uvicorn

    token = _token()
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise ProjectError(f"--http {port} cannot be used: {error}; choose another, or 0 for any free one") from None
    address = f"http://{HOST}:{listening.getsockname()[1]}/mcp"
    print(f"MCP at {address}\nAuthorization: Bearer {token}", file=sys.stderr, flush=True)
    config = uvicorn.Config(http_app(server, token), log_level="error", ws="none", timeout_graceful_shutdown=2)
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _token() -> str:
    """Return the token of the environment, else a new one."""
    given = os.environ.get(TOKEN_VARIABLE)
    if given is None:
        return secrets.token_urlsafe(24)
    if len(given) < SHORTEST_TOKEN:
        raise ProjectError(f"{TOKEN_VARIABLE} is too short to be a secret; give {SHORTEST_TOKEN} characters or more")
    return given
