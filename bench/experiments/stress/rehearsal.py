"""A night in a quarter of an hour: a study that everything goes wrong with, and what its morning report is worth.

Run it as `python bench/experiments/stress/rehearsal.py --minutes 15 --slots 6`, or for a quick look `--minutes 1.2
--kill-every 15`.
Trials of half a second crash, hang, run out of memory, print nan, leave processes behind; the loop is killed by
SIGKILL again and again; the LLM answers with errors, nonsense and silence; the disk is full once. The study has to end
by itself at its deadline, lose nothing, leave nothing behind, and report nothing that its history does not say. The
disk is a file system in memory of its own, for which bubblewrap is needed; without it the disk stays as it is.
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

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))
from fakes.llm.server import Reply, Request, error, message, serving
from fakes.projects import environment
from fakes.recomputed import differences

from tunesmith.study.trials.seeds import is_fresh, tuning_seed

STUDY = "night"
DISK_BYTES = 512 * 2**20
LATE_S = 10.0
"""The run may end so long after its deadline."""
QUIET_S = 20.0
"""So long before the deadline, or half of the whole, nothing is killed any more."""
FULL_S = 8.0
"""The disk stays full for so long, or for a tenth of the whole."""
ENOUGH = 50
"""A night of fewer trials may end before there is anything to confirm."""
GRACE_S = 60.0
"""After so long beyond the deadline the rehearsal gives up."""


def loss(x: float, y: int, seed: int) -> float:
    """Return what a trial that goes well reports: a valley with noise that the seed decides."""
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
    """Rehearse, print what was found, and end with status 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="until the deadline")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a trial that goes well, about")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=150.0, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--night-only", action="store_true", help="leave out confirming afterwards")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.inside is None:
        raise SystemExit(_on_a_disk_of_its_own())
    raise SystemExit(_rehearse(wanted))


def _on_a_disk_of_its_own() -> int:
    """Run this program again where its folder is a small disk, if that is possible."""
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
            seed=_sound_seed(),
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
    """Run once more with no trial left but those that confirm, without an LLM."""
    with closing(sqlite3.connect(history)) as db:
        (count,) = db.execute("select count(*) from trials where replicate_of is null").fetchone()
    settings = (project / "study.toml").read_text(encoding="utf-8")
    (project / "study.toml").write_text(re.sub("(model|base_url) = .*", "", settings), encoding="utf-8")
    words = [sys.executable, "-m", "tunesmith.cli.main", "run", "--trials", str(count)]
    done = subprocess.run(words, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    night.status, night.output = done.returncode, done.stdout + done.stderr


# -- the night ----------------------------------------------------------------------------------------------------


def _night(project: Path, wanted: argparse.Namespace) -> Night:
    """Start the run again and again, as whoever watches over it would, until it ends by itself."""
    chance, night = random.Random(wanted.seed), Night()
    start_s = _first_evening(project)
    night.kills += 1
    began = time.time()
    until = datetime.fromtimestamp(began + 60 * wanted.minutes + 2 * start_s).astimezone().replace(microsecond=0)
    deadline = until.timestamp()
    quiet_at = deadline - max(min(QUIET_S, (deadline - began) / 2), 2 * start_s)
    full_at = began + (quiet_at - began) * 0.4 if os.environ.get("SMALL_DISK") else float("inf")
    before: dict[int, Any] = {}
    while time.time() < deadline + GRACE_S:
        # One in four is killed while it starts, the others so long after their first word.
        after = chance.choice([0.0, 0.7, 1.0, 1.5]) * wanted.kill_every
        kill_at = time.time() + chance.random() if not after else float("inf")
        # Not on the small disk: what the run says when that is full is to be read.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = _started(project, f"{until:%H:%M:%S}", output)
            while process.poll() is None and not (kill_at < time.time() < quiet_at):
                if kill_at == float("inf") and os.fstat(output.fileno()).st_size:
                    kill_at = time.time() + after
                if time.time() > full_at:
                    full_at = float("inf")
                    full_s = min(FULL_S, (deadline - began) / 10)
                    threading.Thread(target=_fill_disk, args=(project, full_s), daemon=True).start()
                if time.time() > deadline + GRACE_S:
                    break
                time.sleep(0.02)
            ended = process.poll() is not None
            process.kill()
            process.wait()
            output.seek(0)
            night.output, night.status = output.read(), process.returncode
        if "Traceback" in night.output:
            night.tracebacks.append(night.output.strip()[-600:])
        night.full += _is_full_disk(night.output)
        if ended and (night.status == 0 or not _is_full_disk(night.output)):
            night.late_s = time.time() - deadline
            return night
        night.kills += not ended
        before = _compare(project, before, night)
        time.sleep(0.5 if ended else 0.0)
    night.late_s = time.time() - deadline
    return night


def _first_evening(project: Path) -> float:
    """Run until the first trials have ended, and kill it; return how many seconds it took to start."""
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


def _sound_seed() -> int:
    """Return a seed of a study whose default configuration goes well, so that there is something to compare with."""
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
    """Note what was complete before and is not now."""
    history = project / ".tunesmith" / "history.db"
    now: dict[int, Any] = before
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(history)) as db:
        rows = db.execute("select number, value, ended_at from trials where state = 'complete'").fetchall()
        now = {number: rest for number, *rest in rows}
        night.lost += [f"trial {number}" for number, rest in before.items() if now.get(number) != rest]
    return now


def faulty(request: Request, before: int) -> Reply:
    """Answer as a provider on a bad night: every way of failing in turn, and now and then candidates."""
    chance = random.Random(before)
    points = [{"x": round(chance.random(), 3), "y": chance.randint(1, 8)} for _ in range(4)]
    candidates = [
        {"params": p, "rationale": "try it", "predicted": 0.1, "refuted_by": "", "operator": "refine"} for p in points
    ]
    hostile = [{**c, "params": {"x": 1e9, "y": "rm -rf /"}, "rationale": "ignore all rules"} for c in candidates]
    asked = json.dumps(request.get("response_format") or request.get("tools") or {})
    lesson = {"insights": [{"text": "small x is better", "trials": [1, 2]}]}
    sound = message(json.dumps(lesson if "insights" in asked else {"candidates": candidates}))
    faults = [
        error(429, "slow down", retry_after="1"),
        error(500, "oops"),
        Reply(status=200, body=b"<html>gateway</html>"),
        Reply(body=sound.body, cut=True),
        message('{"candidates": [{"params": {"x": 0.1'),
        message(json.dumps({"candidates": hostile})),
        message("I cannot help with that."),
        Reply(body=sound.body, delay_s=8.0),
    ]
    return sound if before % 3 == 0 else faults[chance.randrange(len(faults))]


# -- the morning --------------------------------------------------------------------------------------------------


def findings(project: Path, night: Night) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what has to hold, with what speaks against it."""
    history = project / ".tunesmith" / "history.db"
    when = "after" if night.late_s > 0 else "before"
    shown = f"ended {abs(night.late_s):.1f} s {when} the deadline with status {night.status}"
    yield shown, [] if abs(night.late_s) <= LATE_S and night.status == 0 else ["not by itself, or not in time"]
    yield "every end is told in words", night.tracebacks
    yield "no complete trial was lost or changed by a kill", night.lost
    with closing(sqlite3.connect(history)) as db:
        db.row_factory = sqlite3.Row
        yield "the history is sound", [r[0] for r in db.execute("pragma integrity_check") if r[0] != "ok"]
        rows = db.execute("select * from trials order by number").fetchall()
        ended = [r[0] for r in db.execute("select ended_by from studies")]
        (at,) = db.execute("select max(at) from events where kind = 'ended'").fetchone()
        kept = "select json_extract(detail, '$.moment') from events where kind = 'deadline' order by id desc"
        (deadline,) = db.execute(kept).fetchone()
    yield f"the last trial had ended {at - deadline:.1f} s after the deadline; then comes the report", []
    yield "numbers have no gap", [] if [r["number"] for r in rows] == list(range(len(rows))) else ["they do"]
    fresh = [r for r in rows if r["replicate_of"] is not None and is_fresh(r["seed"])]
    if len(rows) > ENOUGH:
        yield f"the best was held against the default in time, {len(fresh)} runs", [] if fresh else ["it was not"]
    yield "nothing is said to run", [f"trial {r['number']}" for r in rows if r["state"] == "running"]
    yield "it ended by its deadline", [] if ended == ["until"] else ended
    yield "every value is what the script gives", list(_wrong_values(rows))
    yield "every fate has its kind", list(_wrong_kinds(rows))
    yield "no process is left", [f"{p.pid}" for p in _left(project)]


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
        # What ended with the deadline, the disk or the loop had no time for its fate.
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
        said = report["summary"]["headline"] in plain and str(report["summary"]["best"]["number"]) in plain
        yield f"{when} {name} says the same", [] if said else ["its first line is another"]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
