"""The tools as an MCP server, for other agents: the official SDK's server over stdio or HTTP on loopback.

Knows no study: it is handed the tools and what they work on. Over HTTP a bearer token is asked of every request, and
only a Host and an Origin of this machine pass, so that a page in a browser cannot reach it by a name that points here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ProjectError, TunesmithError
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.report import markdown
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
        context: what they work on at the moment of a call.
        tools: those that clients may see and call; there are no others for them.
        version: Tunesmith's own.

    Raises:
        ProjectError: the package mcp is not installed.
    """
    try:
        import mcp_types as types
        from mcp.server import Server
    except ImportError:
        raise ProjectError("the MCP server needs the package mcp: pip install 'tunesmith[mcp]'") from None

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in tools])

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await asyncio.to_thread(_called, tools, context, params.name, params.arguments or {})

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        found = [
            types.Resource(uri=uri, name=uri.rpartition("/")[2], description=about, mime_type=_mime(uri))
            for uri, about in RESOURCES.items()
        ]
        return types.ListResourcesResult(resources=found)

    async def read_resource(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        text = await asyncio.to_thread(_resource, uri, context)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=text, mime_type=_mime(uri))])

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
    """Serve one client over standard input and output, until it leaves."""
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def http_app(server: Server[Any], token: str) -> Any:
    """Return the ASGI application: MCP at /mcp, for whoever has the token and calls this machine by its own name."""
    return _WithToken(server.streamable_http_app(host=HOST), token)


class _WithToken:
    """Lets only requests with the bearer token through; 401 for all others, before anything else is looked at."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._wanted):
                headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"the token is missing or wrong\n"})
                return
        await self._app(scope, receive, send)


def _described(tool: AnyTool) -> Any:
    import mcp_types as types

    hints = types.ToolAnnotations(
        read_only_hint=tool.effect is Effect.READ, destructive_hint=tool.effect > Effect.READ, open_world_hint=False
    )
    return types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints)


def _called(
    tools: Sequence[AnyTool], context: Callable[[], ToolContext], name: str, given: dict[str, Any]
) -> CallToolResult:
    """Call a tool; what it refuses, and what breaks in it, comes back as a result that says so."""
    import mcp_types as types

    try:
        text, failed = find_tool(tools, name).call(context(), given), False
    except TunesmithError as error:
        text, failed = str(error), True
    except Exception as error:  # noqa: BLE001  # a tool's bug must not end the server; the client reads its name alone
        text, failed = f"the tool failed: {type(error).__name__}", True
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=failed)


def _resource(uri: str, context: Callable[[], ToolContext]) -> str:
    try:
        if uri == "tunesmith://report":
            return markdown(context())
        if uri == "tunesmith://trials":
            return trial_lines(context(), TrialsArguments(which="latest", limit=50))
        return f"there is no resource {uri}; there are {', '.join(RESOURCES)}"
    except TunesmithError as error:
        return str(error)


def _mime(uri: str) -> str:
    return "text/markdown" if uri.endswith("report") else "text/plain"
