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
from tunesmith.tools.llm_tools.studies.export import EXPORT
from tunesmith.tools.llm_tools.studies.listing import STUDIES


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
