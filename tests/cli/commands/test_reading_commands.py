"""status, report and doctor, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.projects import command, invoke, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = """\
import sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
y = int(values["--y"])
if y == 7: sys.exit("\\x1b[31mno luck\\x1b[0m")
print(f"loss={(float(values['--x']) - 0.3) ** 2 + abs(y - 4)}")
"""
    folder = make_project(tmp_path_factory.mktemp("read") / "p", trials=14, script=script)
    assert command("run", "--seed", "4", cwd=folder).returncode == 0
    return folder


def test_status_shows_the_state_of_a_study(project: Path) -> None:
    text = command("status", cwd=project).stdout
    assert text.startswith("toy  minimize loss  ·  ended: trial budget reached")
    assert "(default 4.360, gain" in text
    assert "proposed by: default 1, sampler 13" in text
    assert "14 of 14 trials" in text


def test_status_as_json_holds_the_same_figures(project: Path) -> None:
    status = json.loads(command("status", "--json", cwd=project).stdout)
    assert sum(status["trials"].values()) == status["spent"]["trials"] == 14
    assert status["best"]["values"]["loss"] < status["default"]["values"]["loss"]
    assert list(status["best"]["params"]) == ["x", "y"]
    assert status["budget"]["trials"] == 14


def test_each_row_of_status_shows_the_best_value_up_to_then(tmp_path: Path) -> None:
    script = "import sys; values = dict(zip(sys.argv[1::2], sys.argv[2::2])); print('loss=', values['--y'])"
    folder = make_project(tmp_path / "p", script=script, trials=8, sampler="sobol")
    assert invoke("run", cwd=folder).returncode == 0
    losses = [t["values"]["loss"] for t in json.loads(invoke("status", "--json", cwd=folder).stdout)["latest"]]
    rows = [line.split() for line in invoke("status", cwd=folder).stdout.splitlines()[-8:]]
    assert [float(row[5]) for row in rows] == [min(losses[: n + 1]) for n in range(8)]
    assert losses[0] > min(losses)


def failed_trial(project: Path) -> int:
    status = json.loads(command("status", "--json", cwd=project).stdout)
    if not status["failures"]:
        pytest.fail("the seed gives no failing trial, so nothing is tested")
    for number in range(14):
        story = json.loads(command("status", "--why", str(number), "--json", cwd=project).stdout)
        if story["failure"]:
            return number
    raise AssertionError


def test_why_shows_everything_about_a_trial(project: Path) -> None:
    default = command("status", "--why", "0", cwd=project).stdout
    assert "proposed by    default: your default" in default
    assert "configuration  x=0.9 y=8" in default
    failed = command("status", "--why", str(failed_trial(project)), cwd=project).stdout
    assert "failed: crash: " in failed
    assert "no luck" in failed


def test_control_characters_of_a_script_do_not_reach_the_terminal(project: Path) -> None:
    number = failed_trial(project)
    for arguments in (["status"], ["status", "--why", str(number)]):
        assert "\x1b[31m" not in command(*arguments, cwd=project).stdout


def test_report_writes_a_page_and_a_text(project: Path, tmp_path: Path) -> None:
    done = command("report", "--out", str(tmp_path / "out"), cwd=project)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "train.py --x" in text
    figures = json.loads(command("report", "--json", cwd=project).stdout)
    assert figures


def test_a_study_is_found_by_file_by_folder_and_by_name(project: Path) -> None:
    history = str(project / ".tunesmith" / "history.db")
    texts = {
        command("status", cwd=project).stdout,
        command("status", str(project), cwd=project.parent).stdout,
        command("status", str(project / "study.toml"), cwd=project.parent).stdout,
        command("status", "toy", "--history", history, cwd=project.parent).stdout,
    }
    assert len(texts) == 1


def test_status_works_although_the_study_file_is_broken_meanwhile(project: Path) -> None:
    file = project / "study.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text("[study\n", encoding="utf-8")
    try:
        assert command("status", cwd=project).stdout.startswith("toy  minimize loss")
    finally:
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[Path]:
    return make_project(tmp_path / "p")


def test_doctor_finds_no_problem_in_a_valid_study(healthy: Path) -> None:
    done = command("doctor", cwd=healthy)
    assert done.returncode == 0, done.stdout
    assert "every parameter is in the command" in done.stdout
    assert "✗" not in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("train.py", "tarin.py", "tarin.py is not in "),
        ('metric = "loss"', 'metrik = "loss"', "did you mean metric?"),
        ("parallel = 1", "gpus = 64", "[run].gpus = 64, but "),
    ],
)
def test_doctor_names_what_is_wrong(healthy: Path, before: str, after: str, message: str) -> None:
    file = healthy / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    done = command("doctor", cwd=healthy)
    assert done.returncode == 1
    assert message in done.stdout
    assert [f["level"] for f in json.loads(command("doctor", "--json", cwd=healthy).stdout)].count("problem") == 1


@pytest.mark.parametrize(
    ("planner", "message"),
    [
        ('model = "m"\nbase_url = "http://127.0.0.1:9/v1"', "no server answers at http://127.0.0.1:9/v1"),
        ('model = "openai:gpt-5-mini"', "set OPENAI_API_KEY"),
        ('model = "nobody:m"', "it is not clear which provider serves 'nobody:m'"),
    ],
)
def test_doctor_says_why_the_llm_cannot_be_called(
    healthy: Path, planner: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    study = healthy / "study.toml"
    study.write_text(study.read_text(encoding="utf-8").replace("[planner]", f"[planner]\n{planner}"), encoding="utf-8")
    done = command("doctor", cwd=healthy)
    assert message in " ".join(done.stdout.split())
    assert "the sampler proposes every trial" in done.stdout
    assert done.returncode == 0


def test_doctor_finds_a_damaged_history(healthy: Path) -> None:
    folder = healthy / ".tunesmith"
    folder.mkdir()
    (folder / "history.db").write_bytes(b"SQLite format 3\x00" + b"garbage " * 500)
    done = command("doctor", cwd=healthy)
    assert done.returncode == 1
    assert "✗ history" in done.stdout
