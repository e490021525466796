"""Servers for tests: the small real one of the examples, and studies of servers in a folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fakes.trials import Bench, wait_until

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState

EXAMPLE = Path(__file__).parents[2] / "examples" / "serving" / "server.py"
SERVER = f"{sys.executable} server.py --port {{port}} --max-num-seqs {{seqs}}"
LOAD = (
    "tunesmith load-test http://127.0.0.1:{port} --requests 6 --concurrency 3 --input-tokens 8 --output-tokens 4 "
    "--warmup 1 --seed {seed} --result {result}"
)


def serving_document(serve: dict[str, Any], **tables: Any) -> dict[str, Any]:
    """Return a study of a server with one parameter."""
    return {
        "study": {"name": "toy", "metric": "throughput", "direction": "maximize"},
        "serve": {"command": SERVER, "bench": LOAD, "ready": "/health", **serve},
        "space": {"seqs": {"type": "int", "low": 1, "high": 8, "default": 2}},
        **tables,
    }


def start_served(bench: Bench, /, number: int = 0, run: dict[str, Any] | None = None, **serve: Any) -> Evaluation:
    """Start a trial of a server in a new folder of the bench."""
    bench.project.mkdir(exist_ok=True)
    shutil.copy(EXAMPLE, bench.project / "server.py")
    spec = parse_spec(serving_document(serve, run=run or {}))
    evaluator = Evaluator(spec, project=bench.project, folder=bench.study)
    proposal = Proposal(params={"seqs": 2}, source=Source.SAMPLER, seed=7)
    trial = Trial(number=number, proposal=proposal, state=TrialState.RUNNING)
    return evaluator.start(trial, Slot(index=number), bench.seen.append)


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Run the example's server and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(EXAMPLE), "--port", str(port), *options])
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(f"{address}/health"), timeout_s=30)
        yield address
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5) as response:
        return bool(response.status == 200)
    return False
