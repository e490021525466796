"""Loads the study of a folder for chat and MCP, and builds the context that its tools work in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.loop.commands.checking import check_command
from tunesmith.agent.planner.estimates.forecaster import SamplerForecaster
from tunesmith.cli.session.background_run import BackgroundRuns
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A study file that is valid, with its reader, its background runs and the context of its tools."""

    spec: StudySpec
    context: ToolContext
    runs: BackgroundRuns
    reader: FileStudyReader


class StudySession:
    """The study of a folder, loaded again whenever its file changes. Any thread may call it.

    Args:
        study: study.toml or its folder; the file may be written later.
        history: the history file; None for the default path.
        by: who gives commands, as the history records it: chat or mcp.

    Attributes:
        interruption: ends the wait of a tool when it is set.
    """

    def __init__(self, study: Path, history: Path | None, *, by: str) -> None:
        self.file = study_file(study).absolute()
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
            try:
                stat = self.file.stat()
            except OSError:
                return None
            version = stat.st_mtime_ns, stat.st_size
            if self._loaded is None or self._version != version:
                self._loaded = self._load(self._loaded)
                self._version = version
            return self._loaded

    def context(self) -> ToolContext:
        """Return the context of the tools; only the project's folder without a valid study file."""
        try:
            loaded = self.loaded()
        except SpecError:
            loaded = None
        return loaded.context if loaded else ToolContext(project=self.file.parent, reload=self.context)

    def mistakes(self) -> str:
        """Return the mistakes in the study file; "" if it is valid or absent."""
        try:
            self.loaded()
        except SpecError as error:
            return str(error)
        return ""

    def _load(self, before: LoadedStudy | None) -> LoadedStudy:
        spec = load_spec(self.file)
        folder = self.history.parent / spec.study.name
        if before is not None:
            before.reader.close()
        runs = BackgroundRuns(self.file, self.history, folder)
        reader = FileStudyReader(self.history, lambda: spec, project=self.file.parent)
        inbox = Inbox(folder)
        context = ToolContext(
            reader=reader,
            project=self.file.parent,
            folder=folder,
            history=self.history,
            control=InboxControl(
                inbox, by=self._by, check=lambda command: check_command(command, spec, reader, inbox.pending())
            ),
            forecaster=SamplerForecaster(spec.planner.sampler),
            start=runs.start,
            reload=self.context,
            interruption=self.interruption,
        )
        return LoadedStudy(spec, context, runs, reader)
