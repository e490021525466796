"""The studies of a folder for a server that several clients use at once: each call names its study."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.studies.finding import find_study, listed_names


class StudySessions:
    """One session for each study that was asked about. Any thread may call it.

    Args:
        study: study.toml or its folder, the study that is meant where none is named; it need not exist.
        history: the history file; None for the default path.
        by: who gives commands, as the history records it.
        may_write: whether reading tools may leave files.
    """

    def __init__(self, study: Path, history: Path | None, *, by: str, may_write: bool) -> None:
        self._default = StudySession(study, history, by=by)
        self._history, self._by, self._may_write = history, by, may_write
        self._lock = threading.Lock()
        self._others: dict[str, StudySession] = {}

    def names(self) -> list[str]:
        """Return the names of the studies, those with a file first."""
        return listed_names(self._default.file.parent, self._default.history)

    def context(self, name: str) -> ToolContext:
        """Return the context of a study.

        Args:
            name: its name or that of its file; "" for the one that the server was started with.

        Raises:
            ToolRefused: there is no such study, or several and none was named.
            InputError: its file has mistakes.
        """
        session = self._session(name) if name else self._default
        context = session.context()
        if not name and context.reader is None and not context.mistakes and len(names := self.names()) > 1:
            raise ToolRefused(f"there are several studies here; name one as study: {', '.join(names)}")
        return replace(context, may_write=self._may_write, select=self.context)

    def _session(self, name: str) -> StudySession:
        known, file = find_study(self._default.file.parent, self._default.history, name)
        if file == self._default.file and not self._default.recorded:
            return self._default
        with self._lock:
            if known not in self._others:
                made = StudySession(self._default.file.parent, self._history, by=self._by)
                made.select(known)
                self._others[known] = made
            return self._others[known]
