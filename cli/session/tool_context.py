"""Puts together what tools work on, for chat and MCP alike: the study of a folder, which may come to be later."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.planner.forecaster import SamplerForecaster
from tunesmith.cli.session.background_run import BackgroundRuns
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError
from tunesmith.tools.control.inbox import Mailbox, MailboxControl
from tunesmith.tools.control.study_reader import FileFacts
from tunesmith.tools.llm_tools.context import ToolContext


@dataclass(frozen=True, slots=True)
class Wired:
    """One study with all that belongs to it."""

    spec: StudySpec
    context: ToolContext
    runs: BackgroundRuns
    facts: FileFacts


class Wiring:
    """The study file of a folder, and the tools' context for it, made anew when the file changes. For any thread.

    Args:
        study: study.toml, or the folder it stands in or will stand in.
        history: the history file; None for the usual place.
        by: who asks, for the record: chat, mcp.
    """

    def __init__(self, study: Path, history: Path | None, *, by: str) -> None:
        self.file = study_file(study).absolute()
        self.history = history_file(study, history)
        self._by = by
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._wired: Wired | None = None

    def wired(self) -> Wired | None:
        """Return the study, None as long as there is no study file.

        Raises:
            SpecError: the study file has mistakes.
        """
        with self._lock:
            try:
                stat = self.file.stat()
            except OSError:
                return None
            if self._wired is None or self._seen != (stat.st_mtime_ns, stat.st_size):
                before = self._wired
                self._wired = self._made(before)
                self._seen = (stat.st_mtime_ns, stat.st_size)
            return self._wired

    def context(self) -> ToolContext:
        """Return what tools work on now; without a study, or with one that has mistakes, the project alone."""
        try:
            wired = self.wired()
        except SpecError:
            wired = None
        return wired.context if wired else ToolContext(project=self.file.parent)

    def mistakes(self) -> str:
        """Return what is wrong with the study file; "" when it is sound or not there."""
        try:
            self.wired()
        except SpecError as error:
            return str(error)
        return ""

    def _made(self, before: Wired | None) -> Wired:
        spec = load_spec(self.file)
        if before is not None and before.spec.study.name == spec.study.name:
            runs = before.runs
            before.facts.close()
        else:
            runs = BackgroundRuns(self.file, self.history, self.history.parent / spec.study.name)
        folder = self.history.parent / spec.study.name
        facts = FileFacts(self.history, lambda: spec)
        context = ToolContext(
            facts=facts,
            project=self.file.parent,
            folder=folder,
            history=self.history,
            control=MailboxControl(Mailbox(folder), by=self._by),
            forecaster=SamplerForecaster(spec.planner.sampler),
            start=runs.start,
        )
        return Wired(spec, context, runs, facts)
