"""Tables of study.toml that say what runs, where, and who is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StrictBool

from tunesmith.study.config.tables.field_types import (
    Count,
    Positive,
    Table,
    Text,
    as_list,
    file_entry,
    metric_source,
    no_bool,
    option,
    project_file,
    scaled_value,
    share_of_gpus,
    shared_folder,
)
from tunesmith.study.config.tables.timing import TimingKeys
from tunesmith.study.units import parse_bytes, parse_seconds

GIVEN_PLACEHOLDERS = ("seed", "artifacts")
"""Placeholders that Tunesmith fills in any command: the training seed, and the folder whose files are kept."""


PYTHON_FUNCTION = "(a Python function)"
"""Command of a study that Python code asks and tells."""
EXECUTORS = ("local", "ray", "slurm")
DEFAULT_JUDGED = 10
"""Number of leading configurations that the command of [confirm] judges; judging is cheap where training is not."""


Occasion = Literal["end", "failures", "best"]


class RunTable(Table):
    """[run]: how one trial runs."""

    command: Text = Field(description='a command line, for example "python train.py --lr {lr}"')
    shell: StrictBool = Field(False, description="true or false")
    timeout: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='a duration such as "10m", "1.5h" or 90 (seconds)'
    )
    gpus: Annotated[float | Literal["auto"], PlainValidator(share_of_gpus)] = Field(
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
        default_factory=dict, description='a table of texts, for example { OMP_NUM_THREADS = "1", LR = "{lr}" }'
    )
    files: dict[
        Annotated[Text, AfterValidator(project_file)], dict[Text, Annotated[str | float, PlainValidator(file_entry)]]
    ] = Field(
        default_factory=dict,
        description='a table for each file to fill for a trial, for example "conf.yaml" = { "optim.lr" = "{lr}" }',
    )
    shared: list[Annotated[Text, AfterValidator(shared_folder)]] = Field(
        default_factory=list,
        description='a list of folders of the project, or next to it, all trials share, such as ["data", "../data"]',
    )
    metrics_from: Annotated[
        list[Annotated[Text, AfterValidator(metric_source)]], BeforeValidator(as_list), Field(min_length=1)
    ] = Field(
        default_factory=lambda: ["stdout", "stderr"],
        description='a list of "stdout", "stderr" and files below the trial\'s folder or {artifacts} (JSON, JSON '
        'lines, CSV, TensorBoard, MLflow; of W&B, wandb-summary.json), for example ["stdout", "logs/**/metrics.csv"]',
    )
    executor: Text = Field("local", description=f"one of {', '.join(EXECUTORS)}")
    pin: StrictBool = Field(True, description="true or false: whether each trial is pinned to its own CPU cores")
    usd_per_hour: Positive | None = Field(None, description="a number of dollars above 0, for example 2.5")
    co2_g_per_kwh: Positive | None = Field(None, description="a number of grams above 0, for example 380")

    @property
    def gpu_count(self) -> float:
        """GPUs per trial; 1 for "auto", where other trials may share that GPU."""
        return 1.0 if self.gpus == "auto" else self.gpus

    @property
    def packs(self) -> bool:
        """Whether trials share GPUs as their memory allows."""
        return self.gpus == "auto"


class ExecutorTable(Table):
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
    options: dict[str, Annotated[str | int, PlainValidator(option)]] = Field(
        default_factory=dict,
        description='a table of further options of sbatch, for example { qos = "night" }',
    )


class EvaluateTable(TimingKeys):
    """[evaluate]: the command that measures the objective after training, or the judge of time."""

    kind: Literal["command", "time"] = Field("command", description='"command" or "time"')
    command: Text = Field("", description='a command line, for example "python evaluate.py --in {artifacts}/pred.npz"')
    data: list[Text] = Field(
        default_factory=list,
        description='a list of files and folders that only this command may read, for example ["labels.npz"]',
    )

    @property
    def is_time(self) -> bool:
        """Whether it times a candidate against a reference."""
        return self.kind == "time"


class FinalTestTable(Table):
    """[test]: a command that runs once, at the end, on the chosen configuration; no decision depends on its result."""

    command: Text = Field(description='a command line, for example "python test.py --in {artifacts}/model.npz"')
    data: list[Text] = Field(
        default_factory=list,
        description='a list of files and folders that only this command may read, for example ["test-labels.npz"]',
    )


class ConfirmTable(Table):
    """[confirm]: how many of the best configurations run again at the end, on how many fresh seeds, and who judges.

    `HIDDEN_KEYS` are named to nobody but the command itself: no prompt, tool, trial or history shows them.
    """

    HIDDEN_KEYS: ClassVar[tuple[str, ...]] = ("command", "data")

    top: Count | None = Field(None, description="a whole number of at least 1")
    seeds: Annotated[int, BeforeValidator(no_bool), Field(ge=2)] | None = Field(
        None, description="a whole number of at least 2"
    )
    max_seeds: Annotated[int, BeforeValidator(no_bool), Field(ge=2)] | None = Field(
        None, description="a whole number of at least `seeds`; 5 times as many when left out"
    )
    command: Text | None = Field(
        None, description='a command line, for example "python judge.py --in {artifacts}/model.npz"'
    )
    data: list[Text] = Field(
        default_factory=list, description="a list of files and folders that only this command may read"
    )
    scale: dict[Text, Annotated[StrictBool | int | float | str, PlainValidator(scaled_value)]] = Field(
        default_factory=dict,
        description='a table of larger values, for example { depth = 12, width = "x2", TRAIN_SECONDS = "x4" }',
    )
    scale_seeds: Count = Field(3, description="a whole number of at least 1")
    scale_timeout: Annotated[float, BeforeValidator(parse_seconds)] | None = Field(
        None, description='a duration such as "2h" or 90 (seconds)'
    )

    @property
    def leaders(self) -> int:
        """Number of leading configurations to choose from."""
        return self.top if self.top is not None else 1 if self.command is None else DEFAULT_JUDGED

    @property
    def first_seeds(self) -> int:
        """Number of fresh seeds for each configuration at first; 0 where the files that trials kept are judged."""
        return self.seeds if self.seeds is not None else 5 if self.command is None else 0

    @property
    def most(self) -> int:
        """Limit on the seeds of the chosen configuration and the default while neither is clearly better."""
        return max(self.first_seeds, self.first_seeds * 5 if self.max_seeds is None else self.max_seeds)


class NotifyTable(Table):
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
