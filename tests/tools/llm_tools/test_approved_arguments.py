"""What a person approves: arguments that mean the same later, shown whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.commands import Command
from tunesmith.study.errors import ToolRefused
from tunesmith.study.variant import Variant
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import find_tool

SCRIPT = "import sys\nx = float(sys.argv[1])\nprint(f'loss={x}')\n"


class Accepts:
    """A study that takes every command."""

    def is_running(self) -> bool:
        return True

    def check(self, command: Command) -> None:
        pass

    def send(self, command: Command) -> str:
        return command.model_dump_json()


class Study:
    """A study with files, whose history grows while a person decides."""

    def __init__(self, folder: Path) -> None:
        spec = make_spec(edits={"files": ["train.py"]})
        (folder / "train.py").write_text(SCRIPT)
        self.recorder = Recorder(folder / "h.db", spec, project=str(folder), now=0.0)
        self.recorder.record_variant(Variant(id="root1", files={"train.py": SCRIPT}))
        self.reader = FileStudyReader(folder / "h.db", lambda: spec)
        self.context = ToolContext(reader=self.reader, project=folder, control=Accepts())

    def add(self, lr: float, loss: float | None) -> None:
        outcome = failed(reason="no") if loss is None else complete(loss)
        started = self.recorder.record_start(self.recorder.record_proposal(proposal(lr), 0.0), 0, 0.0)
        self.recorder.record_outcome(started, outcome, 1.0)

    def frozen(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return find_tool(ALL, tool).frozen(self.context, arguments)

    def shown(self, tool: str, **arguments: Any) -> str:
        return find_tool(ALL, tool).preview_text(self.context, arguments)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = Study(tmp_path)
    made.add(0.01, 0.5)
    made.add(0.02, None)
    yield made
    made.reader.close()
    made.recorder.close()


@pytest.mark.parametrize("base", [{}, {"base": "best"}, {"base": "default"}, {"base": "0"}, {"base": "#0"}])
def test_a_configuration_is_complete_before_the_person_is_asked(study: Study, base: dict[str, str]) -> None:
    asked = study.frozen("queue", configurations=[{"hidden": 32}], **base)
    study.add(0.09, 0.1)
    sent = find_tool(ALL, "queue").call(study.context, asked)
    (configuration,) = asked["configurations"]
    assert configuration["lr"] != 0.09
    assert f'"lr":{configuration["lr"]}' in sent
    assert study.frozen("queue", **asked) == asked


def test_every_failed_trial_means_those_that_have_failed_by_now(study: Study) -> None:
    asked = study.frozen("retry", numbers=[])
    study.add(0.03, None)
    assert asked["numbers"] == [1]
    assert study.frozen("retry", **asked) == asked


def test_an_edit_keeps_its_parent_and_a_name_its_version(study: Study) -> None:
    blocks = [{"path": "train.py", "search": "float(sys.argv[1])", "replace": "0.9 * float(sys.argv[1])"}]
    assert study.frozen("propose_edit", blocks=blocks)["parent"] == "root1"
    edited = Variant(id="edit-abcdef01", parent="root1", files={"train.py": "x = 1\n"}, author="llm", diff="-a\n+b\n")
    study.recorder.record_variant(edited)
    assert study.frozen("apply_edit", name="abcdef") == {"name": "edit-abcdef01"}


def test_an_edit_is_shown_with_its_values_its_parent_and_its_reason(study: Study) -> None:
    blocks = [{"path": "train.py", "search": "float(sys.argv[1])", "replace": "0.9 * float(sys.argv[1])"}]
    shown = study.shown(
        "propose_edit", blocks=blocks, params={"lr": 0.05}, why="w" * 400, direction="optimizer", parent="root1"
    )
    for words in ("0.9 * float", "lr=0.05", "w" * 400, "direction: optimizer", "parent: root1"):
        assert words in shown


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("confirm", {"number": 0, "seeds": 7, "why": "a reason"}),
        ("forget", {"numbers": [0, 1], "why": "a reason"}),
        ("queue", {"configurations": [{"lr": 0.05, "hidden": 32}], "why": "a reason"}),
        ("retry", {"numbers": [1], "why": "a reason"}),
        ("stop_trial", {"number": 1, "why": "a reason"}),
        ("branch", {"number": 0, "name": "next", "trials": 7}),
    ],
)
def test_every_argument_is_shown(study: Study, tool: str, arguments: dict[str, Any]) -> None:
    shown = study.shown(tool, **arguments)
    for name, value in arguments.items():
        texts = [str(v) for v in (value if isinstance(value, list) and name == "numbers" else [value])]
        assert name == "configurations" or all(text in shown for text in texts), shown


@pytest.mark.parametrize("why", ["a\nqueue would: nothing", "a\rb", "a\x1b[2Kb", "a\u2028b", "a\x85b"])
def test_a_reason_stays_on_its_line(study: Study, why: str) -> None:
    shown = study.shown("queue", configurations=[{"lr": 0.05, "hidden": 32}], why=why)
    assert [line for line in shown.split("\n") if line.startswith("why: ")] == [shown.split("\n")[-1]]


def test_a_call_that_would_be_refused_is_not_frozen(study: Study) -> None:
    with pytest.raises(ToolRefused, match="nothing was queued"):
        study.frozen("queue", configurations=[{"lr": 99.0}])
