"""What labels show of a study's judge of texts, in one line that goes with every value. Reads events only."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.config.record import Event

PROOF_EVENT = "judge_proof"
"""Kind of the event that keeps what labelled examples show of a judge: model, text, labels, kappa, low, high."""


def judge_line(events: Iterable[Event]) -> str:
    """Return who judged, and how far it agrees with people; "" for a study without a judge of texts."""
    found = [event for event in events if event.kind == PROOF_EVENT]
    return f"Judged by {found[-1].detail['model']}: {found[-1].detail['text']}" if found else ""
