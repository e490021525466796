"""Loads the study of a folder for chat and MCP, and builds the context that its tools work in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.loop.commands.checking import check_command
from tunesmith.agent.planner.estimates.forecaster import SamplerForecaster
from tunesmith.cli.session.background_run import BackgroundRuns
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.studies.finding import find_study, study_files
from tunesmith.tools.llm_tools.studies.study_files import STUDY_FILE


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A study with its reader and the context of its tools; `runs` is None for one without a file."""

    spec: StudySpec
    context: ToolContext
    runs: BackgroundRuns | None
    reader: FileStudyReader


class StudySession:
    """A study of a folder, loaded again whenever its file changes. Any thread may call it.

    Args:
        study: study.toml or its folder; the file may be written later. A folder without study.toml whose only study
            has another file means that one.
        history: the history file; None for the default path.
        by: who gives commands, as the history records it: chat or mcp.

    Attributes:
        file: the study file.
        recorded: the name of a study that only the history has, which then is the study; "" for one with a file.
        interruption: ends the wait of a tool when it is set.
    """

    def __init__(self, study: Path, history: Path | None, *, by: str) -> None:
        self.file = _only_file(study_file(study).absolute())
        self.recorded = ""
        self.history = history_file(study, history)
        self._by = by
        self.interruption = threading.Event()
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._loaded: LoadedStudy | None = None

    def loaded(self) -> LoadedStudy | None:
        """Return the study; None while the study file does not exist.

        Raises:
            SpecError: the study file has mistakes.
        """
        with self._lock:
            if self.recorded:
                self._loaded = self._loaded or self._load_recorded(self.recorded)
                return self._loaded
            try:
                stat = self.file.stat()
            except OSError:
                return None
            version = stat.st_mtime_ns, stat.st_size
            if self._loaded is None or self._version != version:
                self._loaded = self._load(self._loaded)
                self._version = version
            return self._loaded

    def select(self, name: str) -> ToolContext:
        """Turn to another study of the folder; return its context.

        Args:
            name: its name, or that of its file.

        Raises:
            ToolRefused: there is no such study; the message names the nearest.
            SpecError: its file has mistakes.
        """
        known, file = find_study(self.file.parent, self.history, name)
        with self._lock:
            if self._loaded is not None:
                self._loaded.reader.close()
            self._loaded = self._version = None
            self.file, self.recorded = (file, "") if file is not None else (self.file, known)
        self.loaded()
        return self.context()

    def context(self) -> ToolContext:
        """Return the context of the tools; only the project's folder without a valid study file."""
        mistakes = ""
        try:
            loaded = self.loaded()
        except SpecError as error:
            loaded, mistakes = None, str(error)
        if loaded is not None:
            return loaded.context
        return ToolContext(
            project=self.file.parent,
            history=self.history,
            file=self.file,
            reload=self.context,
            select=self.select,
            mistakes=mistakes,
        )

    def mistakes(self) -> str:
        """Return the mistakes in the study file; "" if it is valid or absent."""
        try:
            self.loaded()
        except SpecError as error:
            return str(error)
        return ""

    def _load(self, before: LoadedStudy | None) -> LoadedStudy:
        spec = load_spec(self.file)
        if before is not None:
            before.reader.close()
        runs = BackgroundRuns(self.file, self.history, self.history.parent / spec.study.name)
        return self._made(spec, runs, file=self.file, project=self.file.parent)

    def _load_recorded(self, name: str) -> LoadedStudy:
        """Load a study without a file: it can be read and steered, and does not start.

        Raises:
            HistoryError: it is not in the history.
        """
        with History.open(self.history) as history:
            record = history.study(name)
        project = self.file.parent if record.project == str(self.file.parent) else None
        return self._made(record.spec, None, file=None, project=project)

    def _made(
        self, spec: StudySpec, runs: BackgroundRuns | None, *, file: Path | None, project: Path | None
    ) -> LoadedStudy:
        folder = self.history.parent / spec.study.name
        reader = FileStudyReader(self.history, lambda: spec, project=project)
        inbox = Inbox(folder)
        context = ToolContext(
            reader=reader,
            project=project,
            folder=folder,
            history=self.history,
            control=InboxControl(
                inbox, by=self._by, check=lambda command: check_command(command, spec, reader, inbox.pending())
            ),
            forecaster=SamplerForecaster(spec.planner.sampler),
            start=runs.start if runs is not None else None,
            take_in=runs.take_in if runs is not None else None,
            reload=self.context,
            select=self.select,
            file=file,
            interruption=self.interruption,
        )
        return LoadedStudy(spec, context, runs, reader)


def _only_file(file: Path) -> Path:
    """Return a study file that exists or was named; in its place the only study file of the folder."""
    if file.name != STUDY_FILE or file.exists():
        return file
    others = list(study_files(file.parent).values())
    return others[0] if len(others) == 1 else file
