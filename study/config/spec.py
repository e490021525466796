"""The contents of study.toml as typed values. load.py reads the file.

The description of each field says which values are valid; messages about wrong values quote it after "expected".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from tunesmith.study.config.hidden import without_hidden
from tunesmith.study.config.tables.field_types import Scale, Table, Text, as_list, metric_name
from tunesmith.study.config.tables.instances import InstancesTable
from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.config.tables.metrics import MetricTable
from tunesmith.study.config.tables.planner import EditsTable, PlannerTable
from tunesmith.study.config.tables.run import (
    ConfirmTable,
    EvaluateTable,
    ExecutorTable,
    FinalTestTable,
    NotifyTable,
    RunTable,
)
from tunesmith.study.config.tables.search import (
    BudgetTable,
    ConstraintTable,
    FidelityTable,
    ScheduleTable,
    SourceTable,
    StopTable,
    StudyTable,
    WarmStartTable,
)
from tunesmith.study.config.tables.serve import ServeTable
from tunesmith.study.config.tables.texts import OUTPUTS, TextParameter, text_parameters
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.observed.judged import ABOUT
from tunesmith.study.trials.observed.resources import RESOURCES
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.view import Constraint, Fidelity, Objective


class StudySpec(Table):
    """A whole study file, with defaults filled in.

    Attributes:
        document: the content of the file as JSON values; `parse_spec` reads an equal spec from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudyTable = Field(description="the table [study]")
    run: RunTable = Field(description="the table [run]")
    metric_tables: dict[Annotated[Text, AfterValidator(metric_name)], MetricTable] = Field(
        default_factory=dict, alias="metrics", description="the table [metrics] with an entry for a metric"
    )
    space: SearchSpace = Field(description="the table [space]")
    derived: dict[Text, Annotated[str, Field(strict=True, min_length=1)]] = Field(
        default_factory=dict,
        description='the table [derived] with formulas in quotes, for example width = "ceil(depth * aspect / 64) * 64"',
    )
    forbid: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description='a list of formulas that no trial may fulfil, for example ["heads > width / 16"]',
    )
    instances: InstancesTable | None = Field(None, description="the table [instances]")
    fidelity: FidelityTable | None = Field(None, description="the table [fidelity]")
    schedule: ScheduleTable | None = Field(None, description="the table [schedule]")
    stop: StopTable = Field(default_factory=lambda: StopTable(), description="the table [stop]")
    budget: BudgetTable = Field(default_factory=lambda: BudgetTable(), description="the table [budget]")
    executor: ExecutorTable = Field(default_factory=lambda: ExecutorTable(), description="the table [executor]")
    planner: PlannerTable = Field(default_factory=lambda: PlannerTable(), description="the table [planner]")
    warm_start: WarmStartTable | None = Field(None, description="the table [warm_start]")
    scale: Scale = Field(
        default_factory=dict, description="the table [scale] with the numbers above 0 that are fixed in this study"
    )
    edits: EditsTable | None = Field(None, description="the table [edits]")
    evaluate: EvaluateTable | None = Field(None, description="the table [evaluate]")
    serve: ServeTable | None = Field(None, description="the table [serve]")
    judge: JudgeTable | None = Field(None, description="the table [judge]")
    confirm: ConfirmTable | None = Field(None, description="the table [confirm]")
    test: FinalTestTable | None = Field(None, description="the table [test]")
    constraints: list[ConstraintTable] = Field(
        default_factory=list, description="one table [[constraints]] per constraint"
    )
    notify: NotifyTable | None = Field(None, description="the table [notify]")
    document: Mapping[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def stored_document(self) -> Mapping[str, Any]:
        """The document as the history stores it: without [notify], whose URL is often a secret, and hidden keys."""
        return without_hidden({name: table for name, table in self.document.items() if name != "notify"})

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The metrics to optimize, with their directions."""
        directions = (
            self.study.direction * len(self.study.metric) if len(self.study.direction) == 1 else self.study.direction
        )
        return tuple(Objective(m, d) for m, d in zip(self.study.metric, directions, strict=True))

    @property
    def texts(self) -> tuple[TextParameter, ...]:
        """The text parameters of [space], which a model rewrites."""
        return text_parameters(self.document)

    @property
    def edits_key(self) -> str:
        """Key of what is edited: [edits], or the first text parameter of a study without that table."""
        texts = self.texts
        return f"space.{texts[0].name}" if texts and "edits" not in self.document else "edits"

    @property
    def trusts_edits(self) -> bool:
        """Whether values of edited versions are what they report themselves: code is edited, and nothing judges it."""
        if self.evaluate is not None or any(map(self.is_judged, self.study.metric)):
            return False
        texts = {file for text in self.texts for file in text.files}
        return self.edits is None or not set(self.edits.files) <= texts

    @property
    def outputs_file(self) -> str:
        """The file in {artifacts} in which a trial writes a line for each example."""
        named = [self.judge.outputs] if self.judge is not None else [text.outputs for text in self.texts]
        return named[0] if named else OUTPUTS

    @property
    def instance_set(self) -> InstanceSet | None:
        """The instances in their order, and those that are held out; None without [instances]."""
        return self.instances.instance_set(self.study.seed) if self.instances else None

    @property
    def fidelity_range(self) -> Fidelity | None:
        """The name and range of the fidelity; None without [fidelity]."""
        return Fidelity(self.fidelity.name, self.fidelity.min, self.fidelity.max) if self.fidelity else None

    @property
    def schedule_kind(self) -> str:
        """The kind of [schedule]; "full" without that table."""
        return self.schedule.kind if self.schedule is not None else "full"

    @property
    def metric_constraints(self) -> tuple[Constraint, ...]:
        """The constraints on metrics."""
        return tuple(Constraint(metric=c.metric, min=c.min, max=c.max) for c in self.constraints)

    @property
    def sources(self) -> tuple[SourceTable, ...]:
        """The studies to learn from: those of [warm_start], then those of [planner].learn_from, each once."""
        named = [*(self.warm_start.sources if self.warm_start else []), *map(_planned_source, self.planner.learn_from)]
        return tuple({source.study: source for source in reversed(named)}.values())[::-1]

    @property
    def metric_sources(self) -> tuple[str, ...]:
        """Where numbers are read: [run].metrics_from, then what [metrics] names besides, each once."""
        named = [source for table in self.metric_tables.values() for source in table.sources]
        return tuple(dict.fromkeys([*self.run.metrics_from, *named]))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of the study: objectives, then constraints, then those of [stop], each once."""
        others = [*(c.metric for c in self.constraints), *(rule.metric for rule in self.stop.rules)]
        return tuple(dict.fromkeys([*self.study.metric, *others]))

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The metrics that the script must report: all but the measured resources and those of [judge]."""
        return tuple(name for name in self.metrics if name not in RESOURCES and not self.is_judged(name))

    def is_judged(self, metric: str) -> bool:
        """Return whether [judge] makes this metric from the texts of a trial."""
        return self.judge is not None and metric in ABOUT

    @property
    def resources(self) -> tuple[str, ...]:
        """The metrics that Tunesmith measures, such as `run/seconds`."""
        return tuple(name for name in self.metrics if name in RESOURCES)


def _planned_source(name: str) -> SourceTable:
    return SourceTable(study=name)
