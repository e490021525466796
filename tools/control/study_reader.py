"""Two sources of facts for tools: a history file, read anew at each question, and a snapshot that is at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.history.earlier import find_earlier_studies
from tunesmith.history.read import History
from tunesmith.study.config.record import Lesson, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Variant


class FileStudyReader:
    """The facts of a study in a history file. The file, and the study in it, may come to be later.

    Args:
        path: the history.
        load: reads the study file, for as long as the study has not run.
    """

    def __init__(self, path: Path, load: Callable[[], StudySpec]) -> None:
        self._path = path
        self._load = load
        self._lock = threading.Lock()
        self._history: History | None = None

    @property
    def spec(self) -> StudySpec:
        """The study as the history has it, else as its file has it."""
        record = self.record()
        return record.spec if record else self._load()

    def view(self) -> StudyView:
        """Return every trial so far."""
        with self._open() as found:
            if found is None:
                return study_view(self._load(), [])
            history, record = found
            # What cannot be read any more teaches nothing; only a run refuses to begin without it.
            earlier = find_earlier_studies(history, record.spec, record.project).studies
            return study_view(record.spec, history.trials(record.id), earlier=earlier)

    def record(self) -> StudyRecord | None:
        """Return the study as a whole; None before its first run."""
        with self._open() as found:
            return found[1] if found else None

    def curve(self, number: int) -> Sequence[Observation]:
        """Return what a trial reported."""
        with self._open() as found:
            return found[0].curve(found[1].id, number) if found else []

    def lessons(self) -> Sequence[Lesson]:
        """Return what was learned so far."""
        with self._open() as found:
            return found[0].lessons(found[1].id) if found else []

    def variants(self) -> Sequence[Variant]:
        """Return every version of the code."""
        with self._open() as found:
            return found[0].variants(found[1].id) if found else []

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._history is not None:
                self._history.close()
                self._history = None

    @contextmanager
    def _open(self) -> Iterator[tuple[History, StudyRecord] | None]:
        """Give the history and the study in it. It stays open, since finished trials are then read once."""
        with self._lock:
            if self._history is None:
                self._history = History.open_if_any(self._path, any_thread=True)
            record = self._history.find(self._load().study.name) if self._history else None
            yield (self._history, record) if self._history and record else None


@dataclass(frozen=True, slots=True)
class InMemoryStudyReader:
    """Facts that are at hand: nothing is read, so this may be used beside the training."""

    study: StudySpec
    trials: StudyView

    @property
    def spec(self) -> StudySpec:
        """The study."""
        return self.study

    def view(self) -> StudyView:
        """Return the trials."""
        return self.trials

    def record(self) -> StudyRecord | None:
        """Nothing is known of the study as a whole."""
        return None

    def curve(self, number: int) -> Sequence[Observation]:  # noqa: ARG002  # a snapshot has no curves
        """Nothing is known of curves."""
        return []

    def lessons(self) -> Sequence[Lesson]:
        """Lessons are shown by whoever took the snapshot."""
        return []

    def variants(self) -> Sequence[Variant]:
        """Versions are shown by whoever asks for edits."""
        return []


def study_view(spec: StudySpec, trials: Sequence[Trial], *, earlier: tuple[EarlierStudy, ...] = ()) -> StudyView:
    """Return a study's trials as a proposer sees them."""
    return StudyView(
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.metric_constraints,
        trials=trials,
        number=len(trials),
        seed=spec.study.seed,
        fidelity=spec.fidelity_range,
        earlier=earlier,
        scale=spec.scale,
    )
