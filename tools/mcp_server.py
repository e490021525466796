"""Serves the tools to other agents as an MCP server, with the official SDK, over stdio or HTTP on loopback.

Knows no study: tools and context are arguments. Over HTTP every request needs a bearer token and a Host and Origin of
this machine, so that a web page in a browser cannot reach the server through a domain name that resolves here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.prompts.render import render_text
from tunesmith.study.errors import TunesmithError
from tunesmith.study.optional_packages import require
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.report import REPORT, report_resource
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool
from tunesmith.tools.llm_tools.trials import TrialsArguments, trial_lines

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolResult

RESOURCES = {
    "tunesmith://report": "The study's report, as Markdown.",
    "tunesmith://trials": "The latest 50 trials, a line each.",
}
HOST = "127.0.0.1"


def make_server(context: Callable[[], ToolContext], tools: Sequence[AnyTool], *, version: str) -> Server[Any]:
    """Return a server for these tools.

    Args:
        context: returns what the tools work on; called for each request.
        tools: the tools that clients see and may call.
        version: Tunesmith's version.

    Raises:
        ProjectError: the package mcp is not installed.
    """
    require("mcp", purpose="the MCP server", extra="mcp")
    import mcp_types as types
    from mcp.server import Server

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_to_mcp(tool, context()) for tool in tools])

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await asyncio.to_thread(_call, tools, context, params.name, params.arguments or {})

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        found = [
            types.Resource(uri=uri, name=uri.rpartition("/")[2], description=about, mime_type=_mime_type(uri))
            for uri, about in RESOURCES.items()
        ]
        return types.ListResourcesResult(resources=found)

    async def read_resource(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        text = await asyncio.to_thread(_resource_text, uri, context)
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=uri, text=text, mime_type=_mime_type(uri))]
        )

    return Server(
        "tunesmith",
        version=version,
        instructions=render_text("mcp.md", may_run=any(tool.effect > Effect.READ for tool in tools)),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one client over standard input and output until it disconnects."""
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def http_app(server: Server[Any], token: str) -> Any:
    """Return the ASGI application with MCP at /mcp, for requests with the token and a local Host."""
    return _TokenCheck(server.streamable_http_app(host=HOST), token)


class _TokenCheck:
    """Answers requests without the bearer token with 401, before any other check."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._authorization):
                headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"the bearer token is missing or wrong\n"})
                return
        await self._app(scope, receive, send)


def _to_mcp(tool: AnyTool, context: ToolContext) -> Any:
    import mcp_types as types

    writes = tool is REPORT and context.may_write
    hints = types.ToolAnnotations(
        read_only_hint=tool.effect is Effect.READ and not writes,
        destructive_hint=tool.loses,
        open_world_hint=False,
    )
    return types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints)


def _call(
    tools: Sequence[AnyTool], context: Callable[[], ToolContext], name: str, given: dict[str, Any]
) -> CallToolResult:
    """Call a tool; refusals and errors are returned as a result with `is_error`."""
    import mcp_types as types

    try:
        text, failed = find_tool(tools, name).call(context(), given), False
    except TunesmithError as error:
        text, failed = str(error), True
    except Exception as error:  # noqa: BLE001  # a bug in a tool must not end the server; the client gets only its class
        text, failed = f"the tool failed: {type(error).__name__}", True
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=failed)


def _resource_text(uri: str, context: Callable[[], ToolContext]) -> str:
    try:
        if uri == "tunesmith://report":
            return report_resource(context())
        if uri == "tunesmith://trials":
            return trial_lines(context(), TrialsArguments(which="latest", limit=50))
        return f"there is no resource {uri}; the resources are {', '.join(RESOURCES)}"
    except TunesmithError as error:
        return str(error)


def _mime_type(uri: str) -> str:
    return "text/markdown" if uri.endswith("report") else "text/plain"
