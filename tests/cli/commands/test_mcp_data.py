"""What MCP clients get as data: structured results that fit their published schemas, and pictures."""

from __future__ import annotations

import base64
import json
import math
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.projects import command, make_project, start
from fakes.trials import wait_until

from tunesmith.cli.session.study_sessions import StudySessions
from tunesmith.study.config.load import parse_spec
from tunesmith.tools import mcp_server
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.llm_tools.registry import tools_up_to
from tunesmith.tools.llm_tools.structured.registry import STRUCTURED
from tunesmith.tools.llm_tools.studies.reference import study_reference
from tunesmith.tools.llm_tools.tool import Effect

mcp = pytest.importorskip("mcp", reason="the package mcp is not installed")
jsonschema = pytest.importorskip("jsonschema", reason="the package jsonschema, which mcp brings, is not installed")

SECRET = "sk-" + "a1B2" * 10
ARGUMENTS: dict[str, dict[str, Any]] = {
    "trial": {"number": 1},
    "curve": {"number": 1},
    "compare": {"numbers": [0, 1]},
    "predict": {"params": {"x": 0.5}},
    "points": {"count": 2},
    "check": {"seconds": 20},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = f"""\
import sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, y = float(values["--x"]), int(values["--y"])
if 0.8 < x < 0.85:
    raise ValueError("bad x, key {SECRET}")
for step in range(3):
    print(f"step={{step}} loss={{(x - 0.3) ** 2 + abs(y - 4) + 1 / (step + 1)}} other={{'nan' if step else 1}}")
"""
    project = make_project(tmp_path_factory.mktemp("mcp") / "p", trials=12, script=script)
    assert command("run", cwd=project).returncode == 0
    return project


def with_client(project: Path, use: Callable[[Any], Awaitable[None]], effect: Effect = Effect.RUN) -> None:
    studies = StudySessions(project, None, by="mcp", may_write=effect >= Effect.RUN)
    server = mcp_server.make_server(studies, tools_up_to(effect), version="0")

    async def main() -> None:
        async with mcp.Client(server) as client:
            await use(client)

    anyio.run(main)


def test_every_result_fits_the_schema_that_the_client_was_given(finished: Path) -> None:
    async def use(client: Any) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {name for name, tool in tools.items() if tool.output_schema is not None} == set(STRUCTURED)
        for name in STRUCTURED.keys() - {"wait"}:
            result = await client.call_tool(name, ARGUMENTS.get(name, {}))
            assert not result.is_error, (name, result.content)
            assert result.content[0].text
            jsonschema.validate(result.structured_content, tools[name].output_schema)
            assert SECRET not in json.dumps(result.structured_content)
        refused = await client.call_tool("trial", {"number": 99})
        assert refused.is_error
        assert refused.structured_content is None

    with_client(finished, use)


def test_data_says_what_the_text_says(finished: Path) -> None:
    async def use(client: Any) -> None:
        async def data(tool: str, **args: Any) -> Any:
            return (await client.call_tool(tool, args)).structured_content

        study = await data("study")
        assert (study["state"], study["trials"]["complete"] + study["trials"]["failed"]) == ("ended", 12)
        assert study["objectives"] == [{"metric": "loss", "direction": "minimize"}]
        assert study["budget"] == [{"name": "trials", "used": 12, "limit": 12}]
        best = study["best"]["trial"]
        page = await data("trials", which="best", limit=2)
        assert page["trials"][0]["number"] == best["number"]
        assert len(page["trials"]) == 2 <= page["total"]
        x, y = best["params"]["x"], best["params"]["y"]
        assert math.isclose(best["values"]["loss"], (x - 0.3) ** 2 + abs(y - 4) + 1 / 3)
        assert best["values"]["other"] is None
        one = await data("trial", number=best["number"])
        assert [run["number"] for run in one["runs"]] == [best["number"]]
        (loss,) = [s for s in (await data("curve", number=best["number"]))["series"] if s["metric"] == "loss"]
        assert (loss["steps"], loss["count"]) == ([0, 1, 2], 3)
        assert (await data("studies"))["studies"][0]["trials"] == 12

    with_client(finished, use)


def test_a_dry_run_is_data_and_is_recorded_nowhere(finished: Path) -> None:
    async def use(client: Any) -> None:
        checked = (await client.call_tool("check", {"seconds": 20})).structured_content
        assert checked["can_start"]
        assert checked["values"]["loss"] > 0
        assert {finding["level"] for finding in checked["findings"]} <= {"ok", "warning"}
        assert (await client.call_tool("trials", {})).structured_content["total"] == 12

    with_client(finished, use)


def test_a_wait_returns_what_finished(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3, more="--sleep 0.5")

    async def use(client: Any) -> None:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "wait"]
        done = (await client.call_tool("wait", {"until": "end"})).structured_content
        jsonschema.validate(done, tool.output_schema)
        assert (done["has_happened"], done["is_running"]) == (True, False)
        assert done["finished"][-1]["number"] == 2
        assert done["best"]["state"] == "complete"

    with start("run", cwd=project) as running:
        wait_until(lambda: Inbox(project / ".tunesmith" / "toy").has_running_loop(), timeout_s=60)
        with_client(project, use)
        running.communicate(timeout=60)


@pytest.mark.parametrize("effect", [Effect.READ, Effect.RUN])
def test_a_picture_comes_with_the_plot_and_no_file_is_left(finished: Path, effect: Effect) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")

    async def use(client: Any) -> None:
        for of in ("", "x", "1"):
            result = await client.call_tool("plot", {"of": of, "file": "png"})
            text, image = result.content
            assert "loss" in text.text
            assert image.mime_type == "image/png"
            assert base64.b64decode(image.data).startswith(b"\x89PNG")
        wrong = await client.call_tool("plot", {"of": "nowhere", "file": "png"})
        assert wrong.is_error

    with_client(finished, use, effect)
    assert not list((finished / ".tunesmith" / "toy").glob("plots/*.png"))


def test_the_reference_of_study_toml_is_whole_and_its_example_loads() -> None:
    text = study_reference()
    assert parse_spec(tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])).study.name == "digits"
    for name in ("[space]", "[serve]", "[[constraints]]", "[metrics.NAME]", "[budget]", "[edits]", "forbid", "derived"):
        assert f"\n## {name}\n" in text, name
    assert all(f"- `{kind}`:" in text for kind in ("float", "int", "choice", "bool"))
    assert "Direction" not in text
