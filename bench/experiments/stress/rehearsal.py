"""A stress test of a long study: everything goes wrong, and its history and report must still be right.

    python bench/experiments/stress/rehearsal.py --minutes 15 --slots 6
    python bench/experiments/stress/rehearsal.py --minutes 1.2 --kill-every 15
    python bench/experiments/stress/rehearsal.py --minutes 30 --slots 4 --hostile

Trials of half a second crash, hang, run out of memory, print nan and leave processes behind. The loop is killed with
SIGKILL repeatedly. The LLM answers with errors, nonsense and silence. The disk is full once, and once all inodes are
used up. With --hostile one trial in four attacks what reads its output and its limits, and the LLM attacks too. The
study must end by itself at its deadline, lose no trial, leave no process behind, record honest trials soon after their
end, and report only what follows from its history. The small disk is a file system in memory, which needs a user
namespace; without it the disk does not fill up.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tunesmith.bench.experiments.stress.rehearsal_checks import findings, long_turns, report_findings
from tunesmith.bench.experiments.stress.rehearsal_night import Night, spend_night
from tunesmith.bench.experiments.stress.rehearsal_study import (
    HOSTILE,
    SANDBOX,
    SETTINGS,
    STUDY,
    faulty,
    hostile,
    script,
    seed_with_working_default,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from fakes.llm.server import serving
from fakes.projects import environment

DISK_BYTES = 512 * 2**20
DISK_INODES = 120_000


def main() -> None:
    """Run the rehearsal, print the checks, and exit with status 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="until the deadline")
    parser.add_argument("--seconds", type=float, default=0.5, help="approximate duration of a trial without faults")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=150.0, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hostile", action="store_true", help="one trial in four attacks, and so does the LLM")
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
        mount = f'mount -t tmpfs -o size={DISK_BYTES},nr_inodes={DISK_INODES} none {folder} && exec "$@"'
        few = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
        small = ["bwrap", "--dev-bind", "/", "/", "--size", str(DISK_BYTES), "--tmpfs", folder, "--"]
        for enclosed, limits in ((few, {"SMALL_DISK": "1", "FEW_INODES": "1"}), (small, {"SMALL_DISK": "1"})):
            if shutil.which(enclosed[0]) and subprocess.run([*enclosed, "true"], check=False).returncode == 0:
                return subprocess.run([*enclosed, *again], env={**os.environ, **limits}, check=False).returncode
        print("no small file system can be made here, so the disk will not be full")
        return subprocess.run(again, check=False).returncode


def _rehearse(wanted: argparse.Namespace) -> int:
    project = wanted.inside / "project"
    project.mkdir()
    with serving(hostile if wanted.hostile else faulty) as server:
        (project / "train.py").write_text(script(with_hostile=wanted.hostile), encoding="utf-8")
        (project / "hostile.py").write_text(HOSTILE, encoding="utf-8")
        settings = SETTINGS.format(
            study=STUDY,
            seed=seed_with_working_default(),
            python=sys.executable,
            seconds=wanted.seconds,
            slots=wanted.slots,
            base_url=server.base_url,
            timeout=max(6 * wanted.seconds, 1.0),
            sandbox=SANDBOX if wanted.hostile else "",
        )
        (project / "study.toml").write_text(settings, encoding="utf-8")
        night = spend_night(project, wanted)
        asked = len(server.requests)
    history = project / ".tunesmith" / "history.db"
    if night.status != 0:
        print(night.output)
        print(f"FAIL  the last run ended with status {night.status}")
        return 1
    found = [*findings(project, night, hostile=wanted.hostile), *report_findings(project, history, "in the morning")]
    before = night.output
    if not wanted.night_only:
        _confirm(project, history, night)
        found += [("confirming afterwards ends well", [] if night.status == 0 else [night.output])]
        found += report_findings(project, history, "after confirming")
    with closing(sqlite3.connect(history)) as db:
        states = db.execute("select state, count(*) from trials group by state").fetchall()
        kinds = db.execute("select failure_kind, count(*) from trials where failure_kind != '' group by 1").fetchall()
    print(before, *(["confirming afterwards:", night.output] if night.output != before else []), sep="\n")
    print(f"trials: {', '.join(f'{count} {state}' for state, count in states)}")
    print(f"failed: {', '.join(f'{count} {kind}' for kind, count in kinds)}")
    print(f"killed {night.kills} times, disk full {night.full} times, the LLM was asked {asked} times")
    print("turns of the loop of over 2 s:", *(long_turns(project) or ["none"]), sep="\n  ")
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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
