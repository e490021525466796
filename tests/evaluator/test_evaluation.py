"""What a trial sees, and what is read from it: parameters, files, environment, observations, evaluation command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.trials import PYTHON, Bench, finish, wait_until

from tunesmith.evaluator.executors.slots import Slot, plan_slots
from tunesmith.evaluator.files.workspace import make_workspace
from tunesmith.evaluator.gpu.gpus import find_gpus
from tunesmith.evaluator.output.streams import CappedLog
from tunesmith.study.config.tables.run import RunTable
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import TrialState

SHOW = """
import json, os, sys
print(json.dumps({"loss": 1.0}))
json.dump([sys.argv[1:], dict(os.environ)], open("seen.json", "w"))
"""
NASTY = "a b'c\"; $(touch hacked) `id` {lr} *"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def seen(bench: Bench, number: int = 0) -> tuple[list[str], dict[str, str]]:
    words, environment = json.loads((bench.study / "trials" / f"{number:04d}" / "work" / "seen.json").read_text())
    return words, environment


def test_parameters_arrive_by_template_and_by_environment(bench: Bench) -> None:
    bench.write(SHOW)
    fidelity = {"name": "epochs", "min": 1, "max": 9}
    command = (
        f"{PYTHON} train.py --lr {{lr}} --momentum {{momentum}} --out {{artifacts}} --seed {{seed}} --x='{{optimizer}}'"
    )
    evaluator = bench.evaluator({"command": command, "env": {"MINE": "1"}}, fidelity=fidelity)
    assert finish(bench.start(evaluator)).state is TrialState.COMPLETE
    words, environment = seen(bench)
    artifacts = str(bench.study / "trials" / "0000" / "artifacts")
    assert words == ["--lr", "0.01", "--out", artifacts, "--seed", "7", "--x=adam"]
    assert json.loads(environment["TUNESMITH_PARAMS"]) == {
        "lr": 0.01, "hidden": 64, "optimizer": "adam", "seed": 7, "artifacts": artifacts,
    }  # fmt: skip
    assert environment["MINE"] == "1"
    assert environment["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS", "1")


@pytest.mark.parametrize("shell", [False, True])
def test_a_value_is_always_one_word_of_the_command(bench: Bench, shell: bool) -> None:
    bench.write(SHOW)
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py {{optimizer}}", "shell": shell})
    assert finish(bench.start(evaluator, optimizer=NASTY)).state is TrialState.COMPLETE
    assert seen(bench)[0] == [NASTY]
    assert not list(bench.root.rglob("hacked"))


def test_a_shell_is_used_only_on_request(bench: Bench) -> None:
    made = bench.study / "trials" / "0000" / "work" / "made"
    assert bench.run(command="echo loss=1 > made").values == {"loss": 1.0}
    assert not made.exists()
    assert bench.run(command="echo loss=1 | tee made", shell=True).values == {"loss": 1.0}
    assert made.exists()


def test_observations_come_while_the_trial_runs(bench: Bench) -> None:
    bench.write("""
    import time
    for e in range(3):
        print(f"epoch {e} loss={1 / (e + 1)}", flush=True)
        time.sleep(0.05)
    time.sleep(30)
    """)
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}))
    wait_until(lambda: evaluation.poll() or len(bench.seen) == 3)
    assert [(o.step, o.value) for o in bench.seen] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    evaluation.kill("seen enough")
    finish(evaluation)


def test_the_report_file_cannot_be_guessed_and_a_stale_one_is_not_read(bench: Bench) -> None:
    script = """
    for name in ("report.jsonl", "../report.jsonl", "../report-0.jsonl"):
        open(name, "w").write('{"step": 1, "values": {"loss": 0.0}}\\n')
    """
    first = bench.run(script)
    assert first.failure is not None
    assert first.failure.kind.value == "no_metric"
    names = {p.name for p in (bench.study / "trials" / "0000").glob("report-????????*")}
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    finish(bench.start(evaluator))
    again = {p.name for p in (bench.study / "trials" / "0000").glob("report-????????*")}
    assert len(names) == len(again) == 1
    assert names != again


def test_a_deleted_report_file_means_no_metric_and_garbage_in_it_is_skipped(bench: Bench) -> None:
    gone = bench.run("import os\nos.remove(os.environ['TUNESMITH_REPORT'])")
    assert gone.failure is not None
    assert gone.failure.kind.value == "no_metric"
    script = """
    import os
    with open(os.environ["TUNESMITH_REPORT"], "ab") as out:
        out.write(b'\\xff\\x00garbage\\n[1, 2]\\n{"values": 3}\\n{"values": {"loss": "x"}}\\n')
        out.write(b"[" * 100_000 + b"\\n")
        out.write(b'{"step": 2, "values": {"loss": 0.5}}\\n{"values": {"lo')
    """
    assert bench.run(script).values == {"loss": 0.5}


def test_a_retry_starts_from_a_clean_folder(bench: Bench) -> None:
    bench.write("import os\nprint('loss=%d' % os.path.exists('left'))\nopen('left', 'w').write('x')")
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    for _ in range(2):
        assert finish(bench.start(evaluator)).values == {"loss": 0.0}


def test_each_slot_sees_its_own_gpus(bench: Bench) -> None:
    bench.write(SHOW)
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py", "gpus": 0.5})
    runs = [bench.start(evaluator, i, Slot(index=i, gpus=gpus)) for i, gpus in enumerate([("0",), ("1", "2")])]
    outcomes = [finish(run) for run in runs]
    assert [seen(bench, i)[1]["CUDA_VISIBLE_DEVICES"] for i in (0, 1)] == ["0", "1,2"]
    assert outcomes[0].usage.gpu_s == pytest.approx(outcomes[0].usage.wall_s / 2)


def listing(folder: Path) -> dict[str, bytes | str]:
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in folder.rglob("*")
        if p.is_symlink() or p.is_file()
    }


def test_a_trial_runs_in_its_own_copy_and_the_project_stays_as_it_was(bench: Bench) -> None:
    bench.write("""
    for name in ("helper.py", "train.py", "new.txt", "data/small.csv"):
        open(name, "w").write("mine")
    print("loss=1")
    """)
    bench.write("x = 1", "helper.py")
    bench.write("1,2", "data/small.csv")
    bench.write("skipped", ".git/config")
    bench.write("skipped", "__pycache__/a.pyc")
    (bench.project / "data" / "big.bin").write_bytes(b"\0" * (2**20 + 1))
    (bench.project / "link").symlink_to("helper.py")
    (bench.project / "dangling").symlink_to("nowhere")
    before = listing(bench.project)
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    assert finish(bench.start(evaluator)).state is TrialState.COMPLETE
    assert listing(bench.project) == before
    kept = listing(bench.study / "trials" / "0000" / "work")
    assert kept == dict.fromkeys(["helper.py", "train.py", "new.txt", "data/small.csv"], b"mine")
    snapshot = listing(evaluator.snapshot.folder)
    assert snapshot["data/big.bin"] == str(bench.project / "data" / "big.bin")
    assert not any(name.startswith((".git", "__pycache__")) for name in snapshot)


def test_edits_during_a_run_reach_no_trial_and_change_the_variant_of_the_next(bench: Bench) -> None:
    bench.write("print('loss=1')")
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    bench.write("print('loss=2')")
    assert finish(bench.start(evaluator)).values == {"loss": 1.0}
    later = bench.evaluator({"command": f"{PYTHON} train.py"})
    assert later.variant != evaluator.variant
    assert finish(bench.start(later)).values == {"loss": 2.0}
    bench.write("print('loss=1')")
    assert bench.evaluator({"command": f"{PYTHON} train.py"}).variant == evaluator.variant


def test_a_folder_of_thousands_of_files_is_linked_whole(bench: Bench) -> None:
    bench.write("import os\nprint('loss=%d' % len(os.listdir('images')))")
    (bench.project / "images").mkdir()
    for n in range(2001):
        (bench.project / "images" / f"{n}").touch()
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    assert (evaluator.snapshot.folder / "images").is_symlink()
    assert finish(bench.start(evaluator)).values == {"loss": 2001.0}
    workspace = make_workspace(evaluator.snapshot, bench.study, 5)
    assert os.readlink(workspace.work / "images") == str(bench.project / "images")


def test_only_the_evaluation_command_decides_and_it_runs_from_a_fresh_copy(bench: Bench) -> None:
    bench.write("""
    import os
    open("evaluate.py", "w").write("print('loss=0')")
    open(os.environ["TUNESMITH_ARTIFACTS"] + "/prediction", "w").write("0.75")
    print("loss=0.001")
    """)
    bench.write("import sys\nprint('loss=' + open(sys.argv[1]).read())", "evaluate.py")
    judge = {"command": f"{PYTHON} evaluate.py {{artifacts}}/prediction"}
    outcome = finish(bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}, evaluate=judge)))
    assert outcome.values == {"train/loss": 0.001, "loss": 0.75}
    assert [o.metric for o in bench.seen] == ["train/loss", "loss"]
    bench.write("print('loss=1')")
    outcome = finish(bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}, evaluate=judge)))
    assert outcome.failure is not None
    assert outcome.failure.reason.startswith("evaluate: FileNotFoundError")


@pytest.mark.parametrize(
    ("run", "gpus", "cpus", "expected"),
    [
        ({}, [], 8, [()] * 4),
        ({}, [], 1, [()]),
        ({"parallel": 3}, [], 2, [()] * 3),
        ({"gpus": 1}, ["0", "3"], 8, [("0",), ("3",)]),
        ({"gpus": 2}, ["0", "1", "2"], 8, [("0", "1")]),
        ({"gpus": 0.5}, ["0", "1"], 8, [("0",), ("1",), ("0",), ("1",)]),
        ({"gpus": 0.3}, ["0"], 8, [("0",)] * 3),
        ({"gpus": 1, "parallel": 1}, ["0", "1"], 8, [("0",)]),
    ],
)
def test_slots_divide_gpus_and_cores(
    run: dict[str, Any], gpus: list[str], cpus: int, expected: list[tuple[str, ...]]
) -> None:
    slots = plan_slots(RunTable(command="x", **run), gpus, cpus)
    assert [slot.gpus for slot in slots] == expected
    assert [slot.index for slot in slots] == list(range(len(expected)))


@pytest.mark.parametrize(
    ("run", "gpus", "message"),
    [
        ({"gpus": 1}, [], "no NVIDIA GPU was found"),
        ({"gpus": 4}, ["0"], "1 NVIDIA GPU found"),
        ({"gpus": 1, "parallel": 3}, ["0", "1"], "set parallel = 2"),
    ],
)
def test_too_few_gpus_are_an_error(run: dict[str, Any], gpus: list[str], message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        plan_slots(RunTable(command="x", **run), gpus, 8)


def test_visible_devices_decide_which_gpus_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-abc")
    assert [gpu.id for gpu in find_gpus().gpus] == ["2", "GPU-abc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert find_gpus().gpus == ()


def test_progress_bars_and_colours_hide_no_metric(bench: Bench) -> None:
    bar = r"\r 50%|###| loss=0.9\r100%|######| \x1b[32mloss\x1b[0m=\x1b[1m0.4\x1b[0m\n"
    assert bench.run(f"import sys\nsys.stdout.write('{bar}')").values == {"loss": 0.4}
    assert [o.value for o in bench.seen] == [0.9, 0.4]


def test_the_capped_log_keeps_both_ends(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "log", 100)
    for n in range(100):
        log.write(f"line {n:03d}\n".encode())
    log.close()
    text = (tmp_path / "log").read_text()
    assert text.startswith("line 000\n")
    assert text.endswith("line 099\n")
    left_out = int(text.split("[... ")[1].split(" bytes")[0])
    kept = len(text) - len(f"\n[... {left_out} bytes left out ...]\n")
    assert kept + left_out == 900
    assert kept <= 110


def test_python_is_ours_where_path_has_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.root))
    outcome = bench.run("import sys\nprint('loss=1')\nprint(sys.executable)", command="python train.py")
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert sys.executable in (bench.study / "trials" / "0000" / "log.txt").read_text()
