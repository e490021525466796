"""Reads from a history what its studies ask of instances: which there are, and the metric that is aggregated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.view import Objective

Question = tuple[InstanceSet, Objective]


class InstanceQuestions:
    """What each study of a history file asks of instances. A stored spec is parsed once, until it changes.

    Args:
        query: runs a query and returns rows by column.
    """

    def __init__(self, query: Callable[[str, Sequence[Any]], Iterator[Mapping[str, Any]]]) -> None:
        self._query = query
        self._known: dict[int, tuple[str, Question]] = {}

    def of(self, study_id: int) -> Question | None:
        """Return a study's instances and its first objective; None for a study without [instances]."""
        sql = "select spec from studies where id = ? and json_extract(spec, '$.instances') is not null"
        row = next(self._query(sql, [study_id]), None)
        if row is None:
            return None
        text: str = row["spec"]
        if study_id not in self._known or self._known[study_id][0] != text:
            spec = parse_spec(json.loads(text), where="the stored study")
            assert spec.instance_set is not None  # noqa: S101  # the query asked for it
            self._known[study_id] = (text, (spec.instance_set, spec.objectives[0]))
        return self._known[study_id][1]
