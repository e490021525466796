"""The proposal that resumes an earlier configuration with more epochs, as a new trial whose parent is the earlier one.

Whether the script loads a checkpoint of its parent or starts again is up to the script.
"""

from __future__ import annotations

from dataclasses import replace

from tunesmith.study.trials.trial import Proposal, Source, Trial


def promote(trial: Trial, fidelity: float | None, rationale: str) -> Proposal:
    """Return the proposal that resumes `trial` up to `fidelity`; None for the full length."""
    source = Source.SAMPLER if trial.proposal.source is Source.FALLBACK else trial.proposal.source
    return replace(
        trial.proposal,
        fidelity=fidelity,
        source=source,
        rationale=rationale,
        fallback_reason="",
        considered=(),
        parent=trial.number,
    )
