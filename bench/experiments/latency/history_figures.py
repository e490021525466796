"""Measures the history: observations per second, `tunesmith status` and resuming with 100,000 trials.

python bench/experiments/latency/history_figures.py [--trials 100000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState, Usage

SPEC = parse_spec(
    {
        "study": {"name": "figures", "metric": "loss"},
        "run": {"command": "python train.py --x {x}"},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}},
        "budget": {"trials": 10**6},
    }
)


def main() -> None:
    """Fill a history in a temporary folder and print one figure per line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    count = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".tunesmith" / "history.db"
        with Recorder(path, SPEC, project=folder, now=time.time()) as recorder:
            print(f"observations written: {observations_per_second(recorder):,.0f} a second (target 5,000)")
            started = time.perf_counter()
            fill(recorder, count)
            print(f"one trial, proposal to outcome: {(time.perf_counter() - started) / count * 1e3:.2f} ms")
        print(f"status on {count:,} trials: {status_seconds(path):.2f} s (target 0.5)")
        started = time.perf_counter()
        with Recorder(path, SPEC, project=folder, now=time.time()) as recorder:
            recorder.history.unfinished(recorder.study_id)
            recorder.history.best(recorder.record)
            print(f"opening for resume: {time.perf_counter() - started:.2f} s (target 1)")
            started = time.perf_counter()
            recorder.history.trials(recorder.study_id)
            print(f"reading every trial, once per run: {time.perf_counter() - started:.2f} s")


def observations_per_second(recorder: Recorder) -> float:
    """Write 50,000 observations in batches of 1,000, a transaction each."""
    trial = recorder.record_proposal(proposal(0.5), 0.0)
    batch = [Observation("loss", float(step), 1.0 / (step + 1), 0.0) for step in range(1000)]
    started = time.perf_counter()
    for _ in range(50):
        recorder.record_observations([ObservationBatch(trial=trial, observations=batch)])
    seconds = time.perf_counter() - started
    recorder.record_outcome(trial, outcome(0.5), 0.0)
    return 50_000 / seconds


def fill(recorder: Recorder, count: int) -> None:
    """Add complete trials the way the loop does."""
    for index in range(count):
        trial: Trial = recorder.record_proposal(proposal(index / count), float(index))
        recorder.record_outcome(recorder.record_start(trial, 0, float(index)), outcome(index / count), float(index))


def status_seconds(path: Path) -> float:
    """Return the best of three whole `tunesmith status` commands."""
    command = [sys.executable, "-m", "tunesmith.cli.main", "status", "figures", "--history", str(path)]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return min(times)


def proposal(x: float) -> Proposal:
    """Return a proposal at x."""
    return Proposal(params={"x": x}, source=Source.SAMPLER, seed=0, rationale="figure")


def outcome(x: float) -> Outcome:
    """Return a complete outcome for x."""
    return Outcome(state=TrialState.COMPLETE, values={"loss": (x - 0.3) ** 2}, usage=Usage(wall_s=1.0))


if __name__ == "__main__":
    main()
