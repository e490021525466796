"""The MCP server, driven by the official SDK's own client over both transports, and by requests that must not pass."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.projects import command, environment, make_project, start
from fakes.trials import wait_until

from tunesmith.cli.session.study_sessions import StudySessions
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.history.read import History
from tunesmith.tools import mcp_server
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.llm_tools.registry import ALL, tools_up_to
from tunesmith.tools.llm_tools.tool import Effect

mcp = pytest.importorskip("mcp", reason="the package mcp is not installed")
httpx2 = pytest.importorskip("httpx2", reason="the package mcp is not installed")

TOKEN = "a-token-for-this-test"
READ = {tool.name for tool in tools_up_to(Effect.READ)}
EVERY = {tool.name for tool in ALL}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "trial": {"number": 1},
    "wait": {"until": "end"},
    "curve": {"number": 1},
    "log": {"number": 1},
    "compare": {"numbers": [0, 1]},
    "predict": {"params": {"x": 0.5}},
    "points": {"count": 2},
    "rule": {"name": "lora_scale", "inputs": {"alpha": 16, "rank": 8}},
    "source": {"path": "train.py"},
    "read_script": {"path": "knobs.py"},
    "queue": {"configurations": [{"x": 0.5}]},
    "confirm": {"number": 1, "seeds": 1},
    "withdraw": {"number": 1},
    "stop_trial": {"number": 1},
    "pin": {"name": "y", "value": 3},
    "veto": {"condition": "x > 0.9"},
    "forbid": {"rule": "x * y > 7.9"},
    "limit": {"name": "trials", "value": 5},
    "parallel": {"count": 2},
    "bounds": {"name": "y", "high": 7},
    "constrain": {"metric": "loss", "max": 100.0},
    "write_study": {"text": "[study]"},
    "branch": {"number": 1, "name": "toy-2"},
    "export": {"to": "csv"},
    "import_results": {"path": "earlier.csv"},
    "setting": {"key": "run.timeout", "value": "30m"},
    "edit": {"name": "edit-000000"},
    "fit": {"name": "edit-000000"},
    "apply_edit": {"name": "edit-000000"},
    "propose_edit": {"blocks": [{"path": "train.py", "search": "x - 0.3", "replace": "x - 0.2"}]},
}
REFUSED_AT_REST = {
    "retry",
    "forget",
    "withdraw",
    "stop_trial",
    "pause",
    "resume",
    "wait",
    "end",
    "write_study",
    "edit",
    "fit",
    "propose_edit",
    "apply_edit",
}
"""Questions to a running study, nothing to retry, forget or withdraw, a wrong study file, and edits without [edits]."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose study has run."""
    project = make_project(tmp_path_factory.mktemp("mcp") / "p", trials=4)
    options = "p = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
    (project / "knobs.py").write_text(f"import argparse\n{options}")
    (project / "earlier.csv").write_text("x,y,loss\n0.5,3,0.25\n0.6,2,0.5\n")
    assert command("run", cwd=project).returncode == 0
    return project


def stdio(project: Path, use: Callable[[Any], Awaitable[None]], *options: str) -> None:
    """Use a client of a server over stdio."""
    server = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "tunesmith.cli.main", "mcp", str(project), *options],
        env=environment(),
    )

    async def main() -> None:
        async with mcp.Client(server) as client:
            await use(client)

    anyio.run(main)


@dataclass(frozen=True)
class Served:
    address: str


@contextmanager
def serving(project: Path, *options: str) -> Iterator[Served]:
    """Serve over HTTP on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tunesmith.cli.main", "mcp", str(project), "--http", "0", *options],
        env={**environment(), "TUNESMITH_MCP_TOKEN": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stderr.readline())
        assert found, process.stderr.read()
        yield Served(found[0])
    finally:
        process.terminate()
        process.communicate(timeout=20)


def over_http(served: Served, use: Callable[[Any], Awaitable[None]], token: str = TOKEN) -> None:
    async def main() -> None:
        from mcp.client.streamable_http import streamable_http_client

        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            mcp.Client(streamable_http_client(served.address, http_client=http)) as client,
        ):
            await use(client)

    anyio.run(main)


def text_of(result: Any) -> str:
    return str(result.content[0].text)


def test_over_stdio_every_reading_tool_answers(finished: Path) -> None:
    async def use(client: Any) -> None:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == READ
        assert all(tool.description and tool.annotations.read_only_hint for tool in listed)
        for tool in listed:
            result = await client.call_tool(tool.name, ARGUMENTS.get(tool.name, {}))
            assert result.is_error == (tool.name in REFUSED_AT_REST), (tool.name, text_of(result))
            assert text_of(result).strip()

    stdio(finished, use)


def test_over_http_every_tool_is_there_and_answers_once_runs_are_allowed(finished: Path) -> None:
    async def use(client: Any) -> None:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == EVERY
        answers = {
            tool.name: await client.call_tool(tool.name, ARGUMENTS.get(tool.name, {}))
            for tool in listed
            if tool.name != "start"
        }
        wrong = {name: text_of(a) for name, a in answers.items() if a.is_error != (name in REFUSED_AT_REST)}
        assert wrong == {}
        assert (finished / "toy-2.toml").exists()

    with serving(finished, "--allow-edit") as served:
        over_http(served, use)


def test_resources_are_the_report_and_the_trials(finished: Path) -> None:
    async def use(client: Any) -> None:
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        # Another test may have added studies to the folder, which have resources of their own.
        own = ["tunesmith://report", "tunesmith://trials", "tunesmith://study-toml"]
        assert [uri for uri in uris if uri.count("/") == 2] == own
        report = (await client.read_resource(own[0])).contents[0]
        assert report.mime_type == "text/markdown"
        assert report.text.startswith("# toy\n\n~~~report\n| # toy")
        assert report.text.endswith("\n~~~")
        assert "#0 default complete" in (await client.read_resource(own[1])).contents[0].text
        reference = (await client.read_resource(own[2])).contents[0]
        assert reference.mime_type == "text/markdown"
        assert "| `command` | a command line" in reference.text

    stdio(finished, use)


@pytest.mark.parametrize("options", [(), ("--allow-run",)])
def test_the_report_is_written_only_where_runs_are_allowed(options: tuple[str, ...], tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    command("run", cwd=project)
    page = project / ".tunesmith" / "toy" / "report.html"
    page.unlink(missing_ok=True)

    async def use(client: Any) -> None:
        assert "# toy" in text_of(await client.call_tool("report", {}))
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "report"]
        assert tool.annotations.read_only_hint is not bool(options)

    stdio(project, use, *options)
    assert page.exists() is bool(options)


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_without_allow_run_nothing_can_start_or_change(transport: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    before = {path: path.read_bytes() for path in project.iterdir()}

    async def use(client: Any) -> None:
        for name in sorted(EVERY - READ):
            result = await client.call_tool(name, ARGUMENTS.get(name, {}))
            assert result.is_error
            assert f"there is no tool '{name}'" in text_of(result)

    if transport == "stdio":
        stdio(project, use)
    else:
        with serving(project) as served:
            over_http(served, use)
    assert {path: path.read_bytes() for path in project.iterdir()} == before


@pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
def test_an_edit_is_tried_once_it_is_allowed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=300, more="--sleep 0.1", tables='[edits]\nfiles = ["train.py"]')
    block = {"path": "train.py", "search": "x, y = float(", "replace": "x, y = 0.9 * float("}

    async def use(client: Any) -> None:
        await client.call_tool("start", {})
        wrong = await client.call_tool("propose_edit", {"blocks": [{**block, "search": "x, y = floats("}]})
        assert "The most similar lines are" in text_of(wrong)
        given = text_of(await client.call_tool("propose_edit", {"blocks": [block], "why": "gentler"}))
        assert "runs next" in given, given
        name = given.split()[0]
        with anyio.fail_after(30):
            while "best loss" not in text_of(await client.call_tool("edits", {})):
                await anyio.sleep(0.2)
        assert "x, y = 0.9 * float(" in text_of(await client.call_tool("edit", {"name": name}))
        await client.call_tool("end", {"now": True})
        assert "git apply" in text_of(await client.call_tool("apply_edit", {"name": name}))

    stdio(project, use, "--allow-edit")
    assert list(project.glob("toy-*.patch"))
    assert "0.9" not in (project / "train.py").read_text(encoding="utf-8")
    wait_until(lambda: not Inbox(project / ".tunesmith" / "toy").has_running_loop())


def test_edits_need_their_own_permission(finished: Path) -> None:
    async def use(client: Any) -> None:
        assert "propose_edit" not in {tool.name for tool in (await client.list_tools()).tools}

    stdio(finished, use, "--allow-run")


def test_a_run_is_started_and_steered_once_it_is_allowed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=300, more="--sleep 0.2")
    inbox = Inbox(project / ".tunesmith" / "toy")

    async def use(client: Any) -> None:
        assert "running in the background" in text_of(await client.call_tool("start", {}))
        assert inbox.has_running_loop()
        again = await client.call_tool("start", {})
        assert again.is_error
        assert "already running" in text_of(again)
        queued = await client.call_tool("queue", {"configurations": [{"x": 0.25, "y": 4}], "why": "a test"})
        assert "queued as trial" in text_of(queued)
        wrong = await client.call_tool("queue", {"configurations": [{"x": 0.3, "y": 4}, {"x": 9, "y": 4, "z": 1}]})
        assert wrong.is_error
        assert "nothing was queued" in text_of(wrong)
        assert "out of range" in text_of(wrong)
        assert "z" in text_of(wrong)
        assert "the run ends" in text_of(await client.call_tool("end", {"now": True}))

    stdio(project, use, "--allow-run")
    until = time.monotonic() + 20
    while inbox.has_running_loop():
        assert time.monotonic() < until
        time.sleep(0.05)
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        assert record.ended_by == "interrupted"
        assert any(t.proposal.rationale == "a test" for t in history.trials(record.id))


def test_a_long_call_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_server, "PROGRESS_INTERVAL_S", 0.05)
    project = make_project(tmp_path / "p", trials=3, more="--sleep 0.5")
    studies = StudySessions(project, None, by="mcp", may_write=True)
    heard: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async def main() -> None:
        server = mcp_server.make_server(studies, tools_up_to(Effect.RUN), version="0")
        async with mcp.Client(server) as client:
            done = await client.call_tool("wait", {"until": "end"}, progress_callback=on_progress)
            assert not done.is_error, text_of(done)

    with start("run", cwd=project) as running:
        wait_until(lambda: Inbox(project / ".tunesmith" / "toy").has_running_loop())
        anyio.run(main)
        running.communicate(timeout=60)
    assert heard[0].startswith("wait: ")


def test_wrong_arguments_are_refused_with_the_reason(finished: Path) -> None:
    async def use(client: Any) -> None:
        for name, given, words in (
            ("trial", {"number": 99}, "there is no trial 99; the last one is"),
            ("trial", {"nummer": 1}, "number is missing"),
            ("trials", {"where": "x >> 1"}, "where"),
            ("trials", {"where": "epochs > 1"}, "epochs is unknown"),
            ("trials", {"limit": 1000}, "limit"),
            ("source", {"path": "../../etc/passwd"}, "no such source file"),
            ("source", {"path": ".tunesmith/history.db"}, "no such source file"),
            ("predict", {"params": {"x": 5}}, "out of range"),
            ("compare", {"numbers": [1]}, "numbers"),
        ):
            result = await client.call_tool(name, given)
            assert result.is_error, name
            assert words in text_of(result), text_of(result)

    stdio(finished, use)


def request(served: Served, **headers: str) -> int:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    usual = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    made = urllib.request.Request(served.address, data=body, headers={**usual, **headers})
    try:
        with urllib.request.urlopen(made, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_http_wants_the_token_and_this_machines_own_name(finished: Path) -> None:
    right = {"authorization": f"Bearer {TOKEN}"}
    with serving(finished) as served:
        assert request(served) == 401
        assert request(served, authorization="Bearer wrong") == 401
        assert request(served, authorization=f"Basic {TOKEN}") == 401
        # A page whose name was made to point here (DNS rebinding) says so in Host and Origin.
        assert request(served, **right, host="evil.example:80") == 421
        assert request(served, **right, origin="http://evil.example") == 403
        assert request(served, **right) not in (401, 403, 421)


def test_what_cannot_be_served_is_said_in_words(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    taken = command("mcp", str(project), "--http", "99999", cwd=tmp_path)
    assert taken.returncode == 2
    assert "--http 99999 cannot be used" in taken.stderr


def test_a_study_file_with_mistakes_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    (project / "study.toml").write_text("[study]\n")

    async def use(client: Any) -> None:
        result = await client.call_tool("study", {})
        assert result.is_error
        assert "study.toml has" in text_of(result)
        assert "metric" in text_of(result)

    stdio(project, use)


def test_one_server_serves_every_study_of_a_folder(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    other = (project / "study.toml").read_text().replace('"toy"', '"second"').replace("trials = 2", "trials = 3")
    (project / "study.toml").rename(project / "first.toml")
    (project / "second.toml").write_text(other)
    assert command("run", "first.toml", cwd=project).returncode == 0

    async def use(client: Any) -> None:
        listed = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        assert listed["trial"]["study"]["description"] == "Which study: toy, second."
        assert "study" not in listed["studies"]
        assert "first.toml" in text_of(await client.call_tool("studies", {}))
        unclear = await client.call_tool("study", {})
        assert unclear.is_error
        assert "name one as study: toy, second" in text_of(unclear)
        assert "2 complete" in text_of(await client.call_tool("study", {"study": "toy"}))
        assert "trials: none yet" in text_of(await client.call_tool("study", {"study": "second.toml"}))
        wrong = await client.call_tool("study", {"study": "secnd"})
        assert "did you mean second?" in text_of(wrong)
        started = text_of(await client.call_tool("start", {"study": "second"}))
        assert "running in the background" in started or "ran to its end" in started
        with anyio.fail_after(60):
            while "3 complete" not in text_of(await client.call_tool("study", {"study": "second"})):
                await anyio.sleep(0.1)
        assert "2 complete" in text_of(await client.call_tool("study", {"study": "toy"}))
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "tunesmith://trials/second" in uris
        assert (await client.read_resource("tunesmith://trials/second")).contents[0].text.count("#") == 3

    stdio(project, use, "--allow-run")


def test_a_folder_without_a_study_can_be_asked_too(tmp_path: Path) -> None:
    async def use(client: Any) -> None:
        result = await client.call_tool("study", {})
        assert result.is_error
        assert "there is no study here yet" in text_of(result)
        assert "no Python file" in text_of(await client.call_tool("scripts", {}))

    stdio(tmp_path, use)
