"""The contents of study.toml as typed values. load.py reads the file.

The description of each field says which values are valid; messages about wrong values quote it after "expected".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import time
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
)

from tunesmith.study.config.budget import ENDING_LIMITS, Budget
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Constraint, Direction, Fidelity, Objective
from tunesmith.study.units import next_at, parse_bytes, parse_clock, parse_seconds

GIVEN_PLACEHOLDERS = ("seed", "artifacts")
"""Placeholders that Tunesmith fills in any command: the training seed, and the folder whose files are kept."""

SAMPLERS = ("bayes", "random", "optuna-tpe", "optuna-gp")

EXECUTORS = ("local", "ray", "slurm")

UNREADABLE_SUFFIXES = (".wandb", ".db", ".sqlite", ".pt", ".pth", ".npz", ".npy", ".pkl", ".parquet", ".h5", ".yaml")
"""Endings of files that no metrics are read from."""


def _one_metric(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w./@-]*", name):
        raise ValueError("not a metric name")
    return name


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _clock(value: Any) -> Any:
    if not isinstance(value, time | str):
        raise ValueError("not a time of day")
    return value if isinstance(value, time) else parse_clock(value)


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        raise ValueError("not a study name")
    return name


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("not a number")
    return value


def _metric_source(name: str) -> str:
    path = PurePosixPath(name)
    if name not in ("stdout", "stderr") and (path.is_absolute() or ".." in path.parts or name.startswith("~")):
        raise ValueError("not below the trial's folder")
    if path.suffix in UNREADABLE_SUFFIXES:
        raise ValueError("a format that cannot be read")
    return name


def _as_source(value: Any) -> Any:
    return {"study": value} if isinstance(value, str) else value


def _gpus(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("not a number of GPUs")
    if value > 1 and value != int(value):
        raise ValueError("a fraction of several GPUs")
    return float(value)


def _option(value: Any) -> str | int:
    if not isinstance(value, str | int):
        raise ValueError("not a text, number or switch")
    return value


Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]
Positive = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, strict=True)]
Scale = dict[Text, Positive]
Metrics = Annotated[list[Annotated[Text, AfterValidator(_one_metric)]], BeforeValidator(_as_list)]
Occasion = Literal["end", "failures", "best"]
Directions = Annotated[list[Direction], BeforeValidator(_as_list)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyTable(_Table):
    """[study]: its name and its objectives."""

    name: Annotated[Text, AfterValidator(_folder_name)] = Field(
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
    seed: Annotated[int, BeforeValidator(_no_bool)] = Field(
        0, description="a whole number of at least 0", ge=0, lt=2**63
    )


class RunTable(_Table):
    """[run]: how one trial runs."""

    command: Text = Field(description='a command line, for example "python train.py --lr {lr}"')
    shell: StrictBool = Field(False, description="true or false")
    timeout: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='a duration such as "10m", "1.5h" or 90 (seconds)'
    )
    gpus: Annotated[float | Literal["auto"], PlainValidator(_gpus)] = Field(
        0.0, description='a number of GPUs per trial: 0, a part of one such as 0.25, a whole number, or "auto"'
    )
    parallel: Count | None = Field(None, description="a whole number of trials at once, at least 1")
    disk: Annotated[int, BeforeValidator(parse_bytes)] = Field(
        10 * 2**30, description='a size such as "500M" or "10G"', validate_default=False
    )
    log: Annotated[int, BeforeValidator(parse_bytes)] = Field(
        20 * 2**20, description='a size such as "5M" or "1G"', validate_default=False
    )
    memory: Annotated[int, BeforeValidator(parse_bytes)] | None = Field(
        None, description='a size such as "500M" or "16G"', validate_default=False
    )
    sandbox: StrictBool = Field(False, description="true or false")
    network: StrictBool = Field(False, description="true or false: whether sandboxed trials may use the network")
    data: list[Text] = Field(
        default_factory=list,
        description='a list of folders that sandboxed trials may read, for example ["/data/imagenet"]',
    )
    processes: Count = Field(
        4096, description="a whole number of processes and threads that a sandboxed trial may have, at least 1"
    )
    env: dict[str, Annotated[str, Field(strict=True)]] = Field(
        default_factory=dict, description='a table of texts, for example { OMP_NUM_THREADS = "1" }'
    )
    metrics_from: Annotated[
        list[Annotated[Text, AfterValidator(_metric_source)]], BeforeValidator(_as_list), Field(min_length=1)
    ] = Field(
        default_factory=lambda: ["stdout", "stderr"],
        description='a list of "stdout", "stderr" and files below the trial\'s folder or {artifacts} (JSON, JSON '
        'lines, CSV, TensorBoard, MLflow; of W&B, wandb-summary.json), for example ["stdout", "logs/**/metrics.csv"]',
    )
    executor: Text = Field("local", description=f"one of {', '.join(EXECUTORS)}")
    pin: StrictBool = Field(True, description="true or false: whether each trial is pinned to its own CPU cores")
    co2_g_per_kwh: Positive | None = Field(None, description="a number of grams above 0, for example 380")

    @property
    def gpu_count(self) -> float:
        """GPUs per trial; 1 for "auto", where other trials may share that GPU."""
        return 1.0 if self.gpus == "auto" else self.gpus

    @property
    def packs(self) -> bool:
        """Whether trials share GPUs as their memory allows."""
        return self.gpus == "auto"


class ExecutorTable(_Table):
    """[executor]: settings of a cluster. `FOR` maps each key to the executors that it applies to."""

    FOR: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cpus": ("ray", "slurm"),
        "address": ("ray",),
        "resources": ("ray",),
        "cluster": ("slurm",),
        "partition": ("slurm",),
        "account": ("slurm",),
        "time": ("slurm",),
        "options": ("slurm",),
    }

    cpus: Count = Field(1, description="a whole number of CPUs per trial, at least 1")
    address: Text | None = Field(
        None, description='the address of a Ray cluster, for example "auto" or "10.0.0.5:6379"'
    )
    resources: dict[str, Positive] = Field(
        default_factory=dict, description="a table of Ray resources per trial, for example { a100 = 1 }"
    )
    cluster: Literal["slurm", "local", "debug"] = Field("slurm", description='"slurm", "local" or "debug"')
    partition: Text | None = Field(None, description='the name of a partition, for example "gpu"')
    account: Text | None = Field(None, description="the name of an account")
    time: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='the time limit of a job, for example "2h"'
    )
    options: dict[str, Annotated[str | int, PlainValidator(_option)]] = Field(
        default_factory=dict,
        description='a table of further options of sbatch, for example { qos = "night" }',
    )


class FidelityTable(_Table):
    """[fidelity]: the setting that makes a trial cheaper, such as the number of epochs."""

    name: Text = Field(description='a name, for example "epochs"')
    min: Positive = Field(description="a number above 0 and below max")
    max: Positive = Field(description="a number above min")


class ScheduleTable(_Table):
    """[schedule]: which trials run at full fidelity, and which at a lower one first."""

    kind: Literal["curves", "halving", "hyperband", "pbt", "full"] = Field(
        "curves", description='"curves", "halving", "hyperband", "pbt" or "full"'
    )
    eta: Annotated[float, BeforeValidator(_no_bool), Field(ge=1.5, allow_inf_nan=False)] = Field(
        3.0, description="a number of at least 1.5: 1 in eta trials is promoted to the next rung"
    )
    population: Annotated[int, BeforeValidator(_no_bool), Field(ge=4)] = Field(
        8, description="a whole number of members, at least 4"
    )
    movable: list[Text] = Field(
        default_factory=list, description='a list of parameters that may change during a trial, for example ["lr"]'
    )


class StopRuleTable(_Table):
    """[[stop.rules]]: a bound on a metric; a trial that crosses it is stopped."""

    metric: Annotated[Text, AfterValidator(_one_metric)] = Field(description="the name of a metric")
    above: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    below: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    after: Annotated[float, BeforeValidator(_no_bool)] = Field(
        0.0, description="a step: the rule applies from there on"
    )


class StopTable(_Table):
    """[stop]: when a running trial is stopped early."""

    chance: Annotated[float, BeforeValidator(_no_bool), Field(ge=0.0, lt=1.0)] = Field(
        0.01, description="a probability of at least 0 (never stop) and below 1"
    )
    nan: StrictBool = Field(True, description="true or false")
    patience: Count | None = Field(None, description="a whole number of reports, at least 1")
    rules: list[StopRuleTable] = Field(default_factory=list, description="one table [[stop.rules]] per rule")


class BudgetTable(_Table):
    """[budget]: limits; the first one reached ends the study."""

    trials: Count | None = Field(None, description="a whole number of at least 1")
    hours: Positive | None = Field(None, description="a number above 0")
    until: Annotated[time, BeforeValidator(_clock)] | None = Field(None, description='a time of day such as "07:00"')
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


class PlannerTable(_Table):
    """[planner]: the sampler and the LLM that propose trials; without a model only the sampler does."""

    sampler: Text = Field("bayes", description=f"one of {', '.join(SAMPLERS)}")
    model: Text | None = Field(None, description='a model such as "openai:gpt-5-mini"')
    base_url: Text | None = Field(None, description='an address such as "http://127.0.0.1:11434/v1"')
    fallbacks: list[Text] = Field(
        default_factory=list,
        description='a list of models to ask if the first one fails, for example ["openai:gpt-5-nano"]',
    )
    timeout: Annotated[float, BeforeValidator(parse_seconds)] = Field(
        300.0, description='the longest wait for one answer, in seconds or as text such as "10m"'
    )
    max_tokens: Count | None = Field(None, description="a whole number of tokens of at least 1, thinking included")
    temperature: Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=2)] | None = Field(
        None, description="a number from 0 to 2"
    )
    reasoning_effort: Text | None = Field(
        None, description='a word that the provider knows, such as "minimal", "low", "medium" or "high"'
    )
    headers: dict[Text, Annotated[str, Field(strict=True)]] = Field(
        default_factory=dict,
        description='a table of HTTP headers, for example { "X-Team" = "vision", Authorization = "Bearer $NAME" }',
    )
    body: dict[Text, Any] = Field(
        default_factory=dict,
        description="a table of further keys of each request, for example { top_p = 0.9 }",
    )
    learn_from: list[Text] = Field(
        default_factory=list, description='a list of studies in the same history, for example ["digits-small"]'
    )


class SourceTable(_Table):
    """An earlier study to learn from, and its scale if its own study file does not give it."""

    study: Text = Field(
        description='the name of a study in this history, or with another history file: "../small/history.db:small"'
    )
    scale: Scale = Field(default_factory=dict, description="a table of numbers above 0, for example { width = 128 }")


class WarmStartTable(_Table):
    """[warm_start]: earlier studies to learn from."""

    sources: list[Annotated[SourceTable, BeforeValidator(_as_source)]] = Field(
        alias="from", description='a list of studies, for example ["digits-small", "other.db:digits"]', min_length=1
    )


class EditsTable(_Table):
    """[edits]: the files that the LLM may change."""

    files: list[Text] = Field(description='a list of files, for example ["train.py"]', min_length=1)
    protect: list[Text] = Field(default_factory=list, description='a list of files, for example ["evaluate.py"]')


class EvaluateTable(_Table):
    """[evaluate]: the command that measures the objective after training."""

    command: Text = Field(description='a command line, for example "python evaluate.py --in {artifacts}/pred.npz"')


class FinalTestTable(_Table):
    """[test]: a command that runs once, at the end, on the chosen configuration; no decision depends on its result."""

    command: Text = Field(description='a command line, for example "python test.py --in {artifacts}/model.npz"')


class ConfirmTable(_Table):
    """[confirm]: how many of the best configurations run again at the end, and on how many fresh seeds."""

    top: Count = Field(1, description="a whole number of at least 1")
    seeds: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)] = Field(5, description="a whole number of at least 2")
    max_seeds: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)] | None = Field(
        None, description="a whole number of at least `seeds`; 5 times as many when left out"
    )

    @property
    def most(self) -> int:
        """Limit on the seeds of the chosen configuration and the default while neither is clearly better."""
        return max(self.seeds, self.seeds * 5 if self.max_seeds is None else self.max_seeds)


class NotifyTable(_Table):
    """[notify]: where to send messages about the run."""

    command: Text | None = Field(None, description='a command line, for example "mail -s tunesmith me@example.org"')
    url: Text | None = Field(
        None, description='an address such as "https://example.org/hook", or "$NAME" for one in an environment variable'
    )
    on: list[Occasion] = Field(
        default_factory=lambda: list[Occasion](get_args(Occasion)),
        description='a list of "end", "failures" and "best"',
        min_length=1,
    )

    def address(self, environment: Mapping[str, str]) -> str:
        """Return the URL with `$NAME` and `${NAME}` replaced, which keep secrets out of the file."""
        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: environment.get(m[1] or m[2], ""), self.url or "")


class ConstraintTable(_Table):
    """[[constraints]]: a bound on a metric that is not an objective."""

    metric: Annotated[Text, AfterValidator(_one_metric)] = Field(description="the name of a metric")
    min: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    max: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")


class StudySpec(_Table):
    """A whole study file, with defaults filled in.

    Attributes:
        document: the content of the file as JSON values; `parse_spec` reads an equal spec from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudyTable = Field(description="the table [study]")
    run: RunTable = Field(description="the table [run]")
    space: SearchSpace = Field(description="the table [space]")
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
    confirm: ConfirmTable | None = Field(None, description="the table [confirm]")
    test: FinalTestTable | None = Field(None, description="the table [test]")
    constraints: list[ConstraintTable] = Field(
        default_factory=list, description="one table [[constraints]] per constraint"
    )
    notify: NotifyTable | None = Field(None, description="the table [notify]")
    document: Mapping[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def stored_document(self) -> Mapping[str, Any]:
        """The document as the history stores it: without [notify], whose URL is often a secret."""
        return {name: table for name, table in self.document.items() if name != "notify"}

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The metrics to optimize, with their directions."""
        directions = (
            self.study.direction * len(self.study.metric) if len(self.study.direction) == 1 else self.study.direction
        )
        return tuple(Objective(m, d) for m, d in zip(self.study.metric, directions, strict=True))

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
    def metrics(self) -> tuple[str, ...]:
        """Every metric that trials must report: objectives, then constraints, then those of [stop], each once."""
        others = [*(c.metric for c in self.constraints), *(rule.metric for rule in self.stop.rules)]
        return tuple(dict.fromkeys([*self.study.metric, *others]))


def _planned_source(name: str) -> SourceTable:
    return SourceTable(study=name)
