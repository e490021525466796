"""Measures the time that the loop adds before and after a trial's process.

    python bench/experiments/latency/loop_overhead.py [--trials 60]

Before: from the recorded proposal to the started process. After: from the end of the process to the stored outcome.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec

# The script writes its own start and end time; `date` itself takes about a millisecond.
SCRIPT = """\
date +%s.%N > times
echo loss=$1
date +%s.%N >> times
"""


def main() -> None:
    """Run a study of trivial trials in a temporary folder and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    count = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "train.sh").write_text(SCRIPT, encoding="utf-8")
        spec = parse_spec(
            {
                "study": {"name": "overhead", "metric": "loss"},
                "run": {"command": "sh train.sh {x}", "parallel": 1},
                "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
                "budget": {"trials": count},
                "planner": {"sampler": "random"},
            }
        )
        history = project / ".tunesmith" / "history.db"
        Loop(spec, RunOptions(project=project, history=history, cpus=1), on_event=lambda event: None).run()
        starts, ends = overheads(history, history.parent / "overhead")
    show("proposal recorded to process started", starts)
    show("process ended to outcome committed", ends)
    show("both together (target 50 ms)", [a + b for a, b in zip(starts, ends, strict=True)])


def overheads(history: Path, folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds before and after each trial's process."""
    starts, ends = [], []
    with History.open(history) as opened:
        for trial in opened.trials(opened.study("overhead").id):
            times = folder / "trials" / f"{trial.number:04d}" / "work" / "times"
            began, ended = (float(line) for line in times.read_text(encoding="utf-8").split())
            starts.append(began - trial.created_at)
            ends.append((trial.ended_at or ended) - ended)
    return starts, ends


def show(what: str, seconds: list[float]) -> None:
    """Print mean and 90% quantile in milliseconds."""
    late = statistics.quantiles(seconds, n=10)[-1]
    print(f"{what}: mean {statistics.mean(seconds) * 1e3:.1f} ms, 90% under {late * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
