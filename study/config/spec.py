"""study.toml as typed values. Every field says in its description what may stand there; load.py reads the file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import time
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

from tunesmith.study.config.budget import ENDING, Budget
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Constraint, Direction, Fidelity, Objective
from tunesmith.study.units import next_at, parse_bytes, parse_clock, parse_seconds

GIVEN_PLACEHOLDERS = ("seed", "artifacts")
"""Names that a command may use beside parameters and the fidelity: the training seed, the folder for files to keep."""

SAMPLERS = ("bayes", "random", "optuna-tpe", "optuna-gp")

EXECUTORS = ("local", "ray", "slurm")


def _one_metric(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w./@-]*", name):
        raise ValueError("no metric name")
    return name


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _clock(value: Any) -> Any:
    if not isinstance(value, time | str):
        raise ValueError("no time of day")
    return value if isinstance(value, time) else parse_clock(value)


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        raise ValueError("no study name")
    return name


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("no number")
    return value


def _as_source(value: Any) -> Any:
    return {"study": value} if isinstance(value, str) else value


def _gpus(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("no number of GPUs")
    if value > 1 and value != int(value):
        raise ValueError("a part of several GPUs")
    return float(value)


def _option(value: Any) -> str | int:
    if not isinstance(value, str | int):
        raise ValueError("no text, number or switch")
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
    """What the study is called and what it makes small or large."""

    name: Annotated[Text, AfterValidator(_folder_name)] = Field(
        description="a name of letters, digits, _ . and -, for example digits"
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
    seed: Annotated[int, BeforeValidator(_no_bool)] = Field(0, description="a whole number from 0 on", ge=0, lt=2**63)


class RunTable(_Table):
    """How one trial runs."""

    command: Text = Field(description='a command line, for example "python train.py --lr {lr}"')
    shell: StrictBool = Field(False, description="true or false")
    timeout: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='a duration such as "10m", "1.5h" or 90 (seconds)'
    )
    gpus: Annotated[float | Literal["auto"], PlainValidator(_gpus)] = Field(
        0.0, description='GPUs per trial: 0, a whole number, a part of one such as 0.25, or "auto"'
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
    network: StrictBool = Field(False, description="true or false: whether trials in the sandbox may use the network")
    data: list[Text] = Field(
        default_factory=list, description='a list of folders that the sandbox shows, for example ["/data/imagenet"]'
    )
    processes: Count = Field(
        4096, description="a whole number of processes and threads that a trial in the sandbox may have, at least 1"
    )
    env: dict[str, Annotated[str, Field(strict=True)]] = Field(
        default_factory=dict, description='a table of texts, for example { OMP_NUM_THREADS = "1" }'
    )
    executor: Text = Field("local", description=f"one of {', '.join(EXECUTORS)}")
    pin: StrictBool = Field(True, description="true or false: whether each trial keeps to cores of its own")
    co2_g_per_kwh: Positive | None = Field(None, description="a number of grams above 0, for example 380")

    @property
    def gpu_count(self) -> float:
        """How many GPUs a trial has the use of; where trials are packed by their memory, one that others use too."""
        return 1.0 if self.gpus == "auto" else self.gpus

    @property
    def packs(self) -> bool:
        """Whether trials share a GPU as their memory allows."""
        return self.gpus == "auto"


class ExecutorTable(_Table):
    """Where trials run when that is not this machine. `FOR` says which executor each key is for."""

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

    cpus: Count = Field(1, description="CPUs per trial: a whole number of at least 1")
    address: Text | None = Field(None, description='the address of a Ray cluster such as "auto" or "10.0.0.5:6379"')
    resources: dict[str, Positive] = Field(
        default_factory=dict, description="Ray's own resources per trial, for example { a100 = 1 }"
    )
    cluster: Literal["slurm", "local", "debug"] = Field("slurm", description='"slurm", "local" or "debug"')
    partition: Text | None = Field(None, description='the name of a partition, for example "gpu"')
    account: Text | None = Field(None, description="the name of an account")
    time: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='a duration such as "2h": the time limit of a job'
    )
    options: dict[str, Annotated[str | int, PlainValidator(_option)]] = Field(
        default_factory=dict,
        description='further options of sbatch, for example { qos = "night" }',
    )


class FidelityTable(_Table):
    """The parameter by which a trial can be made cheaper, such as epochs."""

    name: Text = Field(description='a name, for example "epochs"')
    min: Positive = Field(description="a number above 0 and below max")
    max: Positive = Field(description="a number above min")


class ScheduleTable(_Table):
    """Which trials run to the end, and which at a lower fidelity first."""

    kind: Literal["curves", "halving", "hyperband", "pbt", "full"] = Field(
        "curves", description='"curves", "halving", "hyperband", "pbt" or "full"'
    )
    eta: Annotated[float, BeforeValidator(_no_bool), Field(ge=1.5, allow_inf_nan=False)] = Field(
        3.0, description="a number from 1.5 on: one trial in so many goes on to the next rung"
    )
    population: Annotated[int, BeforeValidator(_no_bool), Field(ge=4)] = Field(
        8, description="a whole number of members, at least 4"
    )
    movable: list[Text] = Field(
        default_factory=list, description='a list of parameters that may change on the way, for example ["lr"]'
    )


class StopRuleTable(_Table):
    """A bound that ends a trial on its way."""

    metric: Annotated[Text, AfterValidator(_one_metric)] = Field(description="the name of a metric")
    above: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    below: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    after: Annotated[float, BeforeValidator(_no_bool)] = Field(0.0, description="a step from which on it holds")


class StopTable(_Table):
    """When a running trial is ended early."""

    chance: Annotated[float, BeforeValidator(_no_bool), Field(ge=0.0, lt=1.0)] = Field(
        0.01, description="a probability from 0 (never) to below 1"
    )
    nan: StrictBool = Field(True, description="true or false")
    patience: Count | None = Field(None, description="a whole number of reports, at least 1")
    rules: list[StopRuleTable] = Field(default_factory=list, description="tables: [[stop.rules]]")


class BudgetTable(_Table):
    """Limits; any that is reached ends the study."""

    trials: Count | None = Field(None, description="a whole number of at least 1")
    hours: Positive | None = Field(None, description="a number above 0")
    until: Annotated[time, BeforeValidator(_clock)] | None = Field(None, description='a time of day such as "07:00"')
    gpu_hours: Positive | None = Field(None, description="a number above 0")
    kwh: Positive | None = Field(None, description="a number of kilowatt-hours above 0")
    llm_usd: Amount | None = Field(None, description="a number of dollars from 0 on")
    llm_tokens: Count | None = Field(None, description="a whole number of at least 1")
    llm_calls: Count | None = Field(None, description="a whole number of at least 1")

    @property
    def ends(self) -> bool:
        """Tell whether any limit is set that ends a study."""
        return any(getattr(self, name) for name in ENDING)

    def starting_at(self, now: float) -> Budget:
        """Return the limits with `until` as the next such moment after `now` (seconds since the epoch)."""
        return self.ending_at(None if self.until is None else next_at(self.until, now))

    def ending_at(self, moment: float | None) -> Budget:
        """Return the limits with `until` as this moment (seconds since the epoch)."""
        return Budget(until=moment, **self.model_dump(exclude={"until"}))


class PlannerTable(_Table):
    """Who proposes. Without a model the sampler does so alone."""

    sampler: Text = Field("bayes", description=f"one of {', '.join(SAMPLERS)}")
    model: Text | None = Field(None, description='a model such as "openai:gpt-5-mini"')
    base_url: Text | None = Field(None, description='an address such as "http://127.0.0.1:11434/v1"')
    fallbacks: list[Text] = Field(
        default_factory=list, description='a list of models to ask in turn, for example ["openai:gpt-5-nano"]'
    )
    learn_from: list[Text] = Field(
        default_factory=list, description='a list of studies in the same history, for example ["digits-small"]'
    )


class SourceTable(_Table):
    """An earlier study to learn from, and its scale where the study itself does not say it."""

    study: Text = Field(description='a study in this history, or in another file: "../small/history.db:small"')
    scale: Scale = Field(default_factory=dict, description="a table of numbers above 0, for example { width = 128 }")


class WarmStartTable(_Table):
    """What was learned elsewhere before the first trial."""

    sources: list[Annotated[SourceTable, BeforeValidator(_as_source)]] = Field(
        alias="from", description='a list of studies, for example ["digits-small", "other.db:digits"]', min_length=1
    )


class EditsTable(_Table):
    """Which code the LLM may change."""

    files: list[Text] = Field(description='a list of files, for example ["train.py"]', min_length=1)
    protect: list[Text] = Field(default_factory=list, description='a list of files, for example ["evaluate.py"]')


class EvaluateTable(_Table):
    """The judge: the command whose metric counts."""

    command: Text = Field(description='a command line, for example "python evaluate.py --in {artifacts}/pred.npz"')


class FinalTestTable(_Table):
    """A command that is run once, at the very end, on what was chosen; no choice is ever made by what it says."""

    command: Text = Field(description='a command line, for example "python test.py --in {artifacts}/model.npz"')


class ConfirmTable(_Table):
    """How many of the best configurations run again at the end, on how many fresh seeds.

    Attributes:
        most: up to so many seeds the chosen configuration and the default run on while it is not clear which is better.
    """

    top: Count = Field(1, description="a whole number of at least 1")
    seeds: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)] = Field(5, description="a whole number of at least 2")
    max_seeds: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)] | None = Field(
        None, description="a whole number of at least `seeds`; 5 times as many when left out"
    )

    @property
    def most(self) -> int:
        """See above; at least `seeds`."""
        return max(self.seeds, self.seeds * 5 if self.max_seeds is None else self.max_seeds)


class NotifyTable(_Table):
    """Whom to tell what happens while nobody watches."""

    command: Text | None = Field(None, description='a command line, for example "mail -s tunesmith me@example.org"')
    url: Text | None = Field(
        None, description='an address such as "https://example.org/hook", or "$NAME" for an environment variable'
    )
    on: list[Occasion] = Field(
        default_factory=lambda: list[Occasion](get_args(Occasion)),
        description='a list of "end", "failures" and "best"',
        min_length=1,
    )

    def address(self, environment: Mapping[str, str]) -> str:
        """Return the address; `$NAME` and `${NAME}` stand for a variable, so that no key need stand in the file."""
        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: environment.get(m[1] or m[2], ""), self.url or "")


class ConstraintTable(_Table):
    """A bound on another metric."""

    metric: Annotated[Text, AfterValidator(_one_metric)] = Field(description="the name of a metric")
    min: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")
    max: Annotated[float, BeforeValidator(_no_bool)] | None = Field(None, description="a number")


class StudySpec(_Table):
    """A whole study file, defaults filled in.

    Attributes:
        document: the file's content as plain JSON values, from which the same spec can be read again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudyTable = Field(description="a table: [study]")
    run: RunTable = Field(description="a table: [run]")
    space: SearchSpace = Field(description="a table: [space]")
    fidelity: FidelityTable | None = Field(None, description="a table: [fidelity]")
    schedule: ScheduleTable | None = Field(None, description="a table: [schedule]")
    stop: StopTable = Field(default_factory=lambda: StopTable(), description="a table: [stop]")
    budget: BudgetTable = Field(default_factory=lambda: BudgetTable(), description="a table: [budget]")
    executor: ExecutorTable = Field(default_factory=lambda: ExecutorTable(), description="a table: [executor]")
    planner: PlannerTable = Field(default_factory=lambda: PlannerTable(), description="a table: [planner]")
    warm_start: WarmStartTable | None = Field(None, description="a table: [warm_start]")
    scale: Scale = Field(
        default_factory=dict, description="a table of numbers above 0 that are fixed in this study: [scale]"
    )
    edits: EditsTable | None = Field(None, description="a table: [edits]")
    evaluate: EvaluateTable | None = Field(None, description="a table: [evaluate]")
    confirm: ConfirmTable | None = Field(None, description="a table: [confirm]")
    test: FinalTestTable | None = Field(None, description="a table: [test]")
    constraints: list[ConstraintTable] = Field(default_factory=list, description="tables: [[constraints]]")
    notify: NotifyTable | None = Field(None, description="a table: [notify]")
    document: Mapping[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def kept(self) -> Mapping[str, Any]:
        """The document as the history keeps it: without [notify], whose address is often a key in itself."""
        return {name: table for name, table in self.document.items() if name != "notify"}

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The metrics with their directions."""
        directions = (
            self.study.direction * len(self.study.metric) if len(self.study.direction) == 1 else self.study.direction
        )
        return tuple(Objective(m, d) for m, d in zip(self.study.metric, directions, strict=True))

    @property
    def graded(self) -> Fidelity | None:
        """What makes a trial cheaper, as a plain value."""
        return Fidelity(self.fidelity.name, self.fidelity.min, self.fidelity.max) if self.fidelity else None

    @property
    def pace(self) -> str:
        """How trials are paced: the kind of [schedule], "full" without one."""
        return self.schedule.kind if self.schedule is not None else "full"

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints as plain values."""
        return tuple(Constraint(metric=c.metric, min=c.min, max=c.max) for c in self.constraints)

    @property
    def sources(self) -> tuple[SourceTable, ...]:
        """The studies to learn from: those of [warm_start], then those of [planner], each once."""
        named = [*(self.warm_start.sources if self.warm_start else []), *map(_planned_source, self.planner.learn_from)]
        return tuple({source.study: source for source in reversed(named)}.values())[::-1]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that the study needs: objectives, then constraints, then those of [stop], each once."""
        others = [*(c.metric for c in self.constraints), *(rule.metric for rule in self.stop.rules)]
        return tuple(dict.fromkeys([*self.study.metric, *others]))


def _planned_source(name: str) -> SourceTable:
    return SourceTable(study=name)
