"""Measures the time that the sandbox adds to a trial, from its start to its outcome, clean-up included.

    python bench/experiments/latency/sandbox_launch.py [--trials 40]

Trials with and without the sandbox alternate, so that other load on the machine affects both.
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
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState

COMMANDS = {"a shell": "sh train.sh", "Python": f"{sys.executable} train.py"}


def main() -> None:
    """Run trivial trials in a temporary folder and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="of each kind")
    count = parser.parse_args().trials
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / "project"
            project.mkdir()
            (project / "train.sh").write_text("echo loss=1\n", encoding="utf-8")
            (project / "train.py").write_text("print('loss=1')\n", encoding="utf-8")
            plain, sandboxed_one = (TimedEvaluator(project, command, sandboxed) for sandboxed in (False, True))
            pairs = [(plain.seconds(n), sandboxed_one.seconds(n)) for n in range(count + 1)]
        # The first trial of a study also looks up the interpreter and its folders.
        extra = [with_it - without for without, with_it in pairs[1:]]
        without, with_it = (statistics.median(times) for times in zip(*pairs[1:], strict=True))
        quantile_90 = statistics.quantiles(extra, n=10)[-1]
        # The minimum approximates an idle machine.
        minimum = min(times[1] for times in pairs[1:]) - min(times[0] for times in pairs[1:])
        figures = [1e3 * value for value in (without, with_it, statistics.median(extra), quantile_90, minimum)]
        print(
            "{}: {:.1f} ms without, {:.1f} ms with the sandbox (medians of {}); it adds {:.1f} ms, 90% under "
            "{:.1f} ms, minimum {:.1f} ms (target 100 ms)".format(name, *figures[:2], count, *figures[2:])
        )


class TimedEvaluator:
    """The evaluator of one study; measures the seconds of a trial."""

    def __init__(self, project: Path, command: str, sandboxed: bool) -> None:
        document = {
            "study": {"name": "launch", "metric": "loss"},
            "run": {"command": command, "sandbox": sandboxed},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "budget": {"trials": 1},
        }
        self._ended = threading.Event()
        folder = project.parent / ("enclosed" if sandboxed else "plain") / "launch"
        executor = LocalExecutor(self._ended.set)
        self._evaluator = Evaluator(parse_spec(document), project=project, folder=folder, executor=executor)

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
