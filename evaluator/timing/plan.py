"""What goes to the judge's process, and the verdict that comes back; both are JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.evaluator.timing.worker.process import Program

Case = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One measurement.

    Attributes:
        reference: what is the measure; runs from a copy of the user's own files, and a second time to make the inputs.
        candidate: what is judged.
        build: the words of a command that runs before the reference does, in its folder; empty for none.
        inputs: the function that makes them, FILE.py:NAME; "" for none.
        cases: what is timed; each is the keyword arguments of `inputs`.
        checks: what is compared, and not timed.
        tolerance: largest relative difference, by the name of a type; those left out have the default.
        pairs: number of pairs of calls for each case, of all launches together; even.
        launches: number of times that both sides are started anew.
        warmup: calls of each side before the clock counts, in each launch.
        is_cold: whether the caches are emptied before each call.
        flops: the operations of one call: a formula over a case's values; "" for unknown.
        bytes: the same for the bytes that it must move.
        peak_flops: operations per second of this machine; None to measure.
        peak_bytes: bytes per second of this machine; None to measure.
        owns_orphans: whether the candidate runs without the sandbox, so that its orphans come to the judge.
        verdict_file: where the verdict goes.
        report_file: where the metrics go.
    """

    reference: Program
    candidate: Program
    build: Sequence[str]
    inputs: str
    cases: Sequence[Case]
    checks: Sequence[Case]
    tolerance: Mapping[str, float]
    pairs: int
    launches: int
    warmup: int
    is_cold: bool
    flops: str
    bytes: str
    peak_flops: float | None
    peak_bytes: float | None
    owns_orphans: bool
    verdict_file: str
    report_file: str

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Plan:
        """Return what was written."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        for name in ("reference", "candidate"):
            fields[name] = Program(**fields[name])
        return Plan(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the judge found.

    Attributes:
        values: the metrics.
        failure_kind: a value of FailureKind; "" for a measurement that counts.
        reason: why it failed.
        tail: the end of a traceback.
        note: what is odd about a measurement that counts.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    failure_kind: str = ""
    reason: str = ""
    tail: str = ""
    note: str = ""

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Verdict | None:
        """Return what was written, None if the judge did not come that far."""
        try:
            return Verdict(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
