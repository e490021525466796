"""Counts of a study's trials by state, failure and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.history.queries.stored_trials import Query
from tunesmith.study.trials.trial import Trial, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCounts:
    """Number of trials by state, by kind of failure and by source. Only `replicates` counts replicates.

    Attributes:
        set_aside: trials that count nowhere else: failures of the study itself, and forgotten trials.
        forgotten: those of them that were forgotten.
    """

    states: Mapping[TrialState, int]
    failures: Mapping[str, int]
    sources: Mapping[str, int]
    replicates: int
    set_aside: int = 0
    forgotten: int = 0


def trial_counts(query: Query, study_id: int, set_aside: Sequence[Trial]) -> TrialCounts:
    """Return the number of trials by state, failure and source; `set_aside` are those that count nowhere."""
    rows = list(
        query(
            """
            select state, coalesce(failure_kind, '') as kind, source, replicate_of is not null as replicate,
                count(*) as count
            from trials where study_id = ? group by 1, 2, 3, 4
            """,
            [study_id],
        )
    )
    own = [row for row in rows if not row["replicate"]]
    own += [_uncounted_row(trial) for trial in set_aside]
    return TrialCounts(
        states={TrialState(k): v for k, v in _sums(own, "state").items()},
        failures=_sums([row for row in own if row["kind"]], "kind"),
        sources=_sums(own, "source"),
        replicates=sum(row["count"] for row in rows if row["replicate"]),
        set_aside=len(set_aside),
        forgotten=sum(trial.forgotten for trial in set_aside),
    )


def _sums(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[column]] = sums.get(row[column], 0) + row["count"]
    return {name: count for name, count in sums.items() if count}


def _uncounted_row(trial: Trial) -> dict[str, Any]:
    """Return a row that takes a trial out of the counts."""
    kind = trial.failure.kind.value if trial.failure else ""
    return {"state": trial.state.value, "kind": kind, "source": trial.proposal.source.value, "count": -1}
