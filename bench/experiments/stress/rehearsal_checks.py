"""What must be true after the rehearsal: of the history, the report, the processes, and how quickly trials ended."""

from __future__ import annotations

import html
import json
import random
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import psutil

from tunesmith.bench.experiments.stress.rehearsal_night import Night
from tunesmith.bench.experiments.stress.rehearsal_study import STUDY, is_hostile, loss

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from fakes.projects import environment
from fakes.recomputed import differences

from tunesmith.study.trials.replicates.seeds import is_fresh

LATE_S = 10.0
"""Longest time after the deadline at which the run may end."""
MIN_TRIALS_TO_CONFIRM = 50
"""Number of trials from which the best one must have been confirmed."""
MAX_LOOP_MIB = 300.0
"""Largest memory of the loop's process."""
MAX_DELAY_S = 3.0
"""Longest time between the end of an honest trial and its record."""


def findings(project: Path, night: Night, *, hostile: bool) -> Iterator[tuple[str, Sequence[str]]]:
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
    own = [r for r in rows if not (hostile and is_hostile(r["seed"]))]
    yield f"the loop needed at most {night.peak_mib:.0f} MiB", [] if night.peak_mib < MAX_LOOP_MIB else ["too much"]
    yield from _delays(own, night) if hostile else ()
    yield f"the last trial had ended {at - deadline:.1f} s after the deadline; then comes the report", []
    yield "numbers have no gap", [] if [r["number"] for r in rows] == list(range(len(rows))) else ["they do"]
    fresh = [r for r in rows if r["replicate_of"] is not None and is_fresh(r["seed"])]
    if len(rows) > MIN_TRIALS_TO_CONFIRM:
        yield f"the best was compared with the default in time, {len(fresh)} runs", [] if fresh else ["it was not"]
    yield "no trial is recorded as running", [f"trial {r['number']}" for r in rows if r["state"] == "running"]
    yield "it ended by its deadline", [] if ended == ["until"] else ended
    yield "every value is the one that the script computes", list(_wrong_values(own))
    yield "every fault has its failure kind", list(_wrong_kinds(own))
    yield "no process is left behind", [f"{p.pid}" for p in _left(project)]


def long_turns(project: Path) -> list[str]:
    """Return where the loop's turns of over 2 s were, and how often, by the innermost lines of Tunesmith."""
    log = project / ".tunesmith" / STUDY / "slow_turns.log"
    entries = log.read_text(encoding="utf-8").split("a turn of the main loop")[1:] if log.exists() else []
    lines = [re.findall(r'/tunesmith/(\S+\.py)", line (\d+), in (\w+)', entry) for entry in entries]
    where = Counter(" < ".join(f"{file}:{line} {name}" for file, line, name in found[-1:-4:-1]) for found in lines)
    return [f"{count} x {place}" for place, count in where.most_common(10)]


def _delays(rows: Sequence[sqlite3.Row], night: Night) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield how long after its end each honest trial was recorded, apart from times when nothing could be."""
    found = {}
    for r in rows:
        ended = json.loads(r["metrics"] or "{}").get("ended")
        if r["state"] != "complete" or ended is None:
            continue
        if not any(start <= r["ended_at"] and ended <= end for start, end in night.blocked):
            found[r["number"]] = r["ended_at"] - ended
    ordered = sorted(found.values())
    if not ordered:
        yield "honest trials are recorded soon after their end", ["there were none"]
        return
    median, ninth = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    text = f"{len(ordered)} honest trials were recorded {median:.2f} s (median), {ninth:.2f} s (99%), at most "
    late = [f"trial {number}: {delay:.1f} s" for number, delay in found.items() if delay > MAX_DELAY_S]
    yield f"{text}{ordered[-1]:.2f} s after their end", late


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


def report_findings(project: Path, history: Path, when: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each check of the report and the violations of it."""
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
