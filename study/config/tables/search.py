"""Tables of study.toml that say what is searched for and when the search ends."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from tunesmith.study.config.budget import ENDING_LIMITS, Budget
from tunesmith.study.config.tables.field_types import (
    Amount,
    Count,
    Directions,
    Metrics,
    Positive,
    Scale,
    Table,
    Text,
    clock,
    folder_name,
    metric_name,
    no_bool,
)
from tunesmith.study.trials.view import Direction
from tunesmith.study.units import next_at

STAGED_SCHEDULES = ("halving", "hyperband", "pbt", "branches")
"""Kinds of schedule in which trials stop below the full fidelity first, so that they need one."""


def _as_source(value: Any) -> Any:
    return {"study": value} if isinstance(value, str) else value


class StudyTable(Table):
    """[study]: its name and its objectives."""

    name: Annotated[Text, AfterValidator(folder_name)] = Field(
        description='a name of at most 80 letters, digits, _, . and -, for example "digits"'
    )
    description: Annotated[str, Field(strict=True)] = Field("", description="a text in quotes")
    metric: Metrics = Field(
        description='the name of a metric, for example "val_loss", or a list of up to 3', min_length=1, max_length=3
    )
    direction: Directions = Field(
        default_factory=lambda: [Direction.MINIMIZE],
        description='"minimize" or "maximize", or a list with one for each metric',
        min_length=1,
    )
    seed: Annotated[int, BeforeValidator(no_bool)] = Field(
        0, description="a whole number of at least 0", ge=0, lt=2**63
    )


class FidelityTable(Table):
    """[fidelity]: the setting that makes a trial cheaper, such as the number of epochs."""

    name: Text = Field(description='a name, for example "epochs"')
    min: Positive = Field(description="a number above 0 and below max")
    max: Positive = Field(description="a number above min")


class ScheduleTable(Table):
    """[schedule]: which trials run at full fidelity, and which at a lower one first."""

    kind: Literal["curves", "halving", "hyperband", "pbt", "branches", "full"] = Field(
        "curves", description='"curves", "halving", "hyperband", "pbt", "branches" or "full"'
    )
    eta: Annotated[float, BeforeValidator(no_bool), Field(ge=1.5, allow_inf_nan=False)] = Field(
        3.0, description="a number of at least 1.5: 1 in eta trials is promoted to the next rung"
    )
    population: Annotated[int, BeforeValidator(no_bool), Field(ge=4)] = Field(
        8, description="a whole number of members, at least 4"
    )
    movable: list[Text] = Field(
        default_factory=list, description='a list of parameters that may change during a trial, for example ["lr"]'
    )
    at: list[Annotated[float, BeforeValidator(no_bool), Field(gt=0.0, lt=1.0)]] = Field(
        default_factory=list, description="a list of parts of a full run between 0 and 1, for example [0.5, 0.7, 0.8]"
    )
    leaves: Text = Field(
        "1 - decay", description='a formula of parameters in quotes, a part of a full run, for example "1 - decay"'
    )
    branches: Annotated[int, BeforeValidator(no_bool), Field(ge=2)] = Field(
        6, description="a whole number of configurations for each trunk, at least 2"
    )


class StopRuleTable(Table):
    """[[stop.rules]]: a bound on a metric; a trial that crosses it is stopped."""

    metric: Annotated[Text, AfterValidator(metric_name)] = Field(description="the name of a metric")
    above: Annotated[float, BeforeValidator(no_bool)] | None = Field(None, description="a number")
    below: Annotated[float, BeforeValidator(no_bool)] | None = Field(None, description="a number")
    after: Annotated[float, BeforeValidator(no_bool)] = Field(0.0, description="a step: the rule applies from there on")


class StopTable(Table):
    """[stop]: when a running trial is stopped early, and when the study ends because nothing better is likely."""

    chance: Annotated[float, BeforeValidator(no_bool), Field(ge=0.0, lt=1.0)] = Field(
        0.01, description="a probability of at least 0 (never stop) and below 1"
    )
    nan: StrictBool = Field(True, description="true or false")
    patience: Count | None = Field(None, description="a whole number of reports, at least 1")
    no_gain: Count | None = Field(None, description="a whole number of trials without a new best, at least 1")
    rules: list[StopRuleTable] = Field(default_factory=list, description="one table [[stop.rules]] per rule")


class BudgetTable(Table):
    """[budget]: limits; the first one reached ends the study."""

    trials: Count | None = Field(None, description="a whole number of at least 1")
    runs: Count | None = Field(None, description="a whole number of runs on instances, at least 1")
    hours: Positive | None = Field(None, description="a number above 0")
    until: Annotated[time, BeforeValidator(clock)] | None = Field(None, description='a time of day such as "07:00"')
    gpu_hours: Positive | None = Field(None, description="a number above 0")
    kwh: Positive | None = Field(None, description="a number of kilowatt-hours above 0")
    llm_usd: Amount | None = Field(None, description="a number of dollars of at least 0")
    llm_tokens: Count | None = Field(None, description="a whole number of at least 1")
    llm_calls: Count | None = Field(None, description="a whole number of at least 1")

    @property
    def ends(self) -> bool:
        """Whether any limit is set that ends the study."""
        return any(getattr(self, name) for name in ENDING_LIMITS)

    def starting_at(self, now: float) -> Budget:
        """Return the limits, with `until` as the next such time of day after `now` (seconds since the epoch)."""
        return self.ending_at(None if self.until is None else next_at(self.until, now))

    def ending_at(self, moment: float | None) -> Budget:
        """Return the limits, with `until` as this moment (seconds since the epoch)."""
        return Budget(until=moment, **self.model_dump(exclude={"until"}))


class SourceTable(Table):
    """An earlier study to learn from, and its scale if its own study file does not give it."""

    study: Text = Field(
        description='the name of a study in this history, or with another history file: "../small/history.db:small"'
    )
    scale: Scale = Field(default_factory=dict, description="a table of numbers above 0, for example { width = 128 }")


class WarmStartTable(Table):
    """[warm_start]: earlier studies to learn from."""

    sources: list[Annotated[SourceTable, BeforeValidator(_as_source)]] = Field(
        alias="from", description='a list of studies, for example ["digits-small", "other.db:digits"]', min_length=1
    )


class ConstraintTable(Table):
    """[[constraints]]: a bound on a metric that is not an objective."""

    metric: Annotated[Text, AfterValidator(metric_name)] = Field(description="the name of a metric")
    min: Annotated[float, BeforeValidator(no_bool)] | None = Field(None, description="a number")
    max: Annotated[float, BeforeValidator(no_bool)] | None = Field(None, description="a number")
