"""Reads from a history what its studies ask of instances: which there are, since when, and what is aggregated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.tables.instances import InstancesTable
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective

_CHANGES = """
    select at, json_extract(detail, '$.spec.instances') as instances from events
    where study_id = ? and kind = 'spec' order by id
"""


@dataclass(frozen=True, slots=True)
class InstanceQuestion:
    """What a study asks of instances.

    Attributes:
        instances: those that it has now.
        objective: what is aggregated over them.
        since: when an instance got the columns that it has now, for those that had others before.
    """

    instances: InstanceSet
    objective: Objective
    since: Mapping[str, float] = field(default_factory=dict)

    def applied_to(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials with what each configuration came to over the instances."""
        return with_instances(trials, self.instances, self.objective, self.since)


class InstanceQuestions:
    """What each study of a history file asks of instances. A stored spec is parsed once, until it changes.

    Args:
        query: runs a query and returns rows by column.
    """

    def __init__(self, query: Callable[[str, Sequence[Any]], Iterator[Mapping[str, Any]]]) -> None:
        self._query = query
        self._known: dict[int, tuple[str, InstanceQuestion]] = {}
        self._had_some: dict[int, bool] = {}

    def of(self, study_id: int) -> InstanceQuestion | None:
        """Return what a study asks of instances; None for a study without [instances]."""
        sql = "select spec from studies where id = ? and json_extract(spec, '$.instances') is not null"
        row = next(self._query(sql, [study_id]), None)
        if row is None:
            return None
        self._had_some.pop(study_id, None)
        text: str = row["spec"]
        if study_id not in self._known or self._known[study_id][0] != text:
            spec = parse_spec(json.loads(text), where="the stored study")
            assert spec.instance_set is not None  # noqa: S101  # the query asked for it
            assert spec.instances is not None  # noqa: S101  # likewise
            since = self._since(study_id, spec.instances.rows)
            self._known[study_id] = (text, InstanceQuestion(spec.instance_set, spec.objectives[0], since))
        return self._known[study_id][1]

    def had_some(self, study_id: int) -> bool:
        """Return whether trials of a study without [instances] ran on instances, when it had them."""
        if study_id not in self._had_some:
            sql = "select 1 as found from trials where study_id = ? and instance != '' limit 1"
            self._had_some[study_id] = next(self._query(sql, [study_id]), None) is not None
        return self._had_some[study_id]

    def _since(self, study_id: int, rows: Mapping[str, Mapping[str, Value]]) -> dict[str, float]:
        """Return when each instance that had other values in its columns before got the present ones."""
        since: dict[str, float] = {}
        for change in self._query(_CHANGES, [study_id]):
            earlier = InstancesTable.model_validate(json.loads(change["instances"] or "{}")).rows
            for name in rows.keys() & earlier.keys():
                if _is_same(rows[name], earlier[name]):
                    if since.get(name) == float("inf"):
                        since[name] = change["at"]
                else:
                    since[name] = float("inf")
        return since


def _is_same(now: Mapping[str, Value], before: Mapping[str, Value]) -> bool:
    """Return whether an instance is the same; a column that was added or removed does not make it another."""
    return all(now[column] == before[column] for column in now.keys() & before.keys())
