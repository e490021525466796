"""Says at the start of a run which of the project's files changed since earlier trials ran."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.evaluator.files.snapshot import Snapshot
from tunesmith.evaluator.files.snapshot_changes import snapshot_changes
from tunesmith.study.trials.trial import Source, Trial


def changed_files_text(trials: Sequence[Trial], now: Snapshot) -> str:
    """Return what changed since the last finished trial, for people; "" where nothing did that a run could read."""
    ran = (t for t in reversed(trials) if t.state.is_finished and t.proposal.source is not Source.IMPORT)
    earlier = next((t.proposal.variant for t in ran if not t.proposal.code), now.variant)
    changed = snapshot_changes(now, earlier) if earlier != now.variant else None
    return f"files changed since the last run, and earlier trials ran with the old ones: {changed}" if changed else ""
