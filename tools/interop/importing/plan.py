"""Plans the import of trials that ran elsewhere, as an earlier study that warm-starts this one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import relations_document, space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import INSTANCE
from tunesmith.study.formatting import count, one_line
from tunesmith.tools.interop.importing.fit import ImportedTrials, fit
from tunesmith.tools.interop.importing.imported_table import ImportedTable
from tunesmith.tools.interop.importing.mapping import ColumnMapping, map_columns
from tunesmith.tools.interop.importing.source import read_source

SHOWN_COLUMNS = 8
"""Number of unused columns that are listed."""
SHOWN_REASONS = 6
"""Number of reasons for skipped rows that are listed."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Attributes:
        source: a file, a folder, or the URL of a database.
        named: the study to import if the source holds several.
        columns: the columns that a person mapped, with the name of each.
    """

    source: str
    named: str | None
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would write.

    Attributes:
        name: of the imported study in the history.
        learner: the study that learns from it.
    """

    found: ImportedTable
    mapping: ColumnMapping
    imported: ImportedTrials
    name: str
    learner: StudySpec

    def lines(self, *, changed_by: str) -> list[str]:
        """Return which column is which parameter or metric, and what is left out.

        Args:
            changed_by: the option with which a person maps a column that was guessed.
        """
        instance = {INSTANCE: self.mapping.instance} if self.mapping.instance else {}
        pairs = {**self.mapping.parameters, **self.mapping.metrics, **instance}
        width = max(len(name) for name in pairs)
        lines = [f"{self.found.source}: {self.found.row_count} rows"]
        for name, column in pairs.items():
            guess = f"   (guessed; {changed_by} changes it)" if name in self.mapping.guessed else ""
            lines.append(f"  {name:<{width}} <- {column}{guess}")
        lines += [f"  {name:<{width}} has no column; its default is assumed" for name in self.mapping.missing]
        lines += self._instance_lines()
        if self.mapping.unused:
            listed = ", ".join(one_line(column, 40) for column in self.mapping.unused[:SHOWN_COLUMNS])
            more = len(self.mapping.unused) - SHOWN_COLUMNS
            lines.append(f"  not used: {listed}{f' and {more} more columns' if more > 0 else ''}")
        reasons = list(self.imported.skipped.items())
        lines += [f"  {count} left out: {reason}" for reason, count in reasons[:SHOWN_REASONS]]
        if len(reasons) > SHOWN_REASONS:
            lines.append(f"  {sum(count for _, count in reasons[SHOWN_REASONS:])} left out for other reasons")
        return lines

    def _instance_lines(self) -> list[str]:
        """Return on how many instances the rows ran, or what is taken for that where no column says it."""
        if self.learner.instances is None:
            return []
        if not self.mapping.instance:
            text = "no column says on which instance a row ran, so each value is taken as that over all instances"
            return [f"  {text}; --map COLUMN={INSTANCE} gives one"]
        trials = self.imported.trials
        names = {trial.proposal.instance for trial in trials}
        configurations = sum(not trial.is_replicate for trial in trials)
        return [f"  {count(configurations, 'configuration')} on {count(len(names), 'instance')}"]

    def earlier_spec(self) -> StudySpec:
        """Return the imported trials' study: the same objectives, over the part of the space that was imported."""
        spec, space = self.learner, self.imported.space
        table = {"name": self.name, "metric": spec.study.metric, "direction": [d.value for d in spec.study.direction]}
        document = {
            "study": {**table, "description": spec.study.description},
            "run": {"command": "(imported)"},
            "space": space_document(space),
            **relations_document(space),
            **self._instances_document(),
            **({"constraints": spec.document["constraints"]} if "constraints" in spec.document else {}),
        }
        if self.mapping.instance:
            document["run"] = {"command": f"(imported) {{{INSTANCE}}}"}
        return parse_spec(document, where="the imported study")

    def _instances_document(self) -> dict[str, Any]:
        """Return [instances] of the imported study: those of the learner that choices are made on."""
        table, names = self.learner.instances, self.learner.instance_set
        if not self.mapping.instance or table is None or names is None:
            return {}
        values = [table.value_of(name) for name in names.tuning]
        return {"instances": {"values": values, "aggregate": table.aggregate}}


def plan_import(spec: StudySpec, request: ImportRequest, *, name: str | None = None) -> ImportPlan:
    """Return what an import into a study would write.

    Args:
        spec: the study that learns from it.
        request: what to import.
        name: of the imported study in the history; None for the default name.

    Raises:
        InputError: the source cannot be read, or does not fit the study.
    """
    found = read_source(request.source, request.named)
    mapping = map_columns(found.columns, spec, request.columns)
    return ImportPlan(found, mapping, fit(found, mapping, spec), name or _name(spec, found), spec)


def _name(spec: StudySpec, found: ImportedTable) -> str:
    plain = re.sub(r"[^\w.-]+", "-", found.name).strip("-.") or "elsewhere"
    return f"{spec.study.name}-from-{plain}"[:80]
