"""Several studies of a folder, and results for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import CHAT
from tunesmith.tools.llm_tools.studies.branching import BRANCH
from tunesmith.tools.llm_tools.studies.export import EXPORT
from tunesmith.tools.llm_tools.studies.finding import find_study
from tunesmith.tools.llm_tools.studies.import_results import IMPORT
from tunesmith.tools.llm_tools.studies.listing import STUDIES
from tunesmith.tools.llm_tools.studies.study_files import WRITE_STUDY
from tunesmith.tools.llm_tools.tool import AnyTool
from tunesmith.tools.llm_tools.trials import NoArguments

TOML = """\
[study]
name = "new"
metric = "loss"
[run]
command = "python train.py --lr {lr}"
[space]
lr = { type = "float", low = 0.001, high = 1.0 }
[budget]
trials = 3
"""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ToolContext]:
    spec, history = make_spec(), tmp_path / ".tunesmith" / "h.db"
    history.parent.mkdir()
    with Recorder(history, spec, project=str(tmp_path), now=0.0) as recorder:
        recorder.record_outcome(recorder.record_proposal(proposal(), 0.0), complete(0.25), 1.0)
    with Recorder(history, make_spec(study={"name": "gone"}), project=str(tmp_path), now=1.0):
        pass
    (tmp_path / "study.toml").write_text('[study]\nname = "small"\n')
    (tmp_path / "next.toml").write_text('[study]\nname = "next"\n')
    for name, text in (("pyproject.toml", "[project]\n"), ("broken.toml", "= 1"), ("odd.toml", "study = 1\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "old.csv").write_text("lr,optimizer,loss\n0.01,adam,0.5\n0.02,sgd,0.4\n9,adam,0.1\n")
    reader = FileStudyReader(history, lambda: spec)
    yield ToolContext(reader=reader, project=tmp_path, folder=history.parent / "small", history=history)
    reader.close()


def test_studies_with_and_without_a_file_or_a_run_are_listed(context: ToolContext) -> None:
    assert STUDIES.call(context, {}).splitlines() == [
        "next (next.toml): has not run yet",
        "small (study.toml), this one: 1 trial, best loss 0.2500 (#0); not running",
        "gone: 0 trials; not running",
    ]
    assert STUDIES.call(ToolContext(project=context.folder), {}) == "there are no studies in this folder"


@pytest.mark.parametrize(
    ("to", "out", "name"),
    [
        ("csv", "", "small.csv"),
        ("csv", "results.csv", "results.csv"),
        ("jsonl", "", "small.jsonl"),
        ("nevergrad", "", "small.nevergrad.py"),
        ("ax", "again.py", "again.py"),
    ],
)
def test_results_are_written_to_a_new_file(context: ToolContext, tmp_path: Path, to: str, out: str, name: str) -> None:
    shown = EXPORT.preview_text(context, {"to": to, "out": out})
    assert shown.startswith(f"Write {tmp_path / name}: ")
    assert shown.endswith("; 1 complete")
    assert not (tmp_path / name).exists()
    assert str(tmp_path / name) in EXPORT.call(context, {"to": to, "out": out})
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"to": "cvs"}, "did you mean csv"),
        ({"to": "vizier"}, "is not offered"),
        ({"to": "csv", "out": "study.toml"}, "study.toml exists"),
        ({"to": "csv", "out": "../results.csv"}, "not a visible file of the project"),
        ({"to": "csv", "out": "/tmp/results.csv"}, "not a visible file of the project"),
        ({"to": "csv", "out": ".git/hooks/run"}, "not a visible file of the project"),
        ({"to": "csv", "out": "nowhere/results.csv"}, "there is no folder nowhere"),
    ],
)
def test_a_wrong_export_is_refused_before_a_person_is_asked(
    context: ToolContext, arguments: dict[str, Any], reason: str
) -> None:
    for ask in (EXPORT.preview_text, EXPORT.call):
        with pytest.raises(ToolRefused) as refused:
            ask(context, arguments)
        assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        (BRANCH, {"number": 0, "name": "small"}, "there is a study small already"),
        (BRANCH, {"number": 0, "name": "gone"}, "there is a study gone already"),
        (BRANCH, {"number": 0, "name": "next"}, "there is a study next already"),
        (BRANCH, {"number": 7, "name": "new"}, "there is no trial 7"),
        (WRITE_STUDY, {"text": TOML, "file": "../x.toml"}, "cannot be a study file"),
        (WRITE_STUDY, {"text": TOML, "file": "pyproject.toml"}, "cannot be a study file"),
        (WRITE_STUDY, {"text": TOML, "file": ".hidden.toml"}, "cannot be a study file"),
        (WRITE_STUDY, {"text": TOML, "file": "a/b.toml"}, "cannot be a study file"),
        (WRITE_STUDY, {"text": TOML, "file": "next.toml"}, "next.toml exists already"),
        (WRITE_STUDY, {"text": TOML.replace("new", "next"), "file": "x.toml"}, "next is the study of next.toml"),
        (IMPORT, {"path": "none.csv"}, "does not exist"),
        (IMPORT, {"path": "next.toml"}, "of an unknown kind"),
        (IMPORT, {"path": "old.csv", "columns": {"lr": "loss", "optimizer": "loss"}}, "two columns are mapped to loss"),
        (IMPORT, {"path": "old.csv", "columns": {"none": "lr"}}, "'none' is not a column"),
    ],
)
def test_what_cannot_be_written_or_taken_in_is_refused_before_a_person_is_asked(
    context: ToolContext, tool: AnyTool, arguments: dict[str, Any], reason: str
) -> None:
    before = sorted(path.name for path in (context.project or Path()).iterdir())
    for ask in (tool.preview_text, tool.call):
        with pytest.raises(ToolRefused) as refused:
            ask(context, arguments)
        assert reason in str(refused.value)
    assert sorted(path.name for path in (context.project or Path()).iterdir()) == before


def test_a_branch_and_an_import_are_shown_whole(context: ToolContext) -> None:
    shown = BRANCH.preview_text(context, {"number": 0, "name": "new", "trials": 5, "start": True})
    assert shown.startswith("Write new.toml, a study that continues from #0, and start the run:\nfirst     lr=")
    assert "limits    5 trials" in shown
    shown = IMPORT.preview_text(context, {"path": "old.csv"})
    assert shown.startswith("Let small learn from trials that ran elsewhere (2 complete):")
    assert "1 left out: lr is out of range" in shown
    with pytest.raises(ToolRefused, match="nothing can be imported from here"):
        IMPORT.call(context, {"path": "old.csv"})


@pytest.mark.parametrize(("name", "file"), [("next", "next.toml"), ("next.toml", "next.toml"), ("gone", None)])
def test_a_study_is_found_by_its_name_or_file(context: ToolContext, name: str, file: str | None) -> None:
    assert context.project is not None
    found = find_study(context.project, context.history, name)
    assert found == (name.removesuffix(".toml"), context.project / file if file else None)
    with pytest.raises(ToolRefused, match="did you mean next"):
        find_study(context.project, context.history, "nxt")


def test_without_a_valid_file_every_tool_says_the_mistakes(tmp_path: Path) -> None:
    broken = ToolContext(project=tmp_path, mistakes="study.toml has 1 mistake")
    for tool in CHAT:
        if tool.arguments is NoArguments and tool.name not in ("machine", "scripts", "studies"):
            with pytest.raises(ToolRefused, match="has 1 mistake"):
                tool.call(broken, {})
