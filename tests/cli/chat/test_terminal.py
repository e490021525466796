"""The chat in a real terminal: the screen while an answer arrives, keys, sizes, colours, pasted text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.llm.server import Behaviour, Reply, Server, serving, streamed
from fakes.machine.terminal import TMUX, Terminal, terminal
from fakes.projects import command, make_project

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")

ROWS = "| trial | loss |\n|---|---|\n| 1 | 0.33 |\n"
TABLE = f"**Both** ran.\n\n{ROWS}\n- größer\n- 漢字 ✓\n\n```\npython train.py\n```\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("terminal") / "p", trials=4)
    assert command("run", cwd=made).returncode == 0
    return made


@contextmanager
def chat(
    project: Path, behaviour: Behaviour, *, columns: int = 100, env: tuple[tuple[str, str], ...] = ()
) -> Iterator[tuple[Terminal, Server]]:
    """Start a chat about the project in a terminal, with a new conversation."""
    for path in (project / ".tunesmith").glob("chat*"):
        path.unlink()
    with serving(behaviour) as server:
        options = ["chat", "--model", "m", "--base-url", server.base_url]
        with terminal(*options, cwd=project, columns=columns, env=env) as shown:
            shown.wait_for("toy is not running", "›")
            yield shown, server


def test_the_first_word_is_shown_long_before_the_last_one(project: Path) -> None:
    slow = streamed("Early ", *(f"word{n} " for n in range(60)), "late.", pause_s=0.1)
    with chat(project, lambda r, n: slow) as (shown, server):  # noqa: ARG005
        shown.type("hello")
        assert "late." not in shown.wait_for("Early")
        assert len(server.sent_at) < 40
        shown.wait_for("late.")


def test_markdown_is_set_and_utf8_survives(project: Path) -> None:
    with chat(project, lambda r, n: streamed(TABLE)) as (shown, _):  # noqa: ARG005
        shown.type("grüße 漢字")
        screen = shown.wait_for("größer", "漢字 ✓", "python train.py")
        assert "**" not in screen
        assert "|---|" not in screen
        assert "› grüße 漢字" in screen


def test_an_approval_shows_what_the_action_would_do(project: Path) -> None:
    def reply(request: object, before: int) -> Reply:  # noqa: ARG001
        queue = ("queue", json.dumps({"configurations": [{"x": 0.5}]}))
        return streamed(calls=[queue]) if before == 0 else streamed("Not queued.")

    with chat(project, reply) as (shown, _):
        shown.type("try x = 0.5")
        shown.wait_for("Run 1 trial next", "x=0.5", "[Enter = yes")
        shown.keys("C-c")
        shown.wait_for("Not queued.")


def test_ctrl_c_stops_an_answer_and_at_the_prompt_says_how_to_leave(project: Path) -> None:
    slow = streamed(*(f"word{n} " for n in range(300)), pause_s=0.1)
    with chat(project, lambda r, n: slow if n == 0 else streamed("Fresh.")) as (shown, _):  # noqa: ARG005
        shown.type("hello")
        shown.wait_for("word3")
        shown.keys("C-c")
        shown.wait_for("(stopped; a running study continues)")
        shown.keys("C-c")
        shown.wait_for_prompt()
        shown.keys("C-c")
        shown.wait_for("/quit or Ctrl-D leaves the chat")
        shown.type("again")
        shown.wait_for("Fresh.")
        shown.wait_for_prompt()
        shown.keys("C-d")
        shown.wait_for("left with 0")


def test_pasted_lines_are_one_message(project: Path) -> None:
    text = "\n".join(f"line {n} of the paste" for n in range(200))
    with chat(project, lambda r, n: streamed("Read.")) as (shown, server):  # noqa: ARG005
        shown.paste(text)
        shown.wait_for("line 199 of the paste")
        shown.keys("Enter")
        shown.wait_for("Read.")
        assert [m["content"] for m in server.requests[0]["messages"] if m["role"] == "user"] == [text]


def test_completion_and_history(project: Path) -> None:
    with chat(project, lambda r, n: streamed("x")) as (shown, _):  # noqa: ARG005
        shown.keys("/bud")
        shown.keys("Tab")
        shown.wait_for("› /budget")
        shown.keys("Enter")
        shown.wait_for("used: 4 trials")
        shown.wait_for_prompt()
        shown.keys("Up")
        shown.keys("Enter")
        shown.wait_until(lambda screen: screen.count("used: 4 trials") == 2)
    assert "/budget" in (project / ".tunesmith" / "chat-typed.txt").read_text()


@pytest.mark.parametrize("columns", [60, 100])
def test_no_line_is_wider_than_the_terminal(columns: int, project: Path) -> None:
    words = "A sentence that is much longer than sixty columns has to be broken between its words. " * 3
    with chat(project, lambda r, n: streamed(words), columns=columns) as (shown, _):  # noqa: ARG005
        shown.type("hello")
        screen = shown.wait_for("A sentence", "between its")
        shown.type("/plot")
        shown.wait_for("└")
        assert not re.search(r"sente$|betwe$", screen, re.MULTILINE)
        shown.resize(80, 30)
        shown.type("/best")
        shown.wait_for("#1  loss")


def test_without_colour_nothing_is_coloured(project: Path) -> None:
    with chat(project, lambda r, n: streamed(TABLE), env=(("NO_COLOR", "1"),)) as (shown, _):  # noqa: ARG005
        shown.type("hello")
        shown.wait_for("größer")
        answer = shown.screen(escapes=True).split("hello")[1].split("›")[0]
        assert not re.search(r"\x1b\[(3[1-7]|4[0-7]|9\d|38;)", answer)


def test_a_dumb_terminal_gets_plain_text(project: Path) -> None:
    with chat(project, lambda r, n: streamed("Plain ", "words."), env=(("TERM", "dumb"),)) as (shown, _):  # noqa: ARG005
        shown.type("hello")
        shown.wait_for("Plain words.")
