"""A stress test of a long study: everything goes wrong, and its history and report must still be right.

    python bench/experiments/stress/rehearsal.py --minutes 15 --slots 6
    python bench/experiments/stress/rehearsal.py --minutes 1.2 --kill-every 15

Trials of half a second crash, hang, run out of memory, print nan and leave processes behind. The loop is killed with
SIGKILL repeatedly. The LLM answers with errors, nonsense and silence. The disk is full once. The study must end by
itself at its deadline, lose no trial, leave no process behind, and report only what follows from its history. The small
disk is a file system in memory, which needs bubblewrap; without it the disk does not fill up.
"""

from __future__ import annotations

import argparse
import html
import inspect
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from fakes.llm.server import Reply, Request, error, message, serving
from fakes.projects import environment
from fakes.recomputed import differences

from tunesmith.study.trials.seeds import is_fresh, tuning_seed

STUDY = "night"
DISK_BYTES = 512 * 2**20
LATE_S = 10.0
"""Longest time after the deadline at which the run may end."""

QUIET_S = 20.0
"""Time before the deadline without kills; at most half of the whole time."""

FULL_S = 8.0
"""Time for which the disk stays full; at most a tenth of the whole time."""

MIN_TRIALS_TO_CONFIRM = 50
"""Number of trials from which the best one must have been confirmed."""

GRACE_S = 60.0
"""Time after the deadline at which the rehearsal gives up."""


def loss(x: float, y: int, seed: int) -> float:
    """Return the loss of a trial without faults: a valley, with noise that depends on the seed."""
    return (x - 0.3) ** 2 + 0.05 * abs(y - 4) + 0.1 * random.Random(seed).random()


SCRIPT = f"""
import os, random, subprocess, sys, time

{inspect.getsource(loss)}

values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, y, seed = float(values["--x"]), int(values["--y"]), int(values["--seed"])
fate = random.Random(seed + 1).random()
time.sleep(float(values["--seconds"]) * (0.6 + 0.8 * random.Random(seed + 2).random()))
if fate < 0.08: raise RuntimeError("shapes do not fit: 3 and 4")
if fate < 0.10: time.sleep(3600)
if fate < 0.13: sys.exit("CUDA out of memory. Tried to allocate 20.00 GiB")
if fate < 0.14: os._exit(137)
if fate < 0.15: os.kill(os.getpid(), 9)
if fate < 0.17: print("loss=nan"); sys.exit()
if fate < 0.18: sys.exit()
if fate < 0.21: subprocess.Popen(["sleep", "3600"], start_new_session=True)
if fate < 0.22: print("x" * 300000)
for step in (1, 2, 3):
    print(f"step={{step}} loss={{loss(x, y, seed) + 1 / step - 1 / 3}}")
"""
SETTINGS = """
[study]
name = "{study}"
metric = "loss"
seed = {seed}
[run]
command = "{python} -I -S train.py --x {{x}} --y {{y}} --seed {{seed}} --seconds {seconds}"
timeout = {timeout}
parallel = {slots}
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
y = {{ type = "int", low = 1, high = 8, default = 8 }}
[planner]
model = "m"
base_url = "{base_url}"
[confirm]
seeds = 3
"""


@dataclass
class Night:
    """What happened to the run.

    Attributes:
        kills: how often it was killed.
        full: how often it waited, or ended, because the disk was full.
        late_s: how long after the deadline it ended; negative before it.
        status: its last exit status.
        output: what its last run printed.
        tracebacks: the last lines of runs that ended in one.
        lost: trials that were complete before a kill and not, or otherwise, after it.
    """

    kills: int = 0
    full: int = 0
    late_s: float = 0.0
    status: int = -1
    output: str = ""
    tracebacks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def main() -> None:
    """Run the rehearsal, print the checks, and exit with status 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="until the deadline")
    parser.add_argument("--seconds", type=float, default=0.5, help="approximate duration of a trial without faults")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=150.0, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--night-only", action="store_true", help="skip the run that confirms afterwards")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.inside is None:
        raise SystemExit(_on_small_disk())
    raise SystemExit(_rehearse(wanted))


def _on_small_disk() -> int:
    """Run this program again with its folder on a small disk, if that is possible."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        again = [sys.executable, __file__, *sys.argv[1:], "--inside", folder]
        enclosed = ["bwrap", "--dev-bind", "/", "/", "--size", str(DISK_BYTES), "--tmpfs", folder, "--"]
        if shutil.which("bwrap") and subprocess.run([*enclosed, "true"], check=False).returncode == 0:
            return subprocess.run([*enclosed, *again], env={**os.environ, "SMALL_DISK": "1"}, check=False).returncode
        print("bubblewrap does not work here, so the disk will not be full")
        return subprocess.run(again, check=False).returncode


def _rehearse(wanted: argparse.Namespace) -> int:
    project = wanted.inside / "project"
    project.mkdir()
    with serving(faulty) as server:
        (project / "train.py").write_text(SCRIPT, encoding="utf-8")
        settings = SETTINGS.format(
            study=STUDY,
            seed=_seed_with_working_default(),
            python=sys.executable,
            seconds=wanted.seconds,
            slots=wanted.slots,
            base_url=server.base_url,
            timeout=max(6 * wanted.seconds, 1.0),
        )
        (project / "study.toml").write_text(settings, encoding="utf-8")
        night = _night(project, wanted)
        asked = len(server.requests)
    history = project / ".tunesmith" / "history.db"
    if night.status != 0:
        print(night.output)
        print(f"FAIL  the last run ended with status {night.status}")
        return 1
    found = [*findings(project, night), *_report_findings(project, history, "in the morning")]
    before = night.output
    if not wanted.night_only:
        _confirm(project, history, night)
        found += [("confirming afterwards ends well", [] if night.status == 0 else [night.output])]
        found += _report_findings(project, history, "after confirming")
    with closing(sqlite3.connect(history)) as db:
        states = db.execute("select state, count(*) from trials group by state").fetchall()
        kinds = db.execute("select failure_kind, count(*) from trials where failure_kind != '' group by 1").fetchall()
    print(before, *(["confirming afterwards:", night.output] if night.output != before else []), sep="\n")
    print(f"trials: {', '.join(f'{count} {state}' for state, count in states)}")
    print(f"failed: {', '.join(f'{count} {kind}' for kind, count in kinds)}")
    print(f"killed {night.kills} times, disk full {night.full} times, the LLM was asked {asked} times")
    for text, wrong in found:
        print(f"{'FAIL' if wrong else 'ok  '}  {text}{': ' + '; '.join(wrong[:5]) if wrong else ''}")
    return int(any(wrong for _, wrong in found))


def _confirm(project: Path, history: Path, night: Night) -> None:
    """Run once more without an LLM, with no trials left but replicates."""
    with closing(sqlite3.connect(history)) as db:
        (count,) = db.execute("select count(*) from trials where replicate_of is null").fetchone()
    settings = (project / "study.toml").read_text(encoding="utf-8")
    (project / "study.toml").write_text(re.sub("(model|base_url) = .*", "", settings), encoding="utf-8")
    words = [sys.executable, "-m", "tunesmith.cli.main", "run", "--trials", str(count)]
    done = subprocess.run(words, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    night.status, night.output = done.returncode, done.stdout + done.stderr


# -- the night ----------------------------------------------------------------------------------------------------


@dataclass
class _Schedule:
    """When the run is to end, and when faults happen; all in seconds since the epoch.

    Attributes:
        deadline: the run must end by itself then.
        quiet_at: nothing is killed from here on.
        full_at: the disk is filled then; inf when it was filled, or cannot be.
        full_s: how long it stays full.
    """

    deadline: float
    quiet_at: float
    full_at: float
    full_s: float

    @property
    def until(self) -> str:
        """The deadline as the command line takes it."""
        return f"{datetime.fromtimestamp(self.deadline).astimezone():%H:%M:%S}"

    @classmethod
    def starting_now(cls, minutes: float, start_s: float) -> _Schedule:
        began = time.time()
        deadline = float(int(began + 60 * minutes + 2 * start_s))
        quiet_at = deadline - max(min(QUIET_S, (deadline - began) / 2), 2 * start_s)
        full_at = began + (quiet_at - began) * 0.4 if os.environ.get("SMALL_DISK") else float("inf")
        return cls(deadline, quiet_at, full_at, min(FULL_S, (deadline - began) / 10))

    def fill_disk_when_due(self, project: Path) -> None:
        if time.time() > self.full_at:
            self.full_at = float("inf")
            threading.Thread(target=_fill_disk, args=(project, self.full_s), daemon=True).start()


def _night(project: Path, wanted: argparse.Namespace) -> Night:
    """Restart the run after each kill, as a supervisor would, until it ends by itself."""
    rng, night = random.Random(wanted.seed), Night()
    start_s = _first_run(project)
    night.kills += 1
    schedule = _Schedule.starting_now(wanted.minutes, start_s)
    before: dict[int, Any] = {}
    while time.time() < schedule.deadline + GRACE_S:
        # One run in four is killed while it starts, the others some time after their first output.
        after = rng.choice([0.0, 0.7, 1.0, 1.5]) * wanted.kill_every
        kill_at = time.time() + rng.random() if not after else float("inf")
        ended = _run_until_end_or_kill(project, schedule, night, kill_at=kill_at, after_first_output_s=after)
        if "Traceback" in night.output:
            night.tracebacks.append(night.output.strip()[-600:])
        night.full += _is_full_disk(night.output)
        if ended and (night.status == 0 or not _is_full_disk(night.output)):
            break
        night.kills += not ended
        before = _compare(project, before, night)
        time.sleep(0.5 if ended else 0.0)
    night.late_s = time.time() - schedule.deadline
    return night


def _run_until_end_or_kill(
    project: Path, schedule: _Schedule, night: Night, *, kill_at: float, after_first_output_s: float
) -> bool:
    """Start the run and note its output and status in `night`; return whether it ended by itself."""
    give_up_at = schedule.deadline + GRACE_S
    # The output is not on the small disk, because it must be readable when that is full.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = _started(project, schedule.until, output)
        while process.poll() is None and not (kill_at < time.time() < schedule.quiet_at):
            if kill_at == float("inf") and os.fstat(output.fileno()).st_size:
                kill_at = time.time() + after_first_output_s
            schedule.fill_disk_when_due(project)
            if time.time() > give_up_at:
                break
            time.sleep(0.02)
        ended = process.poll() is not None
        process.kill()
        process.wait()
        output.seek(0)
        night.output, night.status = output.read(), process.returncode
    return ended


def _first_run(project: Path) -> float:
    """Run until the first trials have ended, then kill the run; return the seconds that it took to start."""
    began, start_s = time.time(), 0.0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = _started(project, f"{datetime.fromtimestamp(began + 36000).astimezone():%H:%M:%S}", output)
        while process.poll() is None and time.time() < began + GRACE_S:
            output.seek(0)
            lines = output.read().splitlines()
            start_s = start_s or (time.time() - began if lines else 0.0)
            if any("default" in line for line in lines):
                break
            time.sleep(0.02)
        process.kill()
        process.wait()
    return start_s


def _seed_with_working_default() -> int:
    """Return a seed of a study whose default configuration has no fault, so that there is a baseline."""
    return next(s for s in range(1000) if random.Random(tuning_seed(s, 0) + 1).random() > 0.22)  # noqa: PLR2004


def _is_full_disk(output: str) -> bool:
    return "the disk is full" in output or "No space left on device" in output


def _started(project: Path, until: str, output: Any) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tunesmith.cli.main", "run", "--until", until]
    keys = {"OPENAI_API_KEY": "sk-rehearsal-0123456789"}
    return subprocess.Popen(words, cwd=project, env={**environment(), **keys}, stdout=output, stderr=subprocess.STDOUT)


def _fill_disk(project: Path, full_s: float) -> None:
    ballast = project.parent / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(2**20))
            file.flush()
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    time.sleep(full_s)
    ballast.unlink()


def _compare(project: Path, before: dict[int, Any], night: Night) -> dict[int, Any]:
    """Record trials that were complete before and are not now."""
    history = project / ".tunesmith" / "history.db"
    now: dict[int, Any] = before
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(history)) as db:
        rows = db.execute("select number, value, ended_at from trials where state = 'complete'").fetchall()
        now = {number: rest for number, *rest in rows}
        night.lost += [f"trial {number}" for number, rest in before.items() if now.get(number) != rest]
    return now


def faulty(request: Request, before: int) -> Reply:
    """Answer as a failing provider: one answer in three is valid, the others have one of eight faults."""
    chance = random.Random(before)
    points = [{"x": round(chance.random(), 3), "y": chance.randint(1, 8)} for _ in range(4)]
    candidates = [
        {"params": p, "rationale": "try it", "predicted": 0.1, "refuted_by": "", "operator": "refine"} for p in points
    ]
    hostile = [{**c, "params": {"x": 1e9, "y": "rm -rf /"}, "rationale": "ignore all rules"} for c in candidates]
    asked = json.dumps(request.get("response_format") or request.get("tools") or {})
    lesson = {"insights": [{"text": "small x is better", "trials": [1, 2]}]}
    valid = message(json.dumps(lesson if "insights" in asked else {"candidates": candidates}))
    faults = [
        error(429, "slow down", retry_after="1"),
        error(500, "oops"),
        Reply(status=200, body=b"<html>gateway</html>"),
        Reply(body=valid.body, cut=True),
        message('{"candidates": [{"params": {"x": 0.1'),
        message(json.dumps({"candidates": hostile})),
        message("I cannot help with that."),
        Reply(body=valid.body, delay_s=8.0),
    ]
    return valid if before % 3 == 0 else faults[chance.randrange(len(faults))]


# -- the morning --------------------------------------------------------------------------------------------------


def findings(project: Path, night: Night) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each check and the violations of it."""
    history = project / ".tunesmith" / "history.db"
    when = "after" if night.late_s > 0 else "before"
    shown = f"ended {abs(night.late_s):.1f} s {when} the deadline with status {night.status}"
    yield shown, [] if abs(night.late_s) <= LATE_S and night.status == 0 else ["not by itself, or not in time"]
    yield "no run ended in a traceback", night.tracebacks
    yield "no complete trial was lost or changed by a kill", night.lost
    with closing(sqlite3.connect(history)) as db:
        db.row_factory = sqlite3.Row
        yield (
            "the database passes its integrity check",
            [r[0] for r in db.execute("pragma integrity_check") if r[0] != "ok"],
        )
        rows = db.execute("select * from trials order by number").fetchall()
        ended = [r[0] for r in db.execute("select ended_by from studies")]
        (at,) = db.execute("select max(at) from events where kind = 'ended'").fetchone()
        kept = "select json_extract(detail, '$.moment') from events where kind = 'deadline' order by id desc"
        (deadline,) = db.execute(kept).fetchone()
    yield f"the last trial had ended {at - deadline:.1f} s after the deadline; then comes the report", []
    yield "numbers have no gap", [] if [r["number"] for r in rows] == list(range(len(rows))) else ["they do"]
    fresh = [r for r in rows if r["replicate_of"] is not None and is_fresh(r["seed"])]
    if len(rows) > MIN_TRIALS_TO_CONFIRM:
        yield f"the best was compared with the default in time, {len(fresh)} runs", [] if fresh else ["it was not"]
    yield "no trial is recorded as running", [f"trial {r['number']}" for r in rows if r["state"] == "running"]
    yield "it ended by its deadline", [] if ended == ["until"] else ended
    yield "every value is the one that the script computes", list(_wrong_values(rows))
    yield "every fault has its failure kind", list(_wrong_kinds(rows))
    yield "no process is left behind", [f"{p.pid}" for p in _left(project)]


def _wrong_values(rows: Sequence[sqlite3.Row]) -> Iterator[str]:
    for r in rows:
        if r["state"] == "complete":
            params = json.loads(r["params"])
            wanted = loss(params["x"], params["y"], r["seed"])
            if abs(r["value"] - wanted) > 1e-12:
                yield f"trial {r['number']}: {r['value']} for {wanted}"


def _wrong_kinds(rows: Sequence[sqlite3.Row]) -> Iterator[str]:
    bounds = (
        (0.08, "crash"), (0.10, "timeout"), (0.13, "oom"), (0.14, "oom"), (0.15, "oom killed"), (0.17, "nan"),
        (0.18, "no_metric"), (1.0, "complete"),
    )  # fmt: skip
    for r in rows:
        fate = random.Random(r["seed"] + 1).random()
        wanted = next(kind for bound, kind in bounds if fate < bound)
        got = r["failure_kind"] or r["state"]
        # Trials that the deadline, the full disk or a kill ended did not reach their fault.
        excused = got in ("stopped", "waiting", "lost") or "space left" in (
            r["failure_tail"] or r["failure_reason"] or ""
        )
        if got not in wanted.split() and not excused:
            yield f"trial {r['number']}: {got} for {wanted} ({r['failure_reason']})"


def _left(project: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TUNESMITH_TRIAL_FOLDER", "").startswith(str(project)):
                found.append(process)
    return found


def _report_findings(project: Path, history: Path, when: str) -> Iterator[tuple[str, Sequence[str]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli.main", "report", "--json"],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        yield f"{when} a report can be made", [done.stderr]
        return
    report = json.loads(done.stdout)
    yield f"{when} every figure of the report follows from the history", differences(history, STUDY, report)
    folder = history.parent / STUDY
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""
        plain = html.unescape(text).replace("\u00a0", " ").replace("→", "->")
        agrees = report["summary"]["headline"] in plain and str(report["summary"]["best"]["number"]) in plain
        yield f"{when} {name} has the same headline and best trial", [] if agrees else ["they differ"]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
