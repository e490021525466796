"""Studies on instances from the command line: a race, a crash in its middle, time-outs, held-out instances, reports."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import command, events, invoke, make_project, start

from tunesmith.study.config.load import load_spec

SCRIPT = """\
import sys, time
words = sys.argv[1:]
values = dict(zip(words[::2], words[1::2]))
x, y, fold = float(values["--x"]), int(values["--y"]), int(values["--fold"])
time.sleep(float(values.get("--sleep", 0)))
if fold == 3 and "--hang" in values and x > float(values["--hang"]):
    time.sleep(60)
print(f"loss={(x - 0.3) ** 2 + 0.1 * abs(y - 4) + 0.5 * fold + 0.001 * ((int(x * 1e6) * 7919 + fold * 104729) % 100)}")
"""
INSTANCES = "[instances]\nvalues = [0, 1, 2, 3, 4, 5, 6, 7]\n"


def project(folder: Path, *, tables: str = INSTANCES, more: str = "", runs: int = 18, parallel: int = 1) -> Path:
    made = make_project(
        folder, script=SCRIPT, more=f"--fold {{instance}} {more}".strip(), tables=tables,
        parallel=parallel, trials=100,
    )  # fmt: skip
    text = (made / "study.toml").read_text().replace("trials = 100", f"runs = {runs}")
    (made / "study.toml").write_text(text)
    return made


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the trials as the history file has them."""
    with sqlite3.connect(folder / ".tunesmith" / "history.db") as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("select * from trials order by number")]


def on_each(found: list[dict[str, Any]]) -> Counter[tuple[int, str]]:
    """Return how often each configuration was given a run on each instance."""
    return Counter((r["number"] if r["replicate_of"] is None else r["replicate_of"], r["instance"]) for r in found)


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_study_spends_its_runs_on_races_and_names_the_best_over_instances(tmp_path: Path, parallel: int) -> None:
    folder = project(tmp_path / "p", parallel=parallel)
    ended = command("run", "--json", cwd=folder, timeout_s=240)
    assert ended.returncode == 0, ended.stderr
    assert events(ended.stdout)[-1]["by"] == "runs"
    found = rows(folder)
    assert len(found) == 18
    assert max(on_each(found).values()) == 1
    assert {r["source"] for r in found} == {"default", "sampler", "race"}
    status = json.loads(invoke("status", "--json", cwd=folder).stdout)
    assert status["spent"]["runs"] == 18
    assert len(status["best"]["instances"]) > 1
    status = invoke("status", cwd=folder).stdout
    assert "instances" in status
    assert "18 of 18 runs" in status
    runs = Counter(r["number"] if r["replicate_of"] is None else r["replicate_of"] for r in found)
    number, few = min(runs.items(), key=lambda item: item[1])
    story = invoke("status", "--why", str(number), cwd=folder).stdout
    assert f"(objective: the mean over 8 instances, estimated from its runs on {few})" in story


def test_a_race_goes_on_after_a_kill_where_it_was(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", more="--sleep 0.05")
    with start("run", "--json", cwd=folder) as running:
        assert running.stdout is not None
        races = 0
        for line in running.stdout:
            races += '"race"' in line
            if races >= 2:
                break
        os.kill(running.pid, signal.SIGKILL)
    before = len(rows(folder))
    assert command("run", "--json", cwd=folder, timeout_s=240).returncode == 0
    found = rows(folder)
    assert len(found) == 18 > before
    assert max(on_each(found).values()) == 1
    assert {r["state"] for r in found} == {"complete"}


def test_time_outs_count_as_par10_and_the_study_says_so(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", tables=f"{INSTANCES}par = 10\n", more="--hang 0.5", runs=12)
    text = (folder / "study.toml").read_text().replace("parallel = 1", 'parallel = 1\ntimeout = "0.7s"')
    (folder / "study.toml").write_text(text)
    assert command("run", "--json", cwd=folder, timeout_s=240).returncode == 0
    late = [r for r in rows(folder) if "PAR10" in r["note"]]
    assert all(r["value"] == 7.0 and r["state"] == "complete" for r in late)
    assert not [r for r in rows(folder) if r["failure_kind"] == "timeout"]


def test_confirmation_alone_sees_the_held_out_instances(tmp_path: Path) -> None:
    tables = f"{INSTANCES}hold_out = 0.4\n[confirm]\nseeds = 3\n"
    folder = project(tmp_path / "p", tables=tables)
    ended = command("run", "--json", cwd=folder, timeout_s=240)
    assert ended.returncode == 0, ended.stderr
    found = rows(folder)
    confirmed = {r["instance"] for r in found if r["source"] == "confirm"}
    assert len(confirmed) == 3
    assert not confirmed & {r["instance"] for r in found if r["source"] != "confirm"}
    assert len({r["instance"] for r in found if r["source"] != "confirm"}) <= 5
    assert invoke("report", cwd=folder).returncode == 0
    report = next((folder / ".tunesmith").rglob("report.md")).read_text()
    assert "held-out instances" in report
    assert "## Instances" in report


def test_equal_values_on_held_out_instances_are_no_repeats_of_one_run(tmp_path: Path) -> None:
    tables = f"{INSTANCES}hold_out = 0.4\n[confirm]\nseeds = 3\n"
    folder = project(tmp_path / "p", tables=tables, runs=8)
    (folder / "train.py").write_text(f"{SCRIPT.partition('print')[0]}print(f'loss={{max(0.1, round(x, 1))}}')\n")
    ended = command("run", cwd=folder, timeout_s=240)
    assert ended.returncode == 0, ended.stderr
    assert "so they are one measurement" not in ended.stdout
    assert "On each of 3 held-out instances it is 0." in ended.stdout
    assert "better than the default, so nothing shows how much that varies" in ended.stdout
    # The loss is 0.1 at best and 0.9 at the default, on every instance; tuning shows the same.
    status = invoke("status", cwd=folder).stdout
    report = (folder / ".tunesmith" / "toy" / "report.md").read_text()
    stated = re.search(r", gain (\d+%) on held-out instances\)", status)
    assert stated, status
    assert f"{stated[1]} better than the default's 0.9000 there" in ended.stdout
    assert f"{stated[1]} better on held-out instances" in report
    assert "Run again with more time" not in report


def test_a_gain_in_tuning_that_differs_from_that_on_held_out_instances_is_stated_nowhere(tmp_path: Path) -> None:
    tables = f"{INSTANCES}hold_out = 0.4\n[confirm]\nseeds = 3\n"
    folder = project(tmp_path / "p", tables=tables, runs=8)
    instances = load_spec(folder / "study.toml").instance_set
    assert instances is not None
    held_out = {int(name) for name in instances.held_out}
    (folder / "train.py").write_text(
        f"{SCRIPT.partition('print')[0]}print(f'loss={{abs(x - 0.3) + (1 if fold in {held_out} else 0)}}')\n"
    )
    ended = command("run", cwd=folder, timeout_s=240)
    report = (folder / ".tunesmith" / "toy" / "report.md").read_text()
    texts = [ended.stdout, invoke("status", cwd=folder).stdout, report]
    stated = [set(re.findall(r"(\d+)% (?:better|on held)|gain (\d+)%", text)) for text in texts]
    assert len(stated[0]) == 1, stated
    assert {"".join(found) for found in stated[0]} == {"".join(found) for found in stated[1] | stated[2]}, stated


def test_failures_on_held_out_instances_are_counted(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", tables=f"{INSTANCES}hold_out = 0.4\n[confirm]\nseeds = 3\n", runs=8)
    instances = load_spec(folder / "study.toml").instance_set
    assert instances is not None
    held_out = {int(name) for name in instances.held_out}
    (folder / "train.py").write_text(SCRIPT.replace("print(", f"if fold in {held_out}: sys.exit('x')\nprint("))
    ended = command("run", cwd=folder, timeout_s=240)
    failed = sum(r["failure_kind"] == "crash" for r in rows(folder))
    assert failed > 1
    assert f"Failed: {failed} of {len(rows(folder))} runs ({failed} crash)" in ended.stdout


def test_a_budget_of_trials_lets_the_last_race_end(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    text = (folder / "study.toml").read_text().replace("runs = 18", "trials = 9")
    (folder / "study.toml").write_text(text)
    assert command("run", "--json", cwd=folder, timeout_s=240).returncode == 0
    found = rows(folder)
    assert sum(r["replicate_of"] is None for r in found) == 9
    assert len(found) >= 9


def test_a_broken_instance_is_named_everywhere_and_costs_neither_the_default_nor_the_best(tmp_path: Path) -> None:
    broken = SCRIPT.replace("print(", "if fold == 2:\n    sys.exit('cannot read fold 2')\nprint(")
    folder = project(tmp_path / "p", tables="[instances]\nvalues = [0, 1, 2, 3]\n", runs=20)
    (folder / "train.py").write_text(broken)
    ended = command("run", cwd=folder, timeout_s=240)
    assert ended.returncode == 0, ended.stderr
    found = rows(folder)
    failed = [r for r in found if r["state"] == "failed"]
    said = f"nstance 2 failed in all {len(failed)} runs: crash: cannot read fold 2"
    assert len(failed) >= 3
    assert {r["instance"] for r in failed} == {"2"}
    assert said in ended.stdout
    assert "# on 0, one of 4 instances; the others: 1, 2, 3" in ended.stdout
    shown = invoke("status", cwd=folder).stdout
    assert said in shown
    status = json.loads(invoke("status", "--json", cwd=folder).stdout)
    assert status["failing_instances"][0]["name"] == "2"
    assert set(status["best"]["instances"]) <= {"0", "1", "3"}
    assert status["default"]["state"] == "complete"
    invoke("report", cwd=folder)
    assert said in next((folder / ".tunesmith").rglob("report.md")).read_text()
    assert said in next((folder / ".tunesmith").rglob("report.html")).read_text()
    assert said in invoke("check", cwd=folder).stdout


def test_a_run_that_pauses_names_the_instance_that_failed(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", runs=9)
    (folder / "train.py").write_text("import sys\nsys.exit('no data')\n")
    ended = command("run", cwd=folder, timeout_s=240)
    assert ended.returncode == 1
    first, *_ = rows(folder)
    assert "3 trials in a row failed on 3 instances, and their parameters do not explain it: no data" in ended.stdout
    assert "The end of the log of trial 2 on instance" in ended.stdout
    assert f"on instance {rows(folder)[2]['instance']}: no data" in invoke("status", cwd=folder).stdout
    assert f"--fold {first['instance']}" in invoke("check", cwd=folder).stdout
