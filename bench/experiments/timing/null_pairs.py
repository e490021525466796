"""False wins of the judge of time: candidates that are the reference itself, on this machine as busy as it is.

    python bench/experiments/timing/null_pairs.py [--pairs 200] [--calls 24] [--launches 4] [--file RESULTS.jsonl]

Each measurement is that of a trial, by default with 4 launches of 6 pairs of calls (Python sorts 3,000 numbers).
A false win is an interval that lies above 1. With --file the times of each measurement are kept, and an interrupted
run continues.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.timing.measurement import measure
from tunesmith.evaluator.timing.plan import Plan
from tunesmith.evaluator.timing.worker.process import Program

CODE = """
import random

def ordered(items):
    return sorted(items)

def make(seed):
    source = random.Random(seed)
    return [source.random() for _ in range(3000)]
"""


def plan_in(folder: Path) -> Plan:
    """Return a plan whose candidate is its reference."""
    (folder / "same.py").write_text(CODE, encoding="utf-8")
    program = Program(
        argv=[sys.executable],
        cwd=str(folder),
        environment=dict(os.environ),
        target="same.py:ordered",
        program=[],
        arguments={},
    )
    return Plan(
        reference=program,
        candidate=program,
        build=(),
        inputs="same.py:make",
        cases=[{}],
        checks=[],
        tolerance={},
        pairs=24,
        launches=4,
        warmup=1,
        is_cold=False,
        flops="",
        bytes="",
        peak_flops=None,
        peak_bytes=None,
        owns_orphans=True,
        verdict_file="",
        report_file="",
    )


def main() -> None:
    """Measure null pairs and print how many seem faster, or slower, than they are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--calls", type=int, default=24, help="pairs of calls in a measurement")
    parser.add_argument("--launches", type=int, default=4)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.file.open()] if options.file and options.file.exists() else []
    with tempfile.TemporaryDirectory() as name:
        plan = replace(plan_in(Path(name)), pairs=options.calls, launches=options.launches)
        while len(rows) < options.pairs:
            rows.append(_measured(plan))
            if options.file:
                with options.file.open("a") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
    wins = sum(row["low"] > 1 for row in rows)
    losses = sum(row["high"] < 1 for row in rows)
    widths = sorted(math.log(row["high"] / row["low"]) / 2 for row in rows)
    print(f"{len(rows)} null pairs: {wins} false wins ({wins / len(rows):.1%}), {losses} false losses")
    median, most = widths[len(widths) // 2], widths[9 * len(widths) // 10]
    print(f"half width of the interval: median {median:.1%}, 90% below {most:.1%}")
    print(f"load of the machine: {sum(row['load'] for row in rows) / len(rows):.1f} on {os.cpu_count()} cores")
    print(f"seconds for one: {sum(row['seconds'] for row in rows) / len(rows):.1f}")


def _measured(plan: Plan) -> dict[str, object]:
    started = time.monotonic()
    found = measure(plan)
    whole = found.interval
    times = [[[(p.reference_s, p.candidate_s) for b in case for p in b.pairs] for case in run] for run in found.blocks]
    return {
        "value": whole.value,
        "low": whole.low,
        "high": whole.high,
        "load": os.getloadavg()[0],
        "seconds": time.monotonic() - started,
        "times": times,
    }


if __name__ == "__main__":
    main()
