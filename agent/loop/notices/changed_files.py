"""Says at the start of a run which of the project's files changed since earlier trials ran."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from tunesmith.evaluator.files.snapshot import Snapshot
from tunesmith.evaluator.files.snapshot_changes import RunTimes, Span, snapshot_changes
from tunesmith.history.read import History
from tunesmith.study.trials.trial import Source, Trial


def changed_files_text(trials: Sequence[Trial], now: Snapshot, history: History, study_id: int) -> str:
    """Return what changed since the last finished trial, for people; "" where nothing did that a run could read."""
    own = [t for t in trials if t.proposal.source is not Source.IMPORT]
    ran = [t for t in own if t.state.is_finished and not t.proposal.code]
    if not ran or ran[-1].proposal.variant == now.variant:
        return ""
    spans = [(t.started_at, t.ended_at) for t in own if t.started_at is not None and t.ended_at is not None]
    times = RunTimes(spans, list(_run_spans(history, study_id)))
    changed = snapshot_changes(now, ran[-1].proposal.variant, first=ran[0].proposal.variant, times=times)
    return f"files changed since the last run, and earlier trials ran with the old ones: {changed}" if changed else ""


def _run_spans(history: History, study_id: int) -> Iterator[Span]:
    """Yield start and end of each earlier run; one that was killed ends when the next starts."""
    opened = [event.at for event in history.events(study_id, "opened")]
    ended = [event.at for event in history.events(study_id, "ended")]
    for start, following in itertools.pairwise(opened):
        yield start, next((end for end in ended if start <= end <= following), following)
