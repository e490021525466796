"""Reads a study for tools: from a history file, read again at each call, or from a view in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.history.earlier import find_earlier_studies
from tunesmith.history.project import require_project
from tunesmith.history.read import History
from tunesmith.study.config.record import Event, Lesson, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Variant
from tunesmith.tools.analysis.confirmation.at_scale import SCALE_ENDED
from tunesmith.tools.analysis.findings.judge_line import OUTAGE_EVENT
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT


class FileStudyReader:
    """Reads a study from a history file. The file and the study in it need not exist yet.

    Args:
        path: the history file.
        load: reads the study file; used until the study is in the history.
        project: the folder of the study file; a study of that name of another project is refused.
    """

    def __init__(self, path: Path, load: Callable[[], StudySpec], *, project: Path | None = None) -> None:
        self._path = path
        self._project = project
        self._load = load
        self._lock = threading.Lock()
        self._history: History | None = None

    @property
    def spec(self) -> StudySpec:
        """The study in the history; before its first run the study file."""
        record = self.record()
        return record.spec if record else self._load()

    def view(self) -> StudyView:
        """Return every trial so far; those that count nowhere are set aside."""
        with self._open() as found:
            if found is None:
                return study_view(self._load(), [])
            history, record = found
            # Earlier studies that cannot be read are ignored here; only a run refuses to start without them.
            earlier = find_earlier_studies(history, record.spec, record.project).studies
            return study_view(record.spec, history.trials(record.id), earlier=earlier)

    def record(self) -> StudyRecord | None:
        """Return the study's record; None before its first run."""
        with self._open() as found:
            return found[1] if found else None

    def curve(self, number: int) -> Sequence[Observation]:
        """Return what a trial reported."""
        with self._open() as found:
            return found[0].curve(found[1].id, number) if found else []

    def lessons(self) -> Sequence[Lesson]:
        """Return the lessons so far."""
        with self._open() as found:
            return found[0].lessons(found[1].id) if found else []

    def variants(self) -> Sequence[Variant]:
        """Return every variant of the code."""
        with self._open() as found:
            return found[0].variants(found[1].id) if found else []

    def commands(self) -> Sequence[Event]:
        """Return the answered commands of all runs, in their order."""
        with self._open() as found:
            return found[0].events(found[1].id, COMMAND_EVENT) if found else []

    def scale_runs(self) -> Sequence[Event]:
        """Return the runs at the larger scale of [confirm], in their order."""
        with self._open() as found:
            return found[0].events(found[1].id, SCALE_ENDED) if found else []

    def outages(self) -> Sequence[Event]:
        """Return the events that say whether the judge of texts answers, in their order."""
        with self._open() as found:
            return found[0].events(found[1].id, OUTAGE_EVENT) if found else []

    def close(self) -> None:
        """Close the history file."""
        with self._lock:
            if self._history is not None:
                self._history.close()
                self._history = None

    @contextmanager
    def _open(self) -> Iterator[tuple[History, StudyRecord] | None]:
        """Yield the history and the study's record; None without them.

        The file stays open, so that finished trials are read only once.
        """
        with self._lock:
            if self._history is not None and self._history.is_copy:
                # A file of an older version: what changed since is in the file only.
                self._history.close()
                self._history = None
            if self._history is None:
                self._history = History.open_if_any(self._path, any_thread=True)
            record = self._history.find(self._load().study.name) if self._history else None
            if record and record.project and self._project is not None:
                require_project(record, str(self._project), self._path)
            yield (self._history, record) if self._history and record else None


@dataclass(frozen=True, slots=True)
class InMemoryStudyReader:
    """A study in memory. Reads no file, so it does not disturb the training.

    Attributes:
        series: returns what a trial reported while it ran.
    """

    spec: StudySpec
    trials: StudyView
    versions: tuple[Variant, ...] = ()
    series: Callable[[int], Sequence[Observation]] = lambda _: ()

    def view(self) -> StudyView:
        """Return the view."""
        return self.trials

    def record(self) -> StudyRecord | None:
        """Return None: there is no record in memory."""
        return None

    def curve(self, number: int) -> Sequence[Observation]:
        """Return what a trial reported, as far as it is in memory."""
        return self.series(number)

    def lessons(self) -> Sequence[Lesson]:
        """Return []: there are no lessons in memory; prompts contain them already."""
        return []

    def variants(self) -> Sequence[Variant]:
        """Return the versions of the code that were given."""
        return self.versions

    def commands(self) -> Sequence[Event]:
        """Return []: commands reach a study through its inbox, which is a folder."""
        return []

    def scale_runs(self) -> Sequence[Event]:
        """Return []: what ran after a study is in its history only."""
        return []

    def outages(self) -> Sequence[Event]:
        """Return []: a study in memory waits for nobody."""
        return []


def study_view(spec: StudySpec, trials: Sequence[Trial], *, earlier: tuple[EarlierStudy, ...] = ()) -> StudyView:
    """Return a study's trials as planners and samplers see them: those that count, and apart from them the others."""
    return StudyView(
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.metric_constraints,
        trials=tuple(t for t in trials if t.counts),
        set_aside=tuple(t for t in trials if not t.counts),
        number=len(trials),
        seed=spec.study.seed,
        fidelity=spec.fidelity_range,
        earlier=earlier,
        scale=spec.scale,
    )
