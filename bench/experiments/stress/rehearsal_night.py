"""The night of the rehearsal: starts the run, kills it, fills its disk, uses up its inodes, and measures it."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from fakes.projects import environment

QUIET_S = 20.0
"""Time before the deadline without kills; at most half of the whole time."""
FULL_S = 8.0
"""Time for which the disk stays full; at most a tenth of the whole time."""
RESUME_S = 8.0
"""Time in which a run that waits for room resumes once there is some."""
GRACE_S = 60.0
"""Time after the deadline at which the rehearsal gives up."""


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
        peak_mib: largest memory of the loop's process.
        blocked: times, in seconds since the epoch, between which the history could not be written or nothing ran.
    """

    kills: int = 0
    full: int = 0
    late_s: float = 0.0
    status: int = -1
    output: str = ""
    tracebacks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    peak_mib: float = 0.0
    blocked: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class _Schedule:
    """When the run is to end, and when faults happen; all in seconds since the epoch.

    Attributes:
        deadline: the run must end by itself then.
        quiet_at: nothing is killed from here on.
        full_at: the disk is filled then; inf when it was filled, or cannot be.
        full_s: how long it stays full.
        inodes_at: like full_at, for the time at which all inodes are used up.
    """

    deadline: float
    quiet_at: float
    full_at: float
    full_s: float
    inodes_at: float

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
        has_time = os.environ.get("FEW_INODES") and minutes >= 1
        inodes_at = began + (quiet_at - began) * 0.7 if has_time else float("inf")
        return cls(deadline, quiet_at, full_at, min(FULL_S, (deadline - began) / 10), inodes_at)

    def fill_disk_when_due(self, project: Path, night: Night) -> None:
        if time.time() > self.full_at:
            self.full_at = float("inf")
            threading.Thread(target=_fill_disk, args=(project, self.full_s, night), daemon=True).start()
        if time.time() > self.inodes_at:
            self.inodes_at = float("inf")
            threading.Thread(target=_use_up_inodes, args=(project, self.full_s, night), daemon=True).start()


def spend_night(project: Path, wanted: argparse.Namespace) -> Night:
    """Restart the run after each kill, as a supervisor would, until it ends by itself."""
    rng, night = random.Random(wanted.seed), Night()
    start_s = _first_run(project, wanted)
    night.kills += 1
    schedule = _Schedule.starting_now(wanted.minutes, start_s)
    before: dict[int, Any] = {}
    while time.time() < schedule.deadline + GRACE_S:
        # One run in four is killed while it starts, the others some time after their first output.
        after = rng.choice([0.0, 0.7, 1.0, 1.5]) * wanted.kill_every
        kill_at = time.time() + rng.random() if not after else float("inf")
        ended = _run_until_end_or_kill(project, wanted, schedule, night, kill_at=kill_at, after_first_output_s=after)
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
    project: Path,
    wanted: argparse.Namespace,
    schedule: _Schedule,
    night: Night,
    *,
    kill_at: float,
    after_first_output_s: float,
) -> bool:
    """Start the run and note its output and status in `night`; return whether it ended by itself."""
    give_up_at = schedule.deadline + GRACE_S
    # The output is not on the small disk, because it must be readable when that is full.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process, began = _started(project, wanted, schedule.until, output), time.time()
        while process.poll() is None and not (kill_at < time.time() < schedule.quiet_at):
            if kill_at == float("inf") and os.fstat(output.fileno()).st_size:
                kill_at = time.time() + after_first_output_s
            schedule.fill_disk_when_due(project, night)
            night.peak_mib = max(night.peak_mib, _memory_mib(process.pid))
            if time.time() > give_up_at:
                break
            time.sleep(0.02)
        ended = process.poll() is not None
        if not ended:
            night.blocked.append((time.time() - 1.0, time.time()))
        elif process.returncode != 0 and "the disk is full" in Path(f"/proc/self/fd/{output.fileno()}").read_text(
            encoding="utf-8"
        ):
            night.blocked.append((began, time.time()))
        process.kill()
        process.wait()
        output.seek(0)
        night.output, night.status = output.read(), process.returncode
    return ended


def _first_run(project: Path, wanted: argparse.Namespace) -> float:
    """Run until the first trials have ended, then kill the run; return the seconds that it took to start."""
    began, start_s = time.time(), 0.0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = _started(project, wanted, f"{datetime.fromtimestamp(began + 36000).astimezone():%H:%M:%S}", output)
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


def _is_full_disk(output: str) -> bool:
    return "the disk is full" in output or "No space left on device" in output


def _started(project: Path, wanted: argparse.Namespace, until: str, output: Any) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tunesmith.cli.main", "run", "--until", until]
    words += ["--keep-going"] if wanted.hostile else []
    keys = {"OPENAI_API_KEY": "sk-rehearsal-0123456789"}
    return subprocess.Popen(words, cwd=project, env={**environment(), **keys}, stdout=output, stderr=subprocess.STDOUT)


def _fill_disk(project: Path, full_s: float, night: Night) -> None:
    began = time.time()
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
    night.blocked.append((began, time.time() + RESUME_S))


def _use_up_inodes(project: Path, full_s: float, night: Night) -> None:
    ballast, began = project.parent / "many", time.time()
    ballast.mkdir()
    with suppress(OSError):
        for number in range(10**7):
            (ballast / f"{number}").touch()
    time.sleep(full_s)
    shutil.rmtree(ballast)
    night.blocked.append((began, time.time() + RESUME_S))


def _memory_mib(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss / 2**20)
    except psutil.Error:
        return 0.0


def _compare(project: Path, before: dict[int, Any], night: Night) -> dict[int, Any]:
    """Record trials that were complete before and are not now."""
    history = project / ".tunesmith" / "history.db"
    now: dict[int, Any] = before
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(history)) as db:
        rows = db.execute("select number, value, ended_at from trials where state = 'complete'").fetchall()
        now = {number: rest for number, *rest in rows}
        night.lost += [f"trial {number}" for number, rest in before.items() if now.get(number) != rest]
    return now
