"""What was found in a training script. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tunesmith.study.space.condition import Value


class Style(StrEnum):
    """How a script takes its settings; only CONSTANTS and CONFIG cannot be reached from the command line."""

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
        kind: float, int, bool, str, or "" when the script does not say.
        word: how it stands in a command template, such as `--lr {lr}`; "" when the command line cannot set it.
        low, high: bounds that the script itself states.
        required: the script does not start without it.
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
    """A number that the script seems to print; `direction` is minimize or maximize by the sound of its name."""

    name: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptReading:
    """Everything that init needs to know.

    Attributes:
        settings: what may be tuned.
        left_out: names of settings that are no hyperparameters (paths, devices, seeds, ...).
        fidelity: the setting by which a run can be made shorter.
        seed: the setting that takes the seed.
        required: settings without a default that the command line must give, beside the tunable ones.
        has_subcommands: the command line must name one, and each takes only some of the settings.
        metrics: best guess first.
    """

    style: Style
    settings: tuple[Setting, ...]
    left_out: tuple[str, ...] = ()
    fidelity: Setting | None = None
    seed: Setting | None = None
    required: tuple[Setting, ...] = ()
    has_subcommands: bool = False
    metrics: tuple[MetricGuess, ...] = ()
