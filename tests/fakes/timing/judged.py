"""Judges candidates one after the other with one maker of inputs and one reference; prints a JSON line for each.

    judged.py FOLDER NAME...

The folder has `user/reference.py` and `trial/cheats.py`. A separate process, because it adopts what candidates leave.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import sys
from pathlib import Path

from tunesmith.evaluator.supervision.process_control import adopt_orphans
from tunesmith.evaluator.timing.comparison import Tolerance
from tunesmith.evaluator.timing.judge import failure_of
from tunesmith.evaluator.timing.measurement import Block
from tunesmith.evaluator.timing.pairing import CandidateFailed, Layout, Pairing, plan_layout
from tunesmith.evaluator.timing.worker import process
from tunesmith.evaluator.timing.worker.process import Program, WorkerFailed, WorkerProcess

BLOCKS = 4
CHECKS = (1, 33, 64)
TIMED = 192


def main() -> None:
    adopt_orphans()
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for side in ("user", "trial"):
        (folder / side).mkdir(parents=True)
        for name in ("reference.py", "cheats.py"):
            shutil.copy(Path(__file__).with_name(name), folder / side / name)
    maker, reference = (_start(folder / "user", "reference.py:product", is_candidate=False) for _ in range(2))
    maker.load()
    maker.ask("prepare_inputs", target="reference.py:make")
    checks = [plan_layout(maker, {"n": n}, is_single=True) for n in CHECKS]
    timed = plan_layout(maker, {"n": TIMED}, is_single=True)
    for worker in (maker, reference):
        worker.share(timed.size)
    reference.load()
    for name in names:
        candidate = _start(folder / "trial", f"cheats.py:{name}", is_candidate=True)
        try:
            verdict = _judge(candidate, maker, reference, checks, timed)
            sys.stdout.write(json.dumps({"name": name, **verdict}) + "\n")
            sys.stdout.flush()
        finally:
            candidate.end()
    reference.end()
    maker.end()


def _judge(
    candidate: WorkerProcess, maker: WorkerProcess, reference: WorkerProcess, checks: list[Layout], timed: Layout
) -> dict[str, object]:
    try:
        try:
            candidate.share(timed.size)
            candidate.load()
        except WorkerFailed as problem:
            raise CandidateFailed(problem, "") from None
        pairing = Pairing(maker, reference, candidate, Tolerance(), lambda: None)
        blocks = []
        for number in range(BLOCKS + 1):
            pairs = [pairing.run(timed, is_candidate_first=(number + k) % 2 == 0) for k in range(2)]
            blocks.append(Block(pairs=(pairs[0], pairs[1])))
        # Last, so that what the timed calls can show shows there.
        for layout in checks:
            pairing.run(layout, is_candidate_first=True)
        return {"kind": "", "reason": "", "speedup": math.exp(statistics.median(b.log_ratio for b in blocks[1:]))}
    except CandidateFailed as failed:
        verdict = failure_of(failed)
        return {"kind": str(verdict.failure_kind), "reason": verdict.reason, "speedup": 0.0}


def _start(folder: Path, target: str, *, is_candidate: bool) -> WorkerProcess:
    program = Program(
        argv=[sys.executable], cwd=str(folder), environment=dict(os.environ), target=target, program=[], arguments={}
    )
    return process.start(program, owns_orphans=is_candidate)


if __name__ == "__main__":
    main()
