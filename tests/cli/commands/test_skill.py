"""`tunesmith skill`, and what an agent does with it: a whole study over MCP, from an empty folder to a patch."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.projects import SCRIPT, environment, invoke
from fakes.trials import wait_until

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.llm_tools.registry import tools_up_to
from tunesmith.tools.llm_tools.tool import Effect

mcp = pytest.importorskip("mcp", reason="the package mcp is not installed")

STUDY = f"""\
[study]
name = "toy"
metric = "loss"
[run]
command = "{sys.executable} -I -S train.py --x {{x}} --y {{y}} --sleep 0.05"
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
y = {{ type = "int", low = 1, high = 8, default = 8 }}
[edits]
files = ["train.py"]
[budget]
trials = 12
"""


@pytest.mark.parametrize("words", [[], ["--allow-edit"], ["--out", "elsewhere/tunesmith"]])
def test_the_skill_names_every_tool_and_how_to_connect(tmp_path: Path, words: list[str]) -> None:
    done = invoke("skill", *words, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    folder = tmp_path / ("elsewhere/tunesmith" if "--out" in words else ".claude/skills/tunesmith")
    text = (folder / "SKILL.md").read_text(encoding="utf-8")
    assert text.startswith("---\nname: tunesmith\ndescription: ")
    allowed = Effect.EDIT if "--allow-edit" in words else Effect.RUN
    assert re.findall(r"^- `(\w+)`: \S", text, re.MULTILINE) == [tool.name for tool in tools_up_to(allowed)]
    command = re.search(r"claude mcp add tunesmith -- tunesmith (.*)", done.stdout)
    assert command is not None
    assert shlex.split(command[1]) == ["mcp", "--allow-edit" if "--allow-edit" in words else "--allow-run"]


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = invoke("skill", "--out", "file", cwd=tmp_path)
    assert done.returncode == 2
    assert "file/SKILL.md cannot be written" in done.stderr


def test_a_skill_that_somebody_else_wrote_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("mine\n")
    done = invoke("skill", "--out", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "is not replaced" in done.stderr
    assert (tmp_path / "SKILL.md").read_text() == "mine\n"


def test_an_agent_takes_a_study_from_an_empty_folder_to_a_patch(tmp_path: Path) -> None:
    """It creates, checks, starts, waits, proposes configurations and an edit, confirms, reports and applies."""
    if sandbox_problem():
        pytest.skip(f"edited code needs a sandbox: {sandbox_problem()}")
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    block = {"path": "train.py", "search": "x, y = float(", "replace": "x, y = 0.9 * float("}

    async def use(client: Any) -> None:
        async def call(tool: str, **arguments: Any) -> str:
            answer = await client.call_tool(tool, arguments)
            text = "\n".join(part.text for part in answer.content)
            assert not answer.is_error, f"{tool}: {text}"
            return text

        await call("write_study", text=STUDY)
        assert "loss" in await call("check")
        await call("start")
        queued = await call("queue", configurations=[{"x": 0.3, "y": 4}], why="the middle of both ranges")
        number = int(queued.split()[-1])
        await call("wait", until="trials", numbers=[number])
        name = (await call("propose_edit", blocks=[block], why="a smaller x")).split()[0]
        await call("wait", until="end")
        assert "the middle of both ranges" in await call("trial", number=number)
        assert name in await call("edits")
        assert "loss" in await call("report")
        assert "git apply" in await call("apply_edit", name=name)

    server = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "tunesmith.cli.main", "mcp", str(tmp_path), "--allow-edit"],
        env=environment(),
    )

    async def main() -> None:
        async with mcp.Client(server) as client:
            await use(client)

    anyio.run(main)
    wait_until(lambda: not Inbox(tmp_path / ".tunesmith" / "toy").has_running_loop())
    assert len(list(tmp_path.glob("toy-*.patch"))) == 1
