"""[metrics] of study.toml: how a metric is found where its name does not do, and which of its values counts."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from tunesmith.study.config.line_pattern import LinePattern
from tunesmith.study.config.tables.field_types import Table, Text, as_list, metric_source

_MEAN = re.compile(r"mean-of-last-([1-9]\d{0,3})")


def _take(text: str) -> str:
    if text not in ("last", "best") and not _MEAN.fullmatch(text):
        raise ValueError("not a way to take a value")
    return text


def _pattern(text: str) -> str:
    LinePattern(text)
    return text


class MetricTable(Table):
    """One entry of [metrics]."""

    regex: Annotated[Text, AfterValidator(_pattern)] | None = Field(
        None,
        description="a regular expression with a group for the number, for example 'error (\\S+)', without "
        "references and lookaround",
    )
    sources: Annotated[
        list[Annotated[Text, AfterValidator(metric_source)]], BeforeValidator(as_list), Field(min_length=1)
    ] = Field(
        default_factory=list,
        alias="from",
        description='"stdout", "stderr" or a file as in [run].metrics_from, or a list of them',
    )
    take: Annotated[Text, AfterValidator(_take)] = Field(
        "last", description='"last", "best", or "mean-of-last-5" with another number'
    )

    @property
    def is_best(self) -> bool:
        """Whether the best of a trial's values counts."""
        return self.take == "best"

    @property
    def mean_of(self) -> int:
        """Number of last values whose mean counts; 1 for the last one."""
        found = _MEAN.fullmatch(self.take)
        return int(found[1]) if found else 1

    @property
    def text(self) -> str:
        """What counts, for people; "" for the last value."""
        if self.is_best:
            return "the best value of each trial"
        return "" if self.mean_of == 1 else f"the mean of each trial's last {self.mean_of} values"
