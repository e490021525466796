"""Trials without secrets: every text that a script, a model or a provider may have put a key into is redacted.

Done once, before a trial is stored or shown, so that a terminal, a webhook and the history read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from tunesmith.history.redact import redact
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal


@lru_cache(maxsize=4096)
def redact_name(name: str) -> str:
    """Return the name of a metric without secrets; a script may name one after anything."""
    return redact(name)


def redact_observations(observations: Sequence[Observation]) -> list[Observation]:
    """Return what a trial reported, with redacted names."""
    return [o if (name := redact_name(o.metric)) == o.metric else replace(o, metric=name) for o in observations]


def redact_outcome(outcome: Outcome) -> Outcome:
    """Return an outcome with redacted names of metrics, reason, log and note."""
    failure = outcome.failure
    return replace(
        outcome,
        values={redact_name(name): value for name, value in outcome.values.items()},
        failure=replace(failure, reason=redact(failure.reason), tail=redact(failure.tail)) if failure else None,
        note=redact(outcome.note),
    )


def redact_proposal(proposal: Proposal) -> Proposal:
    """Return a proposal whose reasons, which a model or a provider's error wrote, are redacted."""
    return replace(
        proposal,
        rationale=redact(proposal.rationale),
        fallback_reason=redact(proposal.fallback_reason),
        considered=tuple(map(redact, proposal.considered)),
    )
