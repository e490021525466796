"""Calls candidate and reference in turn on the same fresh inputs, and compares each result. Decides nothing.

Both sides get their inputs the same way and at the same moment before their call, and both are stopped outside of it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.evaluator.timing.comparison import Tolerance, largest_difference
from tunesmith.evaluator.timing.shared_values import Different, Place
from tunesmith.evaluator.timing.worker.process import WorkerFailed, WorkerProcess

TARGET_S = 0.01
"""Shortest time of a timed exchange: shorter calls are made several times in it, each on its own input."""
MAX_COUNT = 256
MAX_SHARED_BYTES = 2**26
"""Bytes of inputs and results of one exchange, unless a single call has more."""
MAX_COMPARED_BYTES = 2**24
MAX_COMPARED = 16
"""Bytes and number of results that are compared after an exchange; of more, a random part that nobody knows before."""
SLACK = 1.25
"""How much larger than the largest of the first inputs and results a later one may be."""
SIZED_INPUTS = 3
_MARGIN = 4096
_LATE_FACTOR, _LATE_S = 100.0, 30.0
"""A call of the candidate may take this many times as long as the reference's, and this many seconds."""


class CandidateFailed(Exception):
    """The candidate failed at a case.

    Attributes:
        problem: how.
        case: the case in words.
    """

    def __init__(self, problem: WorkerFailed | Different, case: str) -> None:
        super().__init__(f"{problem} ({case})")
        self.problem, self.case = problem, case


class ReferenceFailed(Exception):
    """The reference, or what makes the inputs, failed: the user's own code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where inputs and results lie in a worker's memory, for one case.

    Attributes:
        values: the case.
        count: calls in one exchange.
        stride: bytes for one input.
        room: bytes for one result.
        seconds: of one call of the reference, roughly.
        device: where tensors lie; "" for the host.
        is_empty: whether the reference's results were empty bytes, so that there is nothing to compare.
    """

    values: Mapping[str, Any]
    count: int
    stride: int
    room: int
    seconds: float
    device: str
    is_empty: bool = False

    @property
    def out(self) -> int:
        """First byte of the results."""
        return self.count * self.stride

    @property
    def size(self) -> int:
        """All bytes."""
        return self.count * (self.stride + self.room)

    @property
    def label(self) -> str:
        """The case in words: "n = 256"."""
        return ", ".join(f"{name} = {value}" for name, value in self.values.items())

    @property
    def request(self) -> dict[str, int]:
        """What a worker must know of it."""
        return {"count": self.count, "stride": self.stride, "room": self.room, "out": self.out}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One exchange with each side.

    Attributes:
        reference_s: seconds of one call of the reference.
        candidate_s: seconds of one call of the candidate.
        difference: largest relative difference of the results.
    """

    reference_s: float
    candidate_s: float
    difference: float


@dataclass(slots=True)
class OutsideTime:
    """Seconds that each side spent outside of its timed calls, on a device; by the name of the step."""

    reference: dict[str, list[float]] = field(default_factory=dict)
    candidate: dict[str, list[float]] = field(default_factory=dict)


def fresh_seed() -> int:
    """Return a seed that no code under test can know or guess."""
    return secrets.randbits(63)


def plan_layout(maker: WorkerProcess, case: Mapping[str, Any], *, is_single: bool) -> Layout:
    """Return the layout for a case, from some of its inputs and results.

    Args:
        maker: what makes inputs and has the reference's function.
        case: the case.
        is_single: whether an exchange is one call.

    Raises:
        WorkerFailed: the user's own code fails.
    """
    answers = [maker.ask("size", seed=fresh_seed(), case=dict(case)) for _ in range(SIZED_INPUTS)]
    stride, room = (_aligned(max(answer.values[key] for answer in answers)) for key in ("in", "out"))
    seconds = min(float(answer.values["seconds"]) for answer in answers)
    fitting = max(MAX_SHARED_BYTES // (stride + room), 1)
    count = 1 if is_single else max(1, min(math.ceil(TARGET_S / max(seconds, 1e-9)), MAX_COUNT, fitting))
    device = str(answers[0].values["device"])
    is_empty = all(bool(answer.values.get("is_empty")) for answer in answers)
    return Layout(values=case, count=count, stride=stride, room=room, seconds=seconds, device=device, is_empty=is_empty)


def _aligned(size: int) -> int:
    return -(-(int(size * SLACK) + _MARGIN) // 4096) * 4096


class Pairing:
    """Candidate and reference of one launch.

    Args:
        maker: makes the inputs.
        reference: one side.
        candidate: the other.
        tolerance: how far results may differ.
        before_call: called before each exchange, for example to empty the caches.
    """

    def __init__(
        self,
        maker: WorkerProcess,
        reference: WorkerProcess,
        candidate: WorkerProcess,
        tolerance: Tolerance,
        before_call: Callable[[], None],
    ) -> None:
        self._maker, self._reference, self._candidate = maker, reference, candidate
        self._tolerance, self._before_call = tolerance, before_call
        self.outside = OutsideTime()

    def run(self, layout: Layout, *, is_candidate_first: bool) -> Pair:
        """Call both on fresh inputs.

        Raises:
            CandidateFailed: it raised, or a result is wrong.
            ReferenceFailed: the user's own code failed.
        """
        inputs = self._make(layout)
        sides = (self._candidate, self._reference) if is_candidate_first else (self._reference, self._candidate)
        seconds: dict[int, float] = {}
        for side in sides:
            seconds[side.pid] = self._call(side, layout, inputs)
        difference = self._compare(layout, inputs)
        per_call = {pid: total / layout.count for pid, total in seconds.items()}
        return Pair(
            reference_s=per_call[self._reference.pid],
            candidate_s=per_call[self._candidate.pid],
            difference=difference,
        )

    def _make(self, layout: Layout) -> npt.NDArray[np.uint8]:
        seeds = [fresh_seed() for _ in range(layout.count)]
        try:
            self._maker.ask("make", seeds=seeds, case=dict(layout.values), stride=layout.stride)
        except WorkerFailed as problem:
            raise ReferenceFailed(f"the function of `inputs` failed: {problem.text}") from None
        return _bytes(self._maker, 0, layout.out).copy()

    def _call(self, side: WorkerProcess, layout: Layout, inputs: npt.NDArray[np.uint8]) -> float:
        is_candidate = side is self._candidate
        _bytes(side, 0, layout.out)[:] = inputs
        limit_s = _LATE_S + _LATE_FACTOR * layout.seconds * layout.count
        try:
            if not layout.device:
                self._before_call()
                return side.ask("call", timeout_s=limit_s, **layout.request).seconds
            staged = side.ask("stage", timeout_s=limit_s, **layout.request).seconds
            self._before_call()
            seconds = side.ask("call_staged", timeout_s=limit_s).seconds
            fetched = side.ask("fetch", timeout_s=limit_s, **layout.request).seconds
        except WorkerFailed as problem:
            if is_candidate:
                raise CandidateFailed(problem, layout.label) from None
            raise ReferenceFailed(f"the reference failed: {problem.text} ({layout.label})") from None
        outside = self.outside.candidate if is_candidate else self.outside.reference
        for name, value in {"before": staged, "in": seconds, "after": fetched}.items():
            outside.setdefault(name, []).append(value)
        return seconds

    def _compare(self, layout: Layout, inputs: npt.NDArray[np.uint8]) -> float:
        """Compare results, and what both sides left in their inputs: it is unchanged, or changed as by the reference.

        Raises:
            CandidateFailed: they differ.
        """
        mine, theirs = (_bytes(side, 0, layout.size) for side in (self._reference, self._candidate))
        worst = 0.0
        try:
            for index in _chosen(layout.count, layout.room):
                at = layout.out + index * layout.room
                places = [Place(memory, at, layout.room) for memory in (mine, theirs)]
                worst = max(worst, largest_difference(places[0], places[1], self._tolerance))
                worst = max(worst, self._compare_inputs(layout, index, inputs, (mine, theirs)))
        except Different as problem:
            raise CandidateFailed(problem, layout.label) from None
        return worst

    def _compare_inputs(
        self,
        layout: Layout,
        index: int,
        inputs: npt.NDArray[np.uint8],
        sides: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
    ) -> float:
        part = slice(index * layout.stride, (index + 1) * layout.stride)
        if np.array_equal(sides[0][part], sides[1][part]):
            return 0.0
        if np.array_equal(sides[0][part], inputs[part]):
            raise Different("it changed its inputs, which the reference leaves as they are")
        places = [Place(memory, part.start, layout.stride) for memory in sides]
        return largest_difference(places[0], places[1], self._tolerance)


def _chosen(count: int, room: int) -> Sequence[int]:
    """Return which results are compared: all, or a random part of many or large ones."""
    most = max(min(MAX_COMPARED, MAX_COMPARED_BYTES // room), 1)
    if most >= count:
        return range(count)
    return secrets.SystemRandom().sample(range(count), most)


def _bytes(side: WorkerProcess, begin: int, size: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(side.memory, dtype=np.uint8, count=size, offset=begin)
