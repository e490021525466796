"""The names of the studies in a history, with and without those that a comparison of methods runs."""

from __future__ import annotations

from tunesmith.history.queries.stored_trials import Query

COMPARISON = "compare"
"""Sender of the commands that `tunesmith compare` gives to the studies of a comparison."""

_COMPARED = """
    select distinct studies.name from events join studies on studies.id = events.study_id
    where events.kind = 'order' and json_extract(events.detail, '$.by') = ?
"""


def study_names(query: Query) -> list[str]:
    """Return the names of all studies, the latest first."""
    return [row["name"] for row in query("select name from studies order by created_at desc, id desc")]


def listed_names(query: Query) -> list[str]:
    """Return the names of the studies that people started, the latest first; those of a comparison are left out."""
    compared = {row["name"] for row in query(_COMPARED, [COMPARISON])}
    return [name for name in study_names(query) if name not in compared]
