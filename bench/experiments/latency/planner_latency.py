"""Measures how long slots wait for the planner while an LLM takes 20 s per answer and a trial takes 30 s.

    python bench/experiments/latency/planner_latency.py [--scale 0.2] [--trials 24]

A scale of 0.2 makes that 4 s and 6 s. The planner's own computing time is not scaled, so a small scale is the harder
test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from fakes.llm.answers import candidates_reply, drawn_points
from fakes.llm.server import Reply, Request, serving

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Source, Trial

ANSWER_S, TRIAL_S, PARALLEL = 20.0, 30.0, 2


def main() -> None:
    """Run a study against a slow server on loopback and print the idle fraction."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.2)
    parser.add_argument("--trials", type=int, default=24)
    args = parser.parse_args()
    space = {name: {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5} for name in ("x", "y", "z")}

    def slow(request: Request, before: int) -> Reply:
        reply = candidates_reply(drawn_points(list(space), before))
        return Reply(body=reply.body, delay_s=ANSWER_S * args.scale)

    with tempfile.TemporaryDirectory() as folder, serving(slow) as server:
        project = Path(folder)
        script = f"import sys, time; time.sleep({TRIAL_S * args.scale}); print('loss=' + sys.argv[1])"
        (project / "train.py").write_text(script, encoding="utf-8")
        spec = parse_spec(
            {
                "study": {"name": "latency", "metric": "loss"},
                "run": {"command": f"{sys.executable} -I -S train.py {{x}} {{y}} {{z}}", "parallel": PARALLEL},
                "space": space,
                "budget": {"trials": args.trials},
                "planner": {"model": "m", "base_url": server.base_url},
            }
        )
        history = project / ".tunesmith" / "history.db"
        options = RunOptions(project=project, history=history, cpus=PARALLEL)
        Loop(spec, options, on_event=lambda event: None).run()
        with History.open(history) as opened:
            trials = opened.trials(opened.study("latency").id)
    proposed = sum(t.proposal.source is Source.LLM for t in trials)
    print(f"{len(trials)} trials, {proposed} by the LLM, {len(server.requests)} requests")
    print(f"slots idle for the planner: {idle_fraction(trials):.2%} of wall time (target 2%)")


def idle_fraction(trials: list[Trial]) -> float:
    """Return the fraction of time, between a slot's first start and last end, in which it ran no trial."""
    by_slot: dict[int | None, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_slot[trial.slot].append(trial)
    idle = total = 0.0
    for mine in by_slot.values():
        mine.sort(key=lambda t: t.started_at or 0.0)
        for before, after in zip(mine[:-1], mine[1:], strict=True):
            idle += (after.started_at or 0.0) - (before.ended_at or 0.0)
        total += (mine[-1].ended_at or 0.0) - (mine[0].started_at or 0.0)
    return idle / total


if __name__ == "__main__":
    main()
