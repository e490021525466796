"""One study, one project: whose trials a study's are, when projects share a history, move, or are copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.studies import make_spec, proposal

import tunesmith as ts
from tunesmith.history.bulk import write_import
from tunesmith.history.write import Recorder
from tunesmith.study.errors import HistoryError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    return a, b


def run(history: Path, project: Path | str, *, moved: bool = False) -> str:
    """Open the study from a project, as a run does; return the folder that it moved from."""
    with Recorder(history, make_spec(), project=str(project), now=1.0, moved=moved) as recorder:
        recorder.record_proposal(proposal(), 2.0)
        return recorder.moved_from


def test_another_project_with_the_studys_name_is_refused_with_what_to_do(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    a, b = folders
    run(tmp_path / "shared.db", a)
    with pytest.raises(HistoryError) as refused:
        run(tmp_path / "shared.db", b)
    text = str(refused.value)
    assert all(part in text for part in (str(a), str(b), "shared.db", "[study].name", "--history", "--moved"))
    assert run(tmp_path / "shared.db", a) == ""


def test_a_project_in_a_folder_of_the_other_is_another_project(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, _ = folders
    (a / "inner").mkdir()
    run(tmp_path / "shared.db", a)
    for other in (a / "inner", tmp_path):
        with pytest.raises(HistoryError, match="belongs to"):
            run(tmp_path / "shared.db", other)


def test_the_user_can_say_that_a_project_moved(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, b = folders
    run(tmp_path / "shared.db", a)
    assert run(tmp_path / "shared.db", b, moved=True) == str(a)
    assert run(tmp_path / "shared.db", b) == ""
    with pytest.raises(HistoryError):
        run(tmp_path / "shared.db", a)


def test_a_renamed_project_is_taken_over(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, _ = folders
    run(tmp_path / "shared.db", a)
    a.rename(tmp_path / "renamed")
    assert run(tmp_path / "shared.db", tmp_path / "renamed") == str(a)


def test_a_project_that_was_copied_with_its_history_goes_on_with_the_copy(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    a, _ = folders
    run(a / ".tunesmith" / "history.db", a)
    shutil.copytree(a, tmp_path / "copy")
    assert run(tmp_path / "copy" / ".tunesmith" / "history.db", tmp_path / "copy") == str(a)
    assert run(a / ".tunesmith" / "history.db", a) == ""


def test_one_project_uses_the_own_history_of_another(folders: tuple[Path, Path]) -> None:
    a, b = folders
    run(b / ".tunesmith" / "history.db", a)
    with pytest.raises(HistoryError, match="belongs to"):
        run(b / ".tunesmith" / "history.db", b)


def test_a_project_that_is_reached_by_a_link_is_the_same(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, _ = folders
    (tmp_path / "link").symlink_to(a)
    run(tmp_path / "shared.db", a)
    assert run(tmp_path / "shared.db", tmp_path / "link") == ""


def test_a_tuner_and_a_project_do_not_share_a_study(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, _ = folders
    run(tmp_path / "shared.db", a)
    with pytest.raises(HistoryError, match="give the tuner another name"):
        ts.Tuner({"x": ts.Float(0, 1)}, metric="loss", history=tmp_path / "shared.db", name="small")
    with ts.Tuner({"x": ts.Float(0, 1)}, metric="loss", history=tmp_path / "shared.db", name="mine") as tuner:
        tuner.ask()
    with ts.Tuner({"x": ts.Float(0, 1)}, metric="loss", history=tmp_path / "shared.db", name="mine") as again:
        assert len(again.trials) == 1


def test_an_import_is_not_taken_for_a_projects_own_trials(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    a, _ = folders
    write_import(tmp_path / "shared.db", make_spec(), [], found_in="runs.csv", learner="other", now=1.0)
    with pytest.raises(HistoryError, match="belongs to an import"):
        run(tmp_path / "shared.db", a)
