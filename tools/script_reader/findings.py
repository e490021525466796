"""What the reader finds in a training script. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tunesmith.study.space.condition import Value


class Style(StrEnum):
    """How a script takes its settings; those of CONSTANTS and CONFIG cannot be set on the command line."""

    ARGPARSE = "argparse"
    CLICK = "click"
    TYPER = "typer"
    DATACLASS = "dataclass"
    CONFIG = "dataclass without a parser"
    CONSTANTS = "constants"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a script.

    Attributes:
        kind: float, int, bool, str, or "" if the script does not say.
        word: its part of a command template, such as `--lr {lr}`; "" if the command line cannot set it.
        low, high: bounds that the script itself declares.
        required: the script does not start without a value for it.
    """

    name: str
    kind: str
    word: str
    default: Value = None
    choices: tuple[Value, ...] = ()
    help: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGuess:
    """A metric that the script seems to print; its name suggests the direction, minimize or maximize."""

    name: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptReading:
    """Everything that `tunesmith init` needs to know about a script.

    Attributes:
        settings: the settings to tune.
        left_out: names of settings that are not hyperparameters (paths, devices, seeds, ...).
        fidelity: the setting that makes a run shorter.
        seed: the setting of the training seed.
        required: further settings without a default, which the command line must set.
        has_subcommands: the command line must name a subcommand, and each has only some of the settings.
        metrics: guesses, the best first.
    """

    style: Style
    settings: tuple[Setting, ...]
    left_out: tuple[str, ...] = ()
    fidelity: Setting | None = None
    seed: Setting | None = None
    required: tuple[Setting, ...] = ()
    has_subcommands: bool = False
    metrics: tuple[MetricGuess, ...] = ()
