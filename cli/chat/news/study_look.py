"""One look at the study of a chat: what its news and its status line are made of, read once."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import InputError
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent


@dataclass(frozen=True, slots=True)
class StudyLook:
    """A study at one moment.

    Attributes:
        record: None before the first run.
        best: the trial that the study would choose now; None without a result.
    """

    loaded: LoadedStudy
    record: StudyRecord | None
    view: StudyView
    best: Trial | None
    is_running: bool

    @property
    def name(self) -> str:
        """The study's name."""
        return self.loaded.spec.study.name


def look_at(session: StudySession) -> StudyLook | None:
    """Return the study as it is now; None without one, or while its file is edited or its history is made."""
    try:
        loaded = session.loaded()
        if loaded is None:
            return None
        record, view = loaded.reader.record(), loaded.reader.view()
    except InputError:
        return None
    control = loaded.context.control
    is_running = control is not None and control.is_running()
    return StudyLook(loaded, record, view, incumbent(view.trials, view), is_running)
