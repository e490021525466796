"""What a tool may reach: a study's facts, its files, a way to ask the loop for something, and a model's forecast.

Tools know this and nothing above it: whoever offers them (planner, chat, MCP server) wires it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.study.commands import Command
from tunesmith.study.config.record import Lesson, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import Prediction
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Variant


class StudyReader(Protocol):
    """What is known of one study. May be called from any thread."""

    @property
    def spec(self) -> StudySpec:
        """The study as it now stands."""

    def view(self) -> StudyView:
        """Return every trial so far."""

    def record(self) -> StudyRecord | None:
        """Return the study as a whole; None before its first run."""

    def curve(self, number: int) -> Sequence[Observation]:
        """Return what a trial reported, in the order in which it came."""

    def lessons(self) -> Sequence[Lesson]:
        """Return what was learned so far."""

    def variants(self) -> Sequence[Variant]:
        """Return every version of the code, in the order of making."""


class StudyControl(Protocol):
    """Asks the loop of a study for something. The loop decides; only it writes the history."""

    def is_running(self) -> bool:
        """Tell whether a loop is at work on the study."""

    def send(self, command: Command) -> str:
        """Hand over an order and return what the loop answered, or that it will be done when a loop next runs.

        Raises:
            ToolRefused: the loop refused; the message says why.
        """


@dataclass(frozen=True, slots=True)
class ConfigForecast:
    """What a model expects of a configuration: the first objective, and the probability that it runs through."""

    prediction: Prediction
    p_feasible: float


@dataclass(frozen=True, slots=True)
class SuggestedConfig:
    """A configuration that somebody suggests, and why."""

    params: Mapping[str, Value]
    source: str
    why: str


class Forecaster(Protocol):
    """Has a model of the study."""

    def forecast(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[ConfigForecast] | None:
        """Return what is expected of valid configurations; None while too little is known."""

    def points(self, view: StudyView, count: int) -> list[SuggestedConfig]:
        """Return configurations that are worth a trial next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What the tools of one conversation work on. What is None is not there, and tools say so.

    Attributes:
        reader: the study; None as long as there is none.
        project: the folder whose files may be read; None for a study from Python.
        folder: the study's own folder, with its trials' logs.
        history: the history file, which may come to be later.
        start: starts a run of the study in the background, and returns a line about it.
    """

    reader: StudyReader | None = None
    project: Path | None = None
    folder: Path | None = None
    history: Path | None = None
    control: StudyControl | None = None
    forecaster: Forecaster | None = None
    start: Callable[[], str] | None = None

    @property
    def study(self) -> StudyReader:
        """The study.

        Raises:
            ToolRefused: there is none yet.
        """
        if self.reader is None:
            raise ToolRefused("there is no study here yet: read the training script, and propose one by write_study")
        return self.reader
