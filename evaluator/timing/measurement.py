"""Launches candidate and reference several times, times them in pairs, and says what the pairs show.

A block is two pairs in mirrored order (reference, candidate, candidate, reference), so that a drift of the machine's
speed cancels out. Of more blocks than needed the quietest are used, judged by the reference's times only.
"""

from __future__ import annotations

import math
import secrets
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunesmith.evaluator.timing.ceilings import cold_caches
from tunesmith.evaluator.timing.comparison import TOLERANCES, Tolerance
from tunesmith.evaluator.timing.intervals import Interval, interval, interval_of_blocks, launch_value
from tunesmith.evaluator.timing.pairing import (
    CandidateFailed,
    Layout,
    OutsideTime,
    Pair,
    Pairing,
    ReferenceFailed,
    plan_layout,
)
from tunesmith.evaluator.timing.plan import Plan
from tunesmith.evaluator.timing.worker import process
from tunesmith.evaluator.timing.worker.process import Program, WorkerFailed, WorkerProcess

QUIET = 0.1
"""Largest logarithm of the ratio of a block's two times of the reference for the block to count as undisturbed."""
EXTRA_BLOCKS = 0.5
"""Share of further blocks that may replace disturbed ones."""
WIDE = 0.05
"""Half width of the interval from which there are more launches, and the result is called noisy if it stays."""
MORE_LAUNCHES = 2
"""How many times as many launches there are at most."""
CLEARLY_SLOWER = 0.7
"""Speed-up after the first launch below which no further launch is made: nothing depends on its last digits."""
MIN_BLOCKS = 3
"""Number of blocks of one launch from which their spread says anything."""
DRIFT = 0.2
"""Logarithm of the ratio of the reference's slowest and fastest launch from which the machine's clock is in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Two pairs in mirrored order."""

    pairs: tuple[Pair, Pair]

    @property
    def log_ratio(self) -> float:
        """Logarithm of reference by candidate."""
        return sum(math.log(pair.reference_s / pair.candidate_s) for pair in self.pairs) / 2

    @property
    def disturbance(self) -> float:
        """How much the reference's two times differ, as a logarithm."""
        first, second = self.pairs
        return abs(math.log(first.reference_s / second.reference_s))


@dataclass(slots=True)
class Measurement:
    """What was measured.

    Attributes:
        layouts: of the cases.
        blocks: of each launch, of each case.
        outside: seconds outside of the timed calls, of each launch; only for values on a device.
        difference: largest relative difference of any two results.
        disturbed: number of blocks that were disturbed, and in use.
        device_peaks: what the reference measured of its device; empty without one, or where it is not asked for.
    """

    layouts: Sequence[Layout] = ()
    blocks: list[list[list[Block]]] = field(default_factory=list)
    outside: list[OutsideTime] = field(default_factory=list)
    difference: float = 0.0
    disturbed: int = 0
    device_peaks: Mapping[str, float] = field(default_factory=dict)

    @property
    def log_ratios(self) -> list[list[float]]:
        """The logarithm of the ratio, by launch and case."""
        return [[launch_value([b.log_ratio for b in case]) for case in launch] for launch in self.blocks]

    @property
    def interval(self) -> Interval:
        """The speed-up over all cases."""
        return self._interval(slice(None))

    @property
    def is_clearly_slower(self) -> bool:
        """Whether one launch shows that the candidate is far behind; never with blocks too few to have a spread."""
        blocks = len(self.blocks[0][0])
        return len(self.blocks) == 1 and blocks >= MIN_BLOCKS and self.interval.high < CLEARLY_SLOWER

    def interval_of_case(self, index: int) -> Interval:
        """The speed-up of one case."""
        return self._interval(slice(index, index + 1))

    def _interval(self, cases: slice) -> Interval:
        if len(self.blocks) > 1:
            return interval(np.asarray(self.log_ratios)[:, cases])
        chosen = self.blocks[0][cases]
        together = [statistics.fmean(block.log_ratio for block in blocks) for blocks in zip(*chosen, strict=True)]
        return interval_of_blocks(together)

    def seconds(self, index: int, side: Callable[[Pair], float]) -> float:
        """Return the median time of a call in one case, over all launches."""
        return statistics.median(side(p) for launch in self.blocks for block in launch[index] for p in block.pairs)

    def fastest_s(self, index: int) -> float:
        """Return the median time of the candidate's calls in its fastest launch."""
        return min(
            statistics.median(p.candidate_s for block in launch[index] for p in block.pairs) for launch in self.blocks
        )

    @property
    def drift(self) -> float:
        """How much the reference's speed differed between launches, as a logarithm."""
        by_case = zip(*self.blocks, strict=True)
        medians = [[statistics.median(p.reference_s for b in c for p in b.pairs) for c in case] for case in by_case]
        return max((math.log(max(found) / min(found)) for found in medians), default=0.0)


def measure(plan: Plan) -> Measurement:
    """Time a candidate.

    Raises:
        CandidateFailed: it raised, or a result is wrong.
        ReferenceFailed: the user's own code failed.
        NotStopped: a process does not stop.
    """
    maker = process.start(plan.reference, owns_orphans=False)
    try:
        return _Launches(plan, maker).run()
    finally:
        maker.end()


class _Launches:
    def __init__(self, plan: Plan, maker: WorkerProcess) -> None:
        self._plan, self._maker = plan, maker
        is_program = bool(plan.candidate.program)
        self._tolerance = Tolerance(by_type={**TOLERANCES, **plan.tolerance}, is_text=is_program)
        self._before_call = cold_caches() if plan.is_cold else _nothing
        self._found = Measurement()
        self._checks: Sequence[Layout] = ()

    def run(self) -> Measurement:
        plan, found = self._plan, self._found
        self._prepare()
        for number in range(plan.launches * MORE_LAUNCHES):
            if number >= plan.launches and (plan.launches < 2 or found.interval.half_width < WIDE):
                break
            self._launch()
            if number == 0 and found.is_clearly_slower:
                break
        return found

    def _prepare(self) -> None:
        """Load the user's own code, and make the first inputs to see how large they and their results are."""
        maker, plan = self._maker, self._plan
        is_single = plan.is_cold or bool(plan.candidate.program)
        try:
            self._build()
            maker.load()
            maker.ask("prepare_inputs", target=plan.inputs)
            self._found.layouts = [plan_layout(maker, case, is_single=is_single) for case in plan.cases]
            self._checks = [plan_layout(maker, case, is_single=True) for case in plan.checks]
            if (plan.flops or plan.bytes) and any(layout.device for layout in self._found.layouts):
                self._found.device_peaks = dict(maker.ask("device_peaks").values)
        except WorkerFailed as problem:
            raise ReferenceFailed(f"the reference, or the function of `inputs`, failed: {problem.text}") from None
        maker.share(self._shared_bytes)

    def _build(self) -> None:
        """Run the study's command for the reference, as it ran for the candidate.

        Raises:
            ReferenceFailed: it fails.
        """
        plan = self._plan
        if plan.build:
            done = subprocess.run(
                plan.build, cwd=plan.reference.cwd, env=dict(plan.reference.environment), stdin=subprocess.DEVNULL
            )
            if done.returncode:
                raise ReferenceFailed(f"[run].command failed for the reference: exit status {done.returncode}")

    @property
    def _shared_bytes(self) -> int:
        return max(layout.size for layout in (*self._found.layouts, *self._checks))

    def _launch(self) -> None:
        """Start both sides anew, check and warm up, and time all cases."""
        plan, found = self._plan, self._found
        reference = self._start(plan.reference, is_candidate=False)
        try:
            candidate = self._start(plan.candidate, is_candidate=True)
            try:
                pairing = Pairing(self._maker, reference, candidate, self._tolerance, self._before_call)
                for layout in (*self._checks, *[layout for layout in found.layouts for _ in range(plan.warmup)]):
                    self._note(pairing.run(layout, is_candidate_first=secrets.randbits(1) == 1))
                pairing.outside = OutsideTime()
                found.blocks.append([self._time_case(pairing, layout) for layout in found.layouts])
                found.outside.append(pairing.outside)
            finally:
                candidate.end()
        finally:
            reference.end()

    def _start(self, program: Program, *, is_candidate: bool) -> WorkerProcess:
        worker = process.start(program, owns_orphans=is_candidate and self._plan.owns_orphans)
        try:
            worker.share(self._shared_bytes)
            worker.load()
        except WorkerFailed as problem:
            worker.end()
            if is_candidate:
                raise CandidateFailed(problem, "") from None
            raise ReferenceFailed(f"the reference failed: {problem.text}") from None
        except BaseException:
            worker.end()
            raise
        return worker

    def _time_case(self, pairing: Pairing, layout: Layout) -> list[Block]:
        wanted = max(1, math.ceil(self._plan.pairs / 2 / self._plan.launches))
        blocks: list[Block] = []
        most = wanted + math.ceil(EXTRA_BLOCKS * wanted)
        while len(blocks) < wanted or (len(blocks) < most and _quiet(blocks) < wanted):
            is_candidate_first = secrets.randbits(1) == 1
            first = pairing.run(layout, is_candidate_first=is_candidate_first)
            second = pairing.run(layout, is_candidate_first=not is_candidate_first)
            self._note(first)
            self._note(second)
            blocks.append(Block(pairs=(first, second)))
        kept = sorted(blocks, key=lambda block: block.disturbance)[:wanted]
        self._found.disturbed += wanted - _quiet(kept)
        return kept

    def _note(self, pair: Pair) -> None:
        self._found.difference = max(self._found.difference, pair.difference)


def _quiet(blocks: Sequence[Block]) -> int:
    return sum(block.disturbance <= QUIET for block in blocks)


def _nothing() -> None:
    """Leave the caches as they are."""
