"""A night in seconds: bench/experiments/stress/rehearsal.py, which has the faults and the checks, on a small scale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REHEARSAL = Path(__file__).parents[3] / "bench" / "experiments" / "stress" / "rehearsal.py"


def test_a_night_of_crashes_kills_and_llm_faults_ends_in_time_and_its_report_is_true() -> None:
    words = ["--minutes", "0.06", "--seconds", "0.05", "--slots", "2", "--kill-every", "0.8", "--night-only"]
    done = subprocess.run(
        [sys.executable, str(REHEARSAL), *words], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    in the morning every figure of the report follows from the history" in done.stdout
    assert "FAIL" not in done.stdout
