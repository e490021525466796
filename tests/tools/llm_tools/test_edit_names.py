"""The beginning of an edit's name is enough where it is clear and the edit has been tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.study.variant import Variant
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.edits import APPLY_EDIT, PROPOSE_EDIT

TRIED, UNTRIED, OTHER = "edit-aa1111222233334444", "edit-bb1111222233334444", "edit-aa9999888877776666"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ToolContext]:
    (tmp_path / "train.py").write_text("a = 1\n")
    spec = make_spec(edits={"files": ["train.py"]})
    with Recorder(tmp_path / "h.db", spec, project="", now=0.0) as recorder:
        recorder.record_variant(Variant(id="root", files={"train.py": "a = 1\n"}))
        for name, value in ((TRIED, 2), (UNTRIED, 3), (OTHER, 4)):
            files = {"train.py": f"a = {value}\n"}
            recorder.record_variant(Variant(id=name, parent="root", files=files, diff="-a = 1\n+a = 2\n", author="llm"))
        trial = recorder.record_proposal(replace(proposal(), variant=TRIED), 0.0)
        recorder.record_outcome(trial, complete(0.1), 1.0)
    reader = FileStudyReader(tmp_path / "h.db", lambda: spec)
    yield ToolContext(reader=reader, project=tmp_path)
    reader.close()


@pytest.mark.parametrize(
    "name", [TRIED, "edit-aa1111", "aa1111", "aa1", "edit-aa11112", UNTRIED, "edit-bb1111", "bb1111"]
)
def test_a_clear_name_is_taken(context: ToolContext, name: str) -> None:
    whole = UNTRIED if "bb" in name else TRIED
    assert APPLY_EDIT.frozen(context, {"name": name}) == {"name": whole}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("edit-aa", "matches 2"),
        ("aa", "matches 2"),
        ("edit", "matches 3"),
        ("bb", "no trial has finished; give its whole name"),
        ("edit-bb11112", "no trial has finished; give its whole name"),
        ("cc", "there is no variant"),
    ],
)
def test_an_unclear_name_is_refused_by_preview_and_call(context: ToolContext, name: str, reason: str) -> None:
    for ask in (APPLY_EDIT.frozen, APPLY_EDIT.preview_text, APPLY_EDIT.call):
        with pytest.raises(ToolRefused) as refused:
            ask(context, {"name": name})
        assert reason in str(refused.value)
    blocks = [{"path": "train.py", "search": "a = 2", "replace": "a = 5"}]
    with pytest.raises(ToolRefused) as refused:
        PROPOSE_EDIT.preview_text(context, {"blocks": blocks, "parent": name})
    assert reason in str(refused.value)
