"""Text from outside is made valid at each door: tools, inboxes of commands, files that are imported."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tunesmith.study.errors import ProjectError
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.interop.importing.readers.json_table import read_json
from tunesmith.tools.interop.importing.text import parse_json, read_text
from tunesmith.tools.llm_tools.registry import ALL

BROKEN = ["\ud800", "a\udfffb", "\0", "\udc80\0\ud83d", "x\ud83d\ude00y"]


@pytest.mark.parametrize("text", BROKEN)
def test_arguments_of_tools_are_valid_text(text: str) -> None:
    trials = next(tool for tool in ALL if tool.name == "trials")
    parsed = trials.parse({"where": text})
    parsed.where.encode()
    assert "\0" not in parsed.where


@pytest.mark.parametrize("text", BROKEN)
def test_imported_text_is_valid(text: str, tmp_path: Path) -> None:
    assert json.dumps(parse_json(json.dumps({text: [text]})), ensure_ascii=False).encode()
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"lr": 0.1, "loss": 0.5, "note": text, text: 1}]), encoding="utf-8")
    cells = json.dumps([dict(row.cells) for row in read_json(path, None).rows], ensure_ascii=False, default=str)
    assert cells.encode()
    assert "\\u0000" not in cells
    path.write_bytes(b"a" * 9 + text.encode("utf-8", "surrogatepass"))
    with suppress(ProjectError):
        assert "\0" not in read_text(path)


@pytest.mark.parametrize("text", BROKEN)
def test_commands_of_other_processes_are_valid_text(text: str, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    with inbox.owned():
        (tmp_path / "inbox").mkdir(exist_ok=True)
        (tmp_path / "inbox" / "1-a.json").write_text(
            json.dumps({"by": text, "order": {"kind": text}}), encoding="utf-8"
        )
        for command in inbox.pending():
            command.by.encode()
            json.dumps(json.loads(command.text), ensure_ascii=False).encode()
