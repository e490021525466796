"""Measures what the sandbox adds to a trial, from the order to start it to its outcome, its clean-up included.

Run it as `python bench/experiments/latency/sandbox_launch.py [--trials 40]`. Trials with and without the sandbox take
turns, so that
whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState

COMMANDS = {"a shell": "sh train.sh", "Python": f"{sys.executable} train.py"}


def main() -> None:
    """Run trivial trials in a temporary folder and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=40, help="of each kind")
    count = parser.parse_args().trials
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / "project"
            project.mkdir()
            (project / "train.sh").write_text("echo loss=1\n", encoding="utf-8")
            (project / "train.py").write_text("print('loss=1')\n", encoding="utf-8")
            plain, enclosed = (Bench(project, command, is_enclosed) for is_enclosed in (False, True))
            pairs = [(plain.seconds(n), enclosed.seconds(n)) for n in range(count + 1)]
        # The first of each looks for the interpreter and its folders, once in a study.
        extra = [with_it - without for without, with_it in pairs[1:]]
        without, with_it = (statistics.median(times) for times in zip(*pairs[1:], strict=True))
        late = statistics.quantiles(extra, n=10)[-1]
        # The least of many is what a quiet machine takes.
        least = min(times[1] for times in pairs[1:]) - min(times[0] for times in pairs[1:])
        figures = [1e3 * value for value in (without, with_it, statistics.median(extra), late, least)]
        print(
            "{}: {:.1f} ms without, {:.1f} ms with the sandbox (medians of {}); it adds {:.1f} ms, 90% under "
            "{:.1f} ms, at the least {:.1f} ms (target 100 ms)".format(name, *figures[:2], count, *figures[2:])
        )


class Bench:
    """One study's evaluator, and how long one of its trials takes."""

    def __init__(self, project: Path, command: str, is_enclosed: bool) -> None:
        document = {
            "study": {"name": "launch", "metric": "loss"},
            "run": {"command": command, "sandbox": is_enclosed},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "budget": {"trials": 1},
        }
        self._ended = threading.Event()
        folder = project.parent / ("enclosed" if is_enclosed else "plain") / "launch"
        self._evaluator = Evaluator(parse_spec(document), project=project, folder=folder, wake=self._ended.set)

    def seconds(self, number: int) -> float:
        """Run one trial and return its seconds."""
        proposal = Proposal(params={"x": 0.5}, source=Source.SAMPLER, seed=0)
        trial = Trial(number=number, proposal=proposal, state=TrialState.RUNNING)
        began = time.perf_counter()
        evaluation = self._evaluator.start(trial, Slot(index=0), lambda observation: None)
        while (outcome := evaluation.poll()) is None:
            self._ended.wait()
            self._ended.clear()
        took = time.perf_counter() - began
        if outcome.state is not TrialState.COMPLETE:
            sys.exit(f"a trial failed: {outcome.failure}")
        return took


if __name__ == "__main__":
    main()
