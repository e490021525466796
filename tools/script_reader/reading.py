"""What the reader finds in a training script. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a script.

    Attributes:
        kind: float, int, bool, str, or "" if the script does not say.
        word: its part of a command template, such as `--lr {lr}`; "" if the command line cannot set it.
        file, key: the file that holds it and its dotted key there, as in [run.files]; "" for an option.
        env: the environment variable that holds it; "" for an option.
        low, high: bounds that the script itself declares.
        required: the script does not start without a value for it.
        is_typed: the script declares the type, so that another one would fail.
        is_literal: a number in the code, which nobody declared as a setting.
        path: the dotted name of the setting in a configuration, such as `optim.lr`; else its name.
        uses: what the code does with it, such as `StepLR.gamma`.
        when: the condition under which it matters, if its place says so.
    """

    name: str
    kind: str
    word: str = ""
    default: Value = None
    choices: tuple[Value, ...] = ()
    help: str = ""
    file: str = ""
    key: str = ""
    env: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = False
    is_typed: bool = False
    is_literal: bool = False
    path: str = ""
    uses: tuple[str, ...] = ()
    when: str = ""

    @property
    def place(self) -> str:
        """Where it is set, for people."""
        if self.file:
            return f"{self.file}: {self.key}"
        return f"${self.env}" if self.env else self.word.partition("{")[0].rstrip(" =") or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A setting that becomes a parameter, and the reason for its range."""

    setting: Setting
    parameter: Parameter
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """A setting that does not become a parameter, and the reason."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGuess:
    """A metric that the script seems to print.

    Attributes:
        direction: minimize or maximize, as its name suggests.
        where: the line of the code, such as "train.py line 40".
        source: the file that it is written to, as in [run].metrics_from; "" for the output.
        regex: the pattern that finds it where its name does not; "" for none.
    """

    name: str
    direction: str
    where: str = ""
    source: str = ""
    regex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptReading:
    """Everything that `tunesmith init` needs to know about a script.

    Attributes:
        system: where its settings come from, such as "argparse".
        command: the words of the command before those of the settings, such as ("python", "train.py", "fit").
        tuned: the settings to tune.
        left_alone: the others, each with its reason.
        fidelity: the setting that makes a run shorter.
        follows: settings that have the value of the fidelity, such as the length of its schedule.
        seeds: the settings of the training seed: one option, or every seed in the code.
        instance: the option that says which fold, data set or workload a run is for; None without one.
        instances: its values.
        required: further settings without a default, which the command line must set.
        metrics: guesses, the best first.
        shared: folders that all trials share, such as ../data.
        environment: variables that the script needs to find its modules.
        helpers: files that must be written next to study.toml, by name.
        notes: what a person should look at.
        root: the folder that the script is started from.
        script: the script's path, relative to it.
        domains: what kind of script it is, such as "rl".
    """

    system: str
    command: tuple[str, ...]
    tuned: tuple[Tuned, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    fidelity: Setting | None = None
    follows: tuple[Setting, ...] = ()
    seeds: tuple[Setting, ...] = ()
    instance: Setting | None = None
    instances: tuple[Value, ...] = ()
    required: tuple[Setting, ...] = ()
    metrics: tuple[MetricGuess, ...] = ()
    shared: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    root: Path = Path()
    script: str = ""
    domains: frozenset[str] = frozenset()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings to tune."""
        return tuple(tuned.setting for tuned in self.tuned)
