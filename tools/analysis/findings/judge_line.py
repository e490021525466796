"""What labels show of a study's judge of texts, in one line that goes with every value. Reads events only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tunesmith.study.config.record import Event
from tunesmith.study.units import short_seconds

PROOF_EVENT = "judge_proof"
"""Kind of the event that keeps what labelled examples show of a judge: model, text, labels, kappa, low, high."""

OUTAGE_EVENT = "judge_outage"
"""Kind of the event that says why the judge gives no answer ("" once it does), since when, and when it is asked."""


def judge_line(events: Iterable[Event]) -> str:
    """Return who judged, and how far it agrees with people; "" for a study without a judge of texts."""
    found = [event for event in events if event.kind == PROOF_EVENT]
    return f"Judged by {found[-1].detail['model']}: {found[-1].detail['text']}" if found else ""


def judge_outage(events: Iterable[Event]) -> dict[str, Any] | None:
    """Return why the judge gives no answer, since when and when it is asked next; None while it answers."""
    found = [event for event in events if event.kind == OUTAGE_EVENT]
    return dict(found[-1].detail) if found and found[-1].detail["reason"] else None


def judge_outage_line(events: Iterable[Event], *, ended_by: str, has_process: bool, now: float) -> str:
    """Return that trials wait for a judge that gives no answer; "" while it answers, and for a study that has ended.

    Args:
        events: of the study.
        ended_by: what ended the study's last run; "" while it runs or if it died.
        has_process: whether a process runs the study now.
        now: seconds since the epoch.
    """
    found = judge_outage(events)
    if found is None or ended_by not in ("", "interrupted"):
        return ""
    if not has_process:
        return f"the judge gave no answer when the study last ran, so trials wait for it: {found['reason']}"
    left, since = found["next"] - now, short_seconds(max(now - found["since"], 0.0))
    again = f"it is asked again in {short_seconds(left)}" if left >= 1 else "it is being asked again"
    return f"the judge has given no answer for {since}, so trials wait for it: {found['reason']}; {again}"
