"""`tunesmith check` through the command line, with real training scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.projects import command, environment, invoke, start

from tunesmith.cli.session.study_session import StudySession
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.tools.llm_tools.script.check import CHECK

STUDY = """\
[study]
name = "toy"
metric = "val_loss"
[run]
command = "{python} -S train.py --x {{x}} {more}"
parallel = 1
{run}
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.5 }}
[budget]
trials = 6
hours = 8
{tables}
"""
EPOCHS = """\
import sys, time
total = int(sys.argv[sys.argv.index("--epochs") + 1])
for epoch in range(1, total + 1):
    time.sleep(0.05)
    print(f"epoch {epoch}/{total} val_loss={1 / epoch}", flush=True)
"""


def project(folder: Path, script: str, *, more: str = "", run: str = "", tables: str = "") -> Path:
    (folder / "train.py").write_text(script, encoding="utf-8")
    text = STUDY.format(python=sys.executable, more=more, run=run, tables=tables)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def checked(folder: Path, *options: str, status: int = 0):
    done = invoke("check", "--json", *options, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is (status == 0)
    return found


def detail(found, what: str) -> str:
    return "\n".join(f["detail"] for f in found["findings"] if f["what"] == what)


SEEN = {
    "a line": ('print("start")\nprint("val_loss=0.4")', "stdout", 2, 1),
    "standard error": ('import sys\nprint("val_loss: 0.4", file=sys.stderr)', "stderr", 1, 1),
    "another spelling": ('print()\nprint()\nprint("Val Loss 0.4")', "stdout", 3, 1),
    "a dict": ("for i in range(3): print({'val_loss': 0.4, 'lr': 1})", "stdout", 1, 3),
    "indented JSON": ('import json\nprint(json.dumps({"a": 1, "val_loss": 0.4}, indent=2))', "stdout", 1, 1),
    "a table": ('print("epoch  loss  val_loss")\nfor i in range(2): print(f"{i}  0.5  0.4")', "stdout", 2, 2),
    "the report file": (
        "import json, os\n"
        'with open(os.environ["TUNESMITH_REPORT"], "a") as f:\n'
        '    f.write(json.dumps({"values": {"val_loss": 0.4}, "step": 1}) + "\\n")',
        "report", 1, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SEEN)
def test_says_where_and_how_often_the_metric_is_read(tmp_path, case):
    script, source, line, count = SEEN[case]
    metric = checked(project(tmp_path, script))["metrics"]["val_loss"]
    assert metric["value"] == 0.4
    (where,) = metric["where"]
    assert (where["source"], where["line"], where["count"], where["is_read"]) == (source, line, count, True)


def test_a_file_that_the_study_names_is_read(tmp_path):
    script = 'open("metrics.csv", "w").write("epoch,val_loss\\n1,0.5\\n2,0.4\\n")'
    metric = checked(project(tmp_path, script, run='metrics_from = ["metrics.csv"]'))["metrics"]["val_loss"]
    assert (metric["value"], metric["reports"], metric["where"][0]["source"]) == (0.4, 2, "metrics.csv")


@pytest.mark.parametrize(
    ("script", "run", "source"),
    [
        ('print("val_loss=0.4")', 'metrics_from = ["stderr"]', "stdout"),
        ('import sys\nprint("Validation loss: 0.4", file=sys.stderr)', 'metrics_from = ["stdout"]', "stderr"),
        ('open("metrics.csv", "w").write("epoch,val_loss\\n1,0.4\\n")', "", "metrics.csv"),
        ('import os\nos.mkdir("logs")\nopen("logs/all.jsonl", "w").write(\'{"val_loss": 0.4}\')', "", "logs/all.jsonl"),
        ('open("result.json", "w").write(\'{"val_loss": 0.4}\')', "", "result.json"),
    ],
)
def test_names_the_source_to_add_for_a_metric_that_is_elsewhere(tmp_path, script, run, source):
    found = checked(project(tmp_path, script, run=run), status=1)
    assert f'written to "{source}", which [run].metrics_from does not name' in detail(found, "metric")


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("vall_loss=0.4", "vall_loss"),
        ("val_los: 0.4", "val_los"),
        ("eval_loss=0.4", "eval_loss"),
        ("best val_loss=0.4", "best val_loss"),
        ("test loss = 0.4", "test loss"),
    ],
)
def test_suggests_the_near_name(tmp_path, line, near):
    found = checked(project(tmp_path, f'print("lr=0.1 {line}")'), status=1)
    assert f"did you mean {near}?" in detail(found, "metric")


def test_a_script_without_numbers_is_told_what_to_print(tmp_path):
    found = checked(project(tmp_path, 'print("done")'), status=1)
    assert "print a line such as val_loss=0.41" in detail(found, "metric")


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("import surely_not_installed", "the Python package surely_not_installed"),
        ("import surely_not_installed.deeper", "the Python package surely_not_installed"),
        ('open("data/train.npz")', "the file data/train.npz"),
        ('open("/nowhere/x.csv")', "the file /nowhere/x.csv"),
        ('raise RuntimeError("No CUDA GPUs are available")', "a GPU"),
    ],
)
def test_names_what_a_failed_run_lacked(tmp_path, script, missing):
    found = checked(project(tmp_path, script), status=1)
    assert missing in detail(found, "missing")
    assert found["failure"]["kind"] == "crash"
    assert "not reported before the run failed" in detail(found, "metric")


def test_names_a_missing_script_program_and_gpu_without_running_anything(tmp_path):
    folder = project(tmp_path, "")
    (folder / "train.py").unlink()
    assert "train.py is not in" in detail(checked(folder, status=1), "command")
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace(sys.executable, "surely_no_program"))
    assert "surely_no_program is neither on PATH" in detail(checked(folder, status=1), "command")
    project(tmp_path, "", run="gpus = 512")
    assert "512" in detail(checked(folder, status=1), "missing")


def test_a_failure_shows_its_kind_reason_and_the_end_of_the_log(tmp_path):
    done = invoke("check", cwd=project(tmp_path, 'print("before")\nraise ValueError("bad shape")'))
    assert done.returncode == 1
    assert "(crash): ValueError: bad shape" in done.stdout
    assert "| ValueError: bad shape" in done.stdout


FIDELITY = '[fidelity]\nname = "epochs"\nmin = 4\nmax = 400'


def test_runs_the_smallest_fidelity_and_estimates_a_full_trial(tmp_path):
    found = checked(project(tmp_path, EPOCHS, more="--epochs {epochs} --seed {seed}", tables=FIDELITY))
    assert (found["fidelity"], found["metrics"]["val_loss"]["reports"], found["ended"]) == (4, 4, True)
    assert 400 * 0.05 * 0.9 < found["trial_s"] < 400 * 0.05 * 20
    assert "[budget].trials = 6 ends it before" in detail(found, "time")
    assert found["passes_seed"]


def test_a_long_run_is_ended_when_its_pace_is_known(tmp_path):
    tables = FIDELITY.replace("400", "100000").replace("min = 4", "min = 50000")
    found = checked(project(tmp_path, EPOCHS, more="--epochs {epochs}", tables=tables), "--seconds", "60")
    assert not found["ended"]
    assert found["wall_s"] < 40
    assert found["trial_s"] > 100000 * 0.05 * 0.9


def test_reports_without_a_total_tell_the_pace_at_a_fidelity(tmp_path):
    script = EPOCHS.replace("epoch {epoch}/{total} ", "step={epoch} ")
    tables = FIDELITY.replace("400", "100000").replace("min = 4", "min = 50000")
    found = checked(project(tmp_path, script, more="--epochs {epochs}", tables=tables), "--seconds", "60")
    assert found["trial_s"] > 100000 * 0.05 * 0.9
    assert "if each reported step is one of epochs" in detail(found, "time")


def test_without_fidelity_lines_of_progress_tell_the_pace(tmp_path):
    found = checked(project(tmp_path, EPOCHS, more="--epochs 5000"), "--seconds", "1")
    assert not found["ended"]
    assert "5000 epochs" in detail(found, "time")
    assert found["trial_s"] > 5000 * 0.05 * 0.9


def test_a_run_that_tells_no_pace_is_told_to_get_more_time(tmp_path):
    found = checked(project(tmp_path, "import time\ntime.sleep(60)"), "--seconds", "1", status=1)
    assert found["trial_s"] is None
    assert "did not end within 1 s" in detail(found, "time")
    assert "--seconds 4" in detail(found, "metric")


JUDGE = """\
[evaluate]
command = "{python} -S judge.py {{artifacts}}/model.txt"
"""


def test_the_judge_runs_too_and_gives_the_metric(tmp_path):
    folder = project(
        tmp_path,
        'import sys\nprint("val_loss=7")\nopen(sys.argv[-1] + "/model.txt", "w").write("0.25")',
        more="--out {artifacts}",
        tables=JUDGE.format(python=sys.executable),
    )
    (folder / "judge.py").write_text('import sys\nprint("val_loss=" + open(sys.argv[1]).read())')
    found = checked(folder)
    assert found["ran_judge"]
    metric = found["metrics"]["val_loss"]
    assert (metric["value"], metric["reports"], metric["where"][0]["last"]) == (0.25, 1, 0.25)
    assert "train/val_loss" in [other["name"] for other in found["others"]]
    assert found["artifacts"] == ["artifacts/model.txt"]


def test_says_that_the_judge_did_not_run_when_the_training_did_not_end(tmp_path):
    folder = project(tmp_path, "import time\ntime.sleep(60)", tables=JUDGE.format(python=sys.executable))
    (folder / "judge.py").write_text('print("val_loss=1")')
    found = checked(folder, "--seconds", "1", status=1)
    assert not found["ran_judge"]
    assert "did not run, because the training did not end" in detail(found, "judge")


def test_parameters_and_seed_that_the_command_lacks_are_named(tmp_path):
    folder = project(tmp_path, 'print("val_loss=0.4")')
    text = (folder / "study.toml").read_text().replace("--x {x}", "")
    (folder / "study.toml").write_text(text)
    found = checked(folder)
    assert found["unused_parameters"] == ["x"]
    assert not found["passes_seed"]


@pytest.mark.skipif(bool(sandbox_problem()), reason="no sandbox here")
def test_runs_in_the_sandbox_of_the_study(tmp_path):
    (tmp_path / "outside.txt").write_text("only visible without a sandbox")
    script = f'import os\nprint("open" if os.path.exists({str(tmp_path / "outside.txt")!r}) else "val_loss=0.4")'
    (tmp_path / "p").mkdir()
    found = checked(project(tmp_path / "p", script, run="sandbox = true"))
    assert "in the sandbox" in detail(found, "run")


def test_leaves_the_project_as_it_was_and_records_no_trial(tmp_path):
    folder = project(tmp_path, 'open("written.txt", "w").write("x")\nprint("val_loss=0.4")')
    before = sorted(folder.rglob("*"))
    checked(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_folder_of_a_killed_check_is_removed_by_the_next(tmp_path):
    folder = project(tmp_path, 'print("val_loss=0.4")')
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    left = folder / ".tunesmith" / f"check-{ended.pid}-1" / "study"
    left.mkdir(parents=True)
    checked(folder)
    assert not left.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_and_removes_the_folder(tmp_path, number):
    script = f"""\
import os, time
open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
print("ready", flush=True)
time.sleep(600)
"""
    folder = tmp_path / "p"
    folder.mkdir()
    process = start("check", "--seconds", "600", cwd=project(folder, script))
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; nothing is left behind" in out
    assert errors == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert sorted(path.name for path in folder.iterdir()) == ["study.toml", "train.py"]


def test_wrong_input_is_told_from_a_problem(tmp_path):
    assert command("check", "nowhere", cwd=tmp_path).returncode == 2
    folder = project(tmp_path, "")
    (folder / "study.toml").write_text("[study]\n")
    assert command("check", cwd=folder).returncode == 2


def test_the_tool_shows_the_command_before_and_fences_the_findings(tmp_path):
    session = StudySession(project(tmp_path, 'print("val_loss=0.4")'), None, by="chat")
    assert "train.py --x 0.5" in CHECK.preview_text(session.context(), {})
    answer = CHECK.call(session.context(), {"seconds": 10})
    assert answer.startswith("~~~")
    assert "val_loss: read once" in answer


def test_chat_has_it_as_a_slash_command(tmp_path):
    folder = project(tmp_path, 'print("val_loss=0.4")')
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli.main", "chat"], cwd=folder, env=environment(), input="/check 10\n",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "val_loss: read once" in done.stdout
    assert not [p for p in (folder / ".tunesmith").glob("check-*")]


def test_init_offers_it(tmp_path):
    (tmp_path / "train.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
        "a = p.parse_args()\nprint(f'val_loss={a.lr}')\n"
    )
    assert "tunesmith check" in invoke("init", "train.py", "--seconds", "0", cwd=tmp_path).stdout
    tried = invoke("init", "train.py", "--force", cwd=tmp_path).stdout
    assert "✓ metric     val_loss: read once" in tried


def test_a_training_loss_is_warned_of_where_a_validation_metric_is_printed(tmp_path: Path) -> None:
    study = project(tmp_path, "print('loss: 0.5')\nprint('valid loss: 0.7')\n")
    text = (study / "study.toml").read_text(encoding="utf-8").replace('"val_loss"', '"loss"', 1)
    (study / "study.toml").write_text(text, encoding="utf-8")
    found = checked(study)
    assert "loss may be measured on training data" in detail(found, "metric")
    assert "valid loss is printed as well" in detail(found, "metric")


def test_what_a_metric_takes_and_which_folders_are_shared_is_said(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    script = "import os\nopen('../data/x', 'w').write(os.getcwd())\nfor v in (0.5, 0.2, 0.9): print('val_loss:', v)\n"
    tables = '[metrics]\nval_loss = { take = "best" }\n'
    found = checked(project(tmp_path / "p", script, run='shared = ["../data"]', tables=tables))
    assert "read 3 times, value 0.2000; what counts is the best value of each trial" in detail(found, "metric")
    assert detail(found, "shared").startswith("../data: yours, and read and written by all trials")
    assert "the script wrote in ../data" in detail(found, "shared")
    assert (tmp_path / "data" / "x").read_text(encoding="utf-8").endswith("work")


def test_a_file_that_cannot_be_filled_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("optim:\n  lr: 1\n", encoding="utf-8")
    found = checked(
        project(tmp_path, "print('val_loss: 1')", tables='[run.files]\n"a.yaml" = { "lr" = "{x}" }'), status=1
    )
    assert "\"a.yaml\" has no 'lr'; expected optim.lr" in detail(found, "missing")
