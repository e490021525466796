"""Serves the tools to other agents as an MCP server, with the official SDK, over stdio or HTTP on loopback.

Knows no study: the tools and what they work on are arguments. Over HTTP every request needs a bearer token and a Host
and Origin of this machine, so that a web page in a browser cannot reach the server through a domain name that resolves
here.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ToolRefused, TunesmithError
from tunesmith.study.optional_packages import require
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.report import report_resource
from tunesmith.tools.llm_tools.results.plot import PLOT, plot_points
from tunesmith.tools.llm_tools.structured.registry import STRUCTURED, structured_call
from tunesmith.tools.llm_tools.studies.reference import study_reference
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool
from tunesmith.tools.llm_tools.trials import TrialsArguments, trial_lines
from tunesmith.tools.report.plots.picture import picture

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolResult


class StudyContexts(Protocol):
    """What the tools work on: the studies of a folder. Any thread may call it."""

    def names(self) -> list[str]:
        """Return the names of the studies."""

    def context(self, name: str) -> ToolContext:
        """Return the context of a study; "" means the one that is meant where none is named.

        Raises:
            ToolRefused: there is no such study, or several and none was named.
            InputError: its file has mistakes.
        """


OF_THE_FOLDER = ("scripts", "read_script", "machine", "studies")
"""Tools that are about no single study."""
STUDY = "study"
"""The argument that names a study, where a folder has several."""
RESOURCES = {
    "tunesmith://report": "The study's report, as Markdown.",
    "tunesmith://trials": "The latest 50 trials, a line each.",
}
REFERENCE = "tunesmith://study-toml"
"""Address of the reference of study.toml, which is about no study."""
HOST = "127.0.0.1"
PROGRESS_INTERVAL_S = 5.0
"""Seconds between two notifications of progress while a call lasts, to clients that asked for them."""


def make_server(studies: StudyContexts, tools: Sequence[AnyTool], *, version: str) -> Server[Any]:
    """Return a server for these tools.

    Args:
        studies: what the tools work on; asked for each request.
        tools: the tools that clients see and may call.
        version: Tunesmith's version.

    Raises:
        ProjectError: the package mcp is not installed.
    """
    require("mcp", purpose="the MCP server", extra="mcp")
    import mcp_types as types
    from mcp.server import Server

    may_write = any(tool.effect >= Effect.RUN for tool in tools)

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        names = await asyncio.to_thread(studies.names)
        return types.ListToolsResult(tools=[_to_mcp(tool, names, may_write=may_write) for tool in tools])

    async def call_tool(request: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        call = asyncio.create_task(asyncio.to_thread(_call, tools, studies, params.name, params.arguments or {}))
        began = time.monotonic()
        while not (await asyncio.wait({call}, timeout=PROGRESS_INTERVAL_S))[0]:
            lasted_s = time.monotonic() - began
            # Without such news many clients take a call of a minute for lost.
            await request.session.report_progress(lasted_s, message=f"{params.name}: {short_seconds(lasted_s)}")
        return call.result()

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        names = await asyncio.to_thread(studies.names)
        found = [
            types.Resource(uri=uri, name=uri.partition("//")[2], description=about, mime_type=_mime_type(uri))
            for uri, about in _resources(names).items()
        ]
        return types.ListResourcesResult(resources=found)

    async def read_resource(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        text = await asyncio.to_thread(_resource_text, uri, studies)
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


def _to_mcp(tool: AnyTool, names: Sequence[str], *, may_write: bool) -> Any:
    import mcp_types as types

    hints = types.ToolAnnotations(
        read_only_hint=tool.effect is Effect.READ and not (tool.leaves_files and may_write),
        destructive_hint=tool.loses,
        idempotent_hint=tool.is_idempotent or tool.effect is Effect.READ,
        # A script may reach anything; Tunesmith itself works on this machine only.
        open_world_hint=tool.runs_code,
    )
    structured = STRUCTURED.get(tool.name)
    schema = _with_study(tool.schema, names) if tool.name not in OF_THE_FOLDER else tool.schema
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=schema,
        output_schema=structured.schema if structured is not None else None,
        annotations=hints,
    )


def _with_study(schema: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a schema with an argument for the study, if there are several."""
    if len(names) < 2:  # noqa: PLR2004  # nothing to choose
        return dict(schema)
    about = {"type": "string", "description": f"Which study: {', '.join(names)}."}
    return {**schema, "properties": {**schema.get("properties", {}), STUDY: about}}


def _call(tools: Sequence[AnyTool], studies: StudyContexts, name: str, given: Mapping[str, Any]) -> CallToolResult:
    """Call a tool; refusals and errors are returned as a result with `is_error`."""
    import mcp_types as types

    try:
        tool = find_tool(tools, name)
        study = str(given.get(STUDY) or "")
        rest = {key: value for key, value in given.items() if key != STUDY}
        context = _context(tool, studies, study)
        if tool.name == PLOT.name and rest.get("file") == "png":
            return _picture_result(context, rest)
        text, data = structured_call(tool, context, rest)
    except TunesmithError as error:
        return _failed(str(error))
    except Exception as error:  # noqa: BLE001  # a bug in a tool must not end the server; the client gets only its class
        return _failed(f"the tool failed: {type(error).__name__}")
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=data)


def _failed(reason: str) -> CallToolResult:
    import mcp_types as types

    return types.CallToolResult(content=[types.TextContent(type="text", text=reason)], is_error=True)


def _picture_result(context: ToolContext, args: Mapping[str, Any]) -> CallToolResult:
    """Return a plot as text and as a picture; no file is written, so that every client may have it.

    Raises:
        ToolRefused: the arguments are not valid.
        ProjectError: matplotlib is not installed.
    """
    import mcp_types as types

    text = PLOT.call(context, {**args, "file": ""})
    image = PLOT.checked(context, args, lambda where, given: picture(plot_points(where.study, given.of)))
    encoded = base64.b64encode(image).decode("ascii")
    return types.CallToolResult(
        content=[
            types.TextContent(type="text", text=text),
            types.ImageContent(type="image", data=encoded, mime_type="image/png"),
        ]
    )


def _context(tool: AnyTool, studies: StudyContexts, study: str) -> ToolContext:
    """Return what a call works on; a tool of the folder does not need to know which study is meant."""
    if study or tool.name not in (*OF_THE_FOLDER, "write_study"):
        return studies.context(study)
    try:
        return studies.context("")
    except ToolRefused:
        return studies.context(studies.names()[0])


def _resources(names: Sequence[str]) -> dict[str, str]:
    """Return the resources by address: of the study that is meant where none is named, and of each of several."""
    found = {**RESOURCES, REFERENCE: "Every table and key of study.toml, as Markdown."}
    if len(names) > 1:
        found |= {f"{uri}/{name}": f"{about} Study {name}." for name in names for uri, about in RESOURCES.items()}
    return found


def _resource_text(uri: str, studies: StudyContexts) -> str:
    kind, _, name = uri.removeprefix("tunesmith://").partition("/")
    try:
        if uri == REFERENCE:
            return study_reference()
        if kind == "report":
            return report_resource(studies.context(name))
        if kind == "trials":
            return trial_lines(studies.context(name), TrialsArguments(which="latest", limit=50))
        return f"there is no resource {uri}; the resources are {', '.join([*RESOURCES, REFERENCE])}"
    except TunesmithError as error:
        return str(error)


def _mime_type(uri: str) -> str:
    return "text/markdown" if uri.startswith(("tunesmith://report", REFERENCE)) else "text/plain"
