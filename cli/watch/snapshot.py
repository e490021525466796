"""What `tunesmith watch` shows of a study at one moment, read from its history alone. Knows no screen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.session.limits import limits_now
from tunesmith.cli.session.locate import history_file, open_study
from tunesmith.history.read import History
from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.results import Improvement
from tunesmith.study.trials.trial import Source, Trial, TrialState

LATEST = 100
"""So many trials are listed; the report has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A study at one moment.

    Attributes:
        trials: the latest ones, the newest first.
        running: those that run, by slot.
        curves: of those that run, of the best and of the chosen one, the first objective alone, by number.
        improvements: each new best so far.
        states: how many trials are in each state, repetitions left out.
        notes: what was told of the LLM, the newest last.
        chosen: the trial that a person looks at; None for the newest.
        now: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    running: Sequence[Trial]
    best: Trial | None
    default: Trial | None
    curves: Mapping[int, Sequence[Observation]]
    improvements: Sequence[Improvement]
    states: Mapping[TrialState, int]
    budget: Budget
    notes: Sequence[str]
    chosen: int | None
    now: float

    @property
    def reason(self) -> Trial | None:
        """The chosen trial, else the latest with a reason: the LLM's, where it takes part."""
        chosen = next((t for t in self.trials if t.number == self.chosen), None)
        if chosen is not None:
            return chosen
        own = [t for t in self.trials if not t.is_replicate and t.proposal.rationale]
        return next((t for t in own if t.proposal.source is Source.LLM), own[0] if own else None)


class Glancer:
    """Looks into the history again and again; the study may come to be later. Never writes.

    Args:
        study: study.toml, its folder, or a study's name.
        history: the history file; None for the usual place.
    """

    def __init__(self, study: Path, history: Path | None) -> None:
        self._study, self._path = study, history
        self._history: History | None = None
        self._name = ""

    def look(self, chosen: int | None = None) -> Glance | str:
        """Return the study as it stands, or a sentence that says why there is nothing to see.

        Args:
            chosen: the number of a trial whose curve is wanted as well.
        """
        try:
            if self._history is None:
                # Opening may bring an old file up to date, but never makes one.
                located = open_study(self._study, self._path)
                self._history, self._name = located.history, located.record.name
            return _glance(self._history, self._history.study(self._name), chosen, time.time())
        except HistoryError as error:
            self.close()
            return str(error)

    @property
    def place(self) -> Path:
        """Where the history is looked for."""
        return history_file(self._study, self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._history is not None:
            self._history.close()
            self._history = None


def _glance(history: History, record: StudyRecord, chosen: int | None, now: float) -> Glance:
    running = [t for t in history.unfinished(record.id) if t.state is TrialState.RUNNING]
    best, metric = history.best(record), record.spec.objectives[0].metric
    shown = {t.number for t in [*running, *([best] if best else [])]} | ({chosen} if chosen is not None else set())
    notes = [str(e.detail.get("note", "")) for e in history.events(record.id, "llm")]
    return Glance(
        record=record,
        trials=history.latest(record.id, LATEST)[::-1],
        running=sorted(running, key=lambda t: (t.slot or 0, t.number)),
        best=best,
        default=history.default(record.id),
        curves={n: [o for o in history.curve(record.id, n) if o.metric == metric] for n in shown},
        improvements=history.improvements(record),
        states=history.tally(record.id).states,
        budget=limits_now(history, record, now),
        notes=notes[-3:],
        chosen=chosen,
        now=now,
    )
