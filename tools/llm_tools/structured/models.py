"""What tools answer as data, for programs: MCP publishes these as output schemas. Numbers that JSON lacks are null.

Text that scripts, logs and models wrote is shortened to a line and stays a value under its name: data, not words to a
reader.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Values = Annotated[dict[str, float | None], Field(description="Metrics by name; null for nan and infinity.")]
Params = Annotated[dict[str, Any], Field(description="Active parameters by name.")]


class Answer(BaseModel):
    """The structured result of a tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FailureData(Answer):
    """Why a trial failed."""

    kind: str = Field(description="oom, nan, timeout, crash, no_metric, killed, tampered, lost or another kind.")
    reason: str = Field(description="In one line; it may quote the script.")
    scope: str = Field(description="configuration, or study: regardless of the parameters.")


class TrialData(Answer):
    """One trial."""

    number: int
    state: str = Field(description="waiting, running, complete, stopped or failed.")
    source: str = Field(description="Who proposed it.")
    params: Params
    values: Values
    fidelity: float | None = None
    seed: int
    instance: str | None = None
    replicate_of: int | None = Field(None, description="The trial whose configuration runs again.")
    variant: str = Field(description="Version of the code.")
    failure: FailureData | None = None
    counts: bool = Field(description="Whether it counts; a forgotten one, for example, does not.")
    seconds: float | None = None
    rationale: str = ""


class ObjectiveData(Answer):
    """A metric to optimize."""

    metric: str
    direction: str = Field(description="minimize or maximize.")


class BoundData(Answer):
    """A bound on a metric."""

    metric: str
    min: float | None = None
    max: float | None = None


class BestData(Answer):
    """The best configuration and how certain that is."""

    trial: TrialData
    value: float | None = Field(description="On one seed.")
    expected: float | None = Field(description="Over seeds.")
    seeds: int
    is_confirmed: bool = Field(description="On fresh seeds, or by the judge of [confirm].")
    noise: float | None = Field(description="Standard deviation between seeds.")
    command: str = Field(description="A line that runs it.")


class BudgetData(Answer):
    """A limit of the budget."""

    name: str
    used: float
    limit: float


class StudyData(Answer):
    """The state of a study."""

    name: str
    description: str
    command: str
    state: str = Field(description="running, paused, ended or not_run.")
    ended_by: str | None = None
    objectives: list[ObjectiveData]
    bounds: list[BoundData]
    space: dict[str, Any] = Field(description="The table [space] of study.toml.")
    forbid: list[str]
    pins: dict[str, Any]
    vetoes: list[str]
    trials: dict[str, int] = Field(description="Number of trials by state, without replicates.")
    replicates: int
    budget: list[BudgetData]
    best: BestData | None = None
    default: TrialData | None = None


class TrialsData(Answer):
    """A page of trials."""

    trials: list[TrialData]
    total: int = Field(description="Number of trials that match, on all pages.")


class TrialAnswer(Answer):
    """One trial with the other runs of its configuration."""

    trial: TrialData
    runs: list[TrialData] = Field(description="All runs of its configuration, itself included.")


class SeriesData(Answer):
    """A series that a trial reported."""

    metric: str
    steps: list[float]
    values: list[float | None]
    count: int = Field(description="Number of reported points; of many, some are left out between.")


class CurveData(Answer):
    """What a trial reported over its steps."""

    number: int
    series: list[SeriesData]


class ComparisonData(Answer):
    """Trials side by side."""

    trials: list[TrialData]
    verdicts: list[str] = Field(description="Which of two is better, by how much, and whether noise explains it.")


class WaitData(Answer):
    """What happened during a wait."""

    has_happened: bool
    is_running: bool = Field(description="Whether the run is still active.")
    finished: list[TrialData] = Field(description="Trials that finished meanwhile, and those asked for.")
    best: TrialData | None = None


class ShareData(Answer):
    """A parameter's part of the objective's variance, with a 90% interval."""

    mean: float
    low: float
    high: float


class ImportanceData(Answer):
    """What mattered."""

    whole_space: dict[str, ShareData]
    near_best: dict[str, ShareData]
    complete: int = Field(description="Number of trials that this is said from.")
    failures: list[str] = Field(description="Regions in which trials fail.")


class ForecastData(Answer):
    """What the model of the study expects of a configuration."""

    params: Params
    ran_as: list[int] = Field(description="Trials with this configuration.")
    mean: float | None = None
    std: float | None = None
    p_feasible: float | None = Field(None, description="Probability of success within the bounds.")


class PointData(Answer):
    """A configuration worth a trial."""

    params: Params
    source: str
    why: str


class PointsData(Answer):
    """Configurations worth a trial, the best first."""

    points: list[PointData]


class FindingData(Answer):
    """A result of a check."""

    level: str = Field(description="ok, warning or problem.")
    what: str
    detail: str


class CheckData(Answer):
    """What a dry run of the default showed. Nothing is recorded."""

    can_start: bool = Field(description="Whether no finding is a problem.")
    findings: list[FindingData]
    values: Values
    seconds: float | None = Field(None, description="How long the default ran; null where it could not.")


class StudyEntry(Answer):
    """A study of the folder."""

    name: str
    file: str | None = None
    is_running: bool
    trials: int
    best: float | None = Field(None, description="First objective of the best trial.")


class StudiesData(Answer):
    """The studies of the folder."""

    studies: list[StudyEntry]
