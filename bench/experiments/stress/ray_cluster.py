"""Simulates a Ray cluster of several nodes on one machine and measures the loop on it.

    python bench/experiments/stress/ray_cluster.py lost    200 short trials on 4 nodes; one node is killed halfway
    python bench/experiments/stress/ray_cluster.py busy    fraction of time in which 64 slots run trials of 2 s

Needs `pip install 'tunesmith[ray]'`. Ray listens beyond 127.0.0.1; to prevent that, give it its own network:
`bwrap --unshare-net --unshare-pid --dev-bind / / --proc /proc python bench/experiments/stress/ray_cluster.py lost`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Finished, LoopEvent
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Trial

# The script writes its own start and end time.
SCRIPT = """\
date +%s.%N
sleep $1
echo loss=$2
date +%s.%N
"""


def main() -> None:
    """Run one of the two scenarios and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", choices=["lost", "busy"])
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    slots, trials, seconds = (8, 200, 0.3) if given.scenario == "lost" else (64, 640, 2.0)
    slots, trials, seconds = given.slots or slots, given.trials or trials, given.seconds or seconds
    run = lost if given.scenario == "lost" else busy
    print(json.dumps(run(nodes=given.nodes, slots=slots, trials=trials, seconds=seconds), indent=2))


def lost(*, nodes: int, slots: int, trials: int, seconds: float) -> dict[str, object]:
    """Kill a node halfway; return the number of results and how often each trial ran."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = start(nodes, slots)
        victim = cluster.list_all_nodes()[-1]
        ended = 0

        def on_event(event: LoopEvent) -> None:
            nonlocal ended
            ended += isinstance(event, Finished)
            if ended == trials // 2 and victim in cluster.list_all_nodes():
                cluster.remove_node(victim, allow_graceful=False)

        began = time.monotonic()
        found = study(Path(folder), cluster.address, slots=slots, trials=trials, seconds=seconds, on_event=on_event)
        wall_s = time.monotonic() - began
        cluster.shutdown()
    return {
        "results": sum(trial.state.value == "complete" for trial in found),
        "trials": len(found),
        "numbers twice": sum(count > 1 for count in Counter(trial.number for trial in found).values()),
        "attempts": dict(Counter(trial.attempt for trial in found)),
        "failures": dict(Counter(trial.failure.kind.value for trial in found if trial.failure)),
        "wall_s": round(wall_s, 1),
    }


def busy(*, nodes: int, slots: int, trials: int, seconds: float) -> dict[str, object]:
    """Return the fraction of slots that ran a process, once every slot had run one."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = start(nodes, slots)
        before = cpu_s()
        found = study(
            Path(folder), cluster.address, slots=slots, trials=trials, seconds=seconds, on_event=lambda event: None
        )
        spent = [now - then for now, then in zip(cpu_s(), before, strict=True)]
        spans = sorted(
            tuple(float(line) for line in log(Path(folder), trial).splitlines() if line[:1].isdigit())
            for trial in found
        )
        cluster.shutdown()
    # Left out: the first rounds, in which Ray starts a worker per slot, and the last one, which leaves slots empty.
    first, last = spans[slots * 2][0], spans[-slots][0]
    inside = sum(max(min(end, last) - max(begin, first), 0.0) for begin, end in spans)
    return {
        "slots": slots,
        "trials": len(found),
        "busy": round(inside / (slots * (last - first)), 3),
        "trials per second": round(sum(first <= begin < last for begin, _ in spans) / (last - first), 1),
        "cores": psutil.cpu_count(),
        "CPU ms per trial": {
            name: round(1000 * each / len(found)) for name, each in zip(("loop", "Ray and trials"), spent, strict=True)
        },
    }


def cpu_s() -> tuple[float, float]:
    """Return the CPU seconds of this process and of all its child processes."""
    started = psutil.Process().children(recursive=True)
    times = [process.cpu_times() for process in started if process.is_running()]
    return time.process_time(), sum(t.user + t.system + t.children_user + t.children_system for t in times)


def start(nodes: int, slots: int) -> Cluster:
    """Start the nodes; together they have one CPU per slot."""
    options = {"num_cpus": slots // nodes, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(**options)
    return cluster


def study(
    project: Path, address: str, *, slots: int, trials: int, seconds: float, on_event: Callable[[LoopEvent], None]
) -> list[Trial]:
    """Run a study of trials that take `seconds` each, and return all trials."""
    (project / "train.sh").write_text(SCRIPT, encoding="utf-8")
    spec = parse_spec(
        {
            "study": {"name": "cluster", "metric": "loss"},
            "run": {"command": f"sh train.sh {seconds} {{x}}", "parallel": slots, "executor": "ray"},
            "executor": {"address": address},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "budget": {"trials": trials},
            "planner": {"sampler": "random"},
        }
    )
    history = project / ".tunesmith" / "history.db"
    Loop(spec, RunOptions(project=project, history=history, cpus=1), on_event=on_event).run()
    with History.open(history) as opened:
        return list(opened.trials(opened.study("cluster").id))


def log(project: Path, trial: Trial) -> str:
    """Return a trial's log."""
    path = project / ".tunesmith" / "cluster" / "trials" / f"{trial.number:04d}" / "log.txt"
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
