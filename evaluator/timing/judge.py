"""Judges one candidate: measures it and turns what was found into metrics, or into a failure with its reason.

    python -m tunesmith.evaluator.timing.judge PLAN

Runs as a process of its trial, outside of the sandbox, and starts the candidate in it. Nothing that the candidate
writes is run or unpickled here: its results are bytes (comparison.py), and its replies are short JSON.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from tunesmith.evaluator.out_of_memory import find_out_of_memory
from tunesmith.evaluator.supervision.process_control import adopt_orphans
from tunesmith.evaluator.timing.ceilings import BYTES_MARGIN, FLOPS_MARGIN, measured_peaks
from tunesmith.evaluator.timing.measurement import DRIFT, WIDE, Measurement, measure
from tunesmith.evaluator.timing.pairing import CandidateFailed, Layout, ReferenceFailed
from tunesmith.evaluator.timing.plan import Plan, Verdict
from tunesmith.evaluator.timing.shared_values import Different
from tunesmith.evaluator.timing.worker.freezing import NotStopped
from tunesmith.study.config.tables.timing import case_label
from tunesmith.study.space.rules.expression import ExpressionError, parse
from tunesmith.study.trials.trial import FailureKind

OUTSIDE_SHARE = 0.2
"""Part of its calls' time by which a candidate may take longer outside of them than the reference, on a device."""
OUTSIDE_FACTOR = 1.5


def main() -> None:
    """Judge what a plan says; write the metrics and the verdict."""
    plan = Plan.read(Path(sys.argv[1]))
    # What the candidate leaves behind comes to this process, which stops and ends it.
    adopt_orphans()
    verdict = judge(plan)
    if verdict.values:
        with open(plan.report_file, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": None, "values": dict(verdict.values)}) + "\n")
    verdict.write(Path(plan.verdict_file))
    sys.stdout.write(f"{verdict.reason or verdict.note or 'measured'}\n")


def judge(plan: Plan) -> Verdict:
    """Return what a measurement shows; a failure has its kind and reason in it."""
    try:
        found = measure(plan)
    except CandidateFailed as failed:
        return failure_of(failed)
    except ReferenceFailed as failed:
        return Verdict(failure_kind=FailureKind.CRASH, reason=str(failed))
    except NotStopped as failed:
        return Verdict(failure_kind=FailureKind.KILLED, reason=f"{failed}, so that its time cannot be measured")
    too_fast = impossible(plan, found) or outside_calls(found)
    if too_fast:
        return Verdict(failure_kind=FailureKind.TAMPERED, reason=too_fast)
    return Verdict(values=metrics(found), note=remarks(plan, found))


def metrics(found: Measurement) -> dict[str, float]:
    """Return the metrics of a measurement that counts."""
    whole = found.interval
    cases = range(len(found.layouts))
    values = {
        "speedup": whole.value,
        "speedup_low": whole.low,
        "speedup_high": whole.high,
        "seconds": statistics.geometric_mean(found.seconds(i, lambda pair: pair.candidate_s) for i in cases),
        "reference_seconds": statistics.geometric_mean(found.seconds(i, lambda pair: pair.reference_s) for i in cases),
        "difference": found.difference,
    }
    if len(cases) > 1:
        values |= {f"speedup/{case_label(found.layouts[i].values)}": found.interval_of_case(i).value for i in cases}
    return values


def remarks(plan: Plan, found: Measurement) -> str:
    """Return what makes a measurement less certain than it looks; "" for nothing."""
    whole, parts = found.interval, []
    if any(layout.is_empty for layout in found.layouts):
        parts.append("the reference gives an empty result, so nothing was compared")
    if whole.half_width > WIDE and len(found.blocks) > 1:
        parts.append(f"noisy: between {whole.low:.3g} and {whole.high:.3g}")
    if found.drift > DRIFT:
        parts.append(f"the machine's speed changed: the reference's own time differed by {math.expm1(found.drift):.0%}")
    if len(found.blocks) == 1 and plan.launches > 1:
        parts.append("clearly slower than the reference after one launch; not measured further")
    return "; ".join(parts)


def impossible(plan: Plan, found: Measurement) -> str:
    """Return why a candidate is faster than this machine can be, "" if it is not."""
    if not (plan.flops or plan.bytes):
        return ""
    for index, layout in enumerate(found.layouts):
        seconds = found.fastest_s(index)
        for unit, formula, limit in _limits(plan, found, layout):
            amount = _amount(formula, layout)
            if amount / seconds > limit:
                return (
                    f"a call took {_duration(seconds)} for {amount:.3g} {unit} ({layout.label or 'one case'}), which "
                    f"is {amount / seconds:.3g} a second; this machine reaches {limit:.3g} at most: work was left out"
                )
    return ""


def outside_calls(found: Measurement) -> str:
    """Return that a candidate works outside of its timed calls, where values lie on a device; "" if it does not."""
    for outside in found.outside:
        if not outside.candidate:
            continue
        call_s = statistics.median(outside.candidate["in"])
        for name, where in (("before", "before"), ("after", "after")):
            mine, theirs = (statistics.median(side[name]) for side in (outside.reference, outside.candidate))
            if theirs > OUTSIDE_FACTOR * mine + OUTSIDE_SHARE * call_s:
                return (
                    f"it works outside of its timed calls: {_duration(theirs)} {where} a call of {_duration(call_s)}, "
                    f"where the reference takes {_duration(mine)}; results must be ready when the function returns"
                )
    return ""


def _limits(plan: Plan, found: Measurement, layout: Layout) -> list[tuple[str, str, float]]:
    device = found.device_peaks if layout.device else {}
    limits = []
    if plan.flops:
        measured = FLOPS_MARGIN * device["flops"] if device else None
        limits.append(("operations", plan.flops, plan.peak_flops or measured or measured_peaks().flops))
    if plan.bytes:
        measured = BYTES_MARGIN * device["bytes"] if device else None
        own = measured or measured_peaks().bytes_per_second(_amount(plan.bytes, layout))
        limits.append(("bytes", plan.bytes, plan.peak_bytes or own))
    return limits


def _amount(formula: str, layout: Layout) -> float:
    try:
        return float(parse(formula).value(layout.values) or 0.0)
    except (ExpressionError, TypeError, ValueError):
        return 0.0


def failure_of(failed: CandidateFailed) -> Verdict:
    """Return the verdict on a candidate that raised, ended, or returned something else than the reference."""
    problem, where = failed.problem, f" ({failed.case})" if failed.case else ""
    if isinstance(problem, Different):
        return Verdict(failure_kind=FailureKind.WRONG, reason=f"{problem}{where}")
    memory = find_out_of_memory(problem.trace or problem.text)
    kinds: Mapping[str, FailureKind] = {
        "raised": FailureKind.CRASH,
        "ended": FailureKind.CRASH,
        "late": FailureKind.TIMEOUT,
        "garbled": FailureKind.TAMPERED,
    }
    kind = FailureKind.OOM if memory or problem.text.endswith("SIGKILL") else kinds[problem.kind]
    return Verdict(failure_kind=kind, reason=f"{problem.text}{where}", tail=problem.trace)


def _duration(seconds: float) -> str:
    """Return a short time with three digits: 4.21 s, 12.3 ms, 870 us."""
    unit, factor = next(((u, f) for u, f in (("s", 1.0), ("ms", 1e3)) if seconds * f >= 1), ("us", 1e6))
    return f"{seconds * factor:.3g} {unit}"


if __name__ == "__main__":
    main()
