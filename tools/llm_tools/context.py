"""What tools work on: a study, its files, its running loop, and forecasts of the surrogate model.

Tools know these interfaces only. The planner, the chat and the MCP server supply the implementations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tunesmith.study.commands import Command
from tunesmith.study.config.record import Event, Lesson, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Prediction
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Variant

if TYPE_CHECKING:
    from tunesmith.tools.interop.importing.plan import ImportRequest


class StudyReader(Protocol):
    """Reads one study. May be called from any thread."""

    @property
    def spec(self) -> StudySpec:
        """The study's current configuration."""

    def view(self) -> StudyView:
        """Return every trial so far."""

    def record(self) -> StudyRecord | None:
        """Return the study's record; None before its first run."""

    def curve(self, number: int) -> Sequence[Observation]:
        """Return what a trial reported, in the order of arrival."""

    def lessons(self) -> Sequence[Lesson]:
        """Return the lessons that the LLM planner has written so far."""

    def variants(self) -> Sequence[Variant]:
        """Return every variant of the code, in the order of creation."""

    def commands(self) -> Sequence[Event]:
        """Return the answered commands of all runs, in their order."""

    def scale_runs(self) -> Sequence[Event]:
        """Return the runs at the larger scale of [confirm], in their order."""

    def outages(self) -> Sequence[Event]:
        """Return the events that say whether the study's judge of texts answers, in their order."""


class StudyControl(Protocol):
    """Sends commands to the loop of a study. The loop decides what they do; only it writes the history."""

    def is_running(self) -> bool:
        """Return whether a loop runs the study."""

    def running_since(self) -> float | None:
        """Return when the loop that runs the study started, in seconds since the epoch; None while none runs."""

    def check(self, command: Command) -> None:
        """Check a command before anybody is asked about it.

        Raises:
            ToolRefused: the loop would refuse the command as the study is now; the message says why.
        """

    def send(self, command: Command) -> str:
        """Send a command; return the loop's answer, or that the command waits for the next run.

        Raises:
            ToolRefused: the loop refused the command; the message says why.
        """


@dataclass(frozen=True, slots=True)
class ConfigForecast:
    """Forecast for a configuration: the first objective and the probability of success within the constraints."""

    prediction: Prediction
    p_feasible: float


@dataclass(frozen=True, slots=True)
class SuggestedConfig:
    """A suggested configuration, its source and the reason."""

    params: Mapping[str, Value]
    source: str
    why: str


class Forecaster(Protocol):
    """Forecasts and suggests by a surrogate model of the study."""

    def forecast(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[ConfigForecast] | None:
        """Return a forecast for each of some valid configurations; None while there are too few trials for a model."""

    def points(self, view: StudyView, count: int) -> list[SuggestedConfig]:
        """Return suggestions for the next trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What the tools of one conversation work on. Tools refuse what needs a field that is None.

    Attributes:
        reader: reads the study; None while there is no study.
        project: the folder whose files may be read; None for a study from Python.
        folder: the study's own folder, with its trials' logs.
        history: the history file; need not exist yet.
        control: sends commands to the study's loop.
        forecaster: the surrogate model.
        start: starts a run of the study in the background and returns a line about it.
        take_in: takes results of elsewhere into the history; raises ToolRefused where that fails.
        may_write: whether reading tools may leave files in the study's folder, such as the report.
        interruption: ends a wait when it is set; None where nobody can interrupt.
        reload: returns the context of the study as its file is now, after it was written.
        select: returns the context of another study of the folder, by its name; a chat stays with it. None where
            there is only one.
        file: the study file, which need not exist yet; None for a study without one.
        mistakes: the mistakes in the study file, for which there is no reader; "" without any.
        speaker: returns which model calls the tools and what its conversation has cost; None where nobody knows.
    """

    reader: StudyReader | None = None
    project: Path | None = None
    folder: Path | None = None
    history: Path | None = None
    control: StudyControl | None = None
    forecaster: Forecaster | None = None
    start: Callable[[], str] | None = None
    take_in: Callable[[ImportRequest], None] | None = None
    may_write: bool = True
    reload: Callable[[], ToolContext] | None = None
    select: Callable[[str], ToolContext] | None = None
    file: Path | None = None
    mistakes: str = ""
    interruption: threading.Event | None = None
    speaker: Callable[[], str] | None = None

    @property
    def study(self) -> StudyReader:
        """The reader of the study.

        Raises:
            ToolRefused: there is no study yet.
        """
        if self.reader is None and self.mistakes:
            raise ToolRefused(self.mistakes)
        if self.reader is None:
            raise ToolRefused(
                "there is no study here yet; read the training script and create a study with write_study"
            )
        return self.reader

    @property
    def required_control(self) -> StudyControl:
        """What sends commands to the study's loop.

        Raises:
            ToolRefused: the study cannot be controlled from here.
        """
        if self.control is None and self.mistakes:
            raise ToolRefused(self.mistakes)
        if self.control is None:
            raise ToolRefused("this study cannot be controlled from here")
        return self.control
