"""The state of a study at one moment, for `tunesmith watch`. Reads the history; knows no screen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.display.status_text import outage_line
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import open_study
from tunesmith.history.read import History
from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.results import Improvement, is_baseline
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.winner import Winner
from tunesmith.tools.analysis.findings.summary import gain_of
from tunesmith.tools.control.inbox import Inbox

LATEST = 100
"""Number of listed trials; the report lists all."""
LLM_NOTES = 3
"""Number of listed notes about the LLM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        trials: the latest trials, newest first.
        running: the running trials, by slot.
        curves: values of the first objective by trial number, for the running, the best and the chosen trial.
        improvements: each new best value.
        winner: the best with its certainty.
        gain: its gain over the default where that rests on fresh runs, with what it is of; else "".
        front: the Pareto front of several objectives; empty for one.
        left_out: which earlier trials do not count, in words.
        outage: why trials wait for their judge, in words; "" while it answers.
        states: number of trials per state, without replicates.
        notes: notes about the LLM, newest last.
        has_process: whether a process runs the study now.
        chosen: number of the trial under the cursor; None to follow the newest.
        now: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    running: Sequence[Trial]
    best: Trial | None
    default: Trial | None
    winner: Winner | None
    gain: str
    front: Sequence[Trial]
    left_out: str
    outage: str
    curves: Mapping[int, Sequence[Observation]]
    improvements: Sequence[Improvement]
    states: Mapping[TrialState, int]
    budget: Budget
    notes: Sequence[str]
    has_process: bool
    chosen: int | None
    now: float

    @property
    def explained(self) -> Trial | None:
        """The trial whose reason is shown: the chosen, else the latest by the LLM, else the latest with a reason."""
        chosen = next((t for t in self.trials if t.number == self.chosen), None)
        if chosen is not None:
            return chosen
        reasoned = [t for t in self.trials if not t.is_replicate and t.proposal.rationale]
        return next((t for t in reasoned if t.proposal.source is Source.LLM), reasoned[0] if reasoned else None)


class SnapshotReader:
    """Reads snapshots from a history; the study may start later. It never writes a trial and makes no file.

    Args:
        study: study.toml, its folder, or a study's name.
        history: the history file; None for the default path.
    """

    def __init__(self, study: Path, history: Path | None) -> None:
        self._study, self._path = study, history
        self._history: History | None = None
        self._name = ""
        self._folder = Path()

    def read(self, chosen: int | None = None) -> Snapshot | str:
        """Return the current state, or a sentence that says why there is nothing to show.

        Args:
            chosen: number of a trial whose curve is included.
        """
        try:
            if self._history is not None and self._history.is_copy:
                self.close()
            if self._history is None:
                opened = open_study(self._study, self._path)
                self._history, self._name, self._folder = opened.history, opened.record.name, opened.folder
            return _snapshot(self._history, self._history.study(self._name), chosen, time.time(), self._folder)
        except HistoryError as error:
            self.close()
            return str(error)

    def close(self) -> None:
        """Close the history."""
        if self._history is not None:
            self._history.close()
            self._history = None


def _snapshot(history: History, record: StudyRecord, chosen: int | None, now: float, folder: Path) -> Snapshot:
    running = [t for t in history.unfinished(record.id) if t.state is TrialState.RUNNING]
    found, metric = history.winner(record), record.spec.objectives[0].metric
    best, default = found.trial if found else None, history.default(record)
    drawn = {t.number for t in [*running, *([best] if best else [])]} | ({chosen} if chosen is not None else set())
    notes = [str(e.detail.get("note", "")) for e in history.events(record.id, "llm")]
    return Snapshot(
        record=record,
        trials=history.latest(record.id, LATEST)[::-1],
        running=sorted(running, key=lambda t: (t.slot or 0, t.number)),
        best=best,
        default=default if default and is_baseline(default, record.spec.metric_constraints) else None,
        winner=found,
        gain=_fresh_gain(history, record, found),
        front=history.front(record),
        left_out=history.left_out_text(record),
        outage=outage_line(history, record, folder),
        curves={n: [o for o in history.curve(record.id, n) if o.metric == metric] for n in drawn},
        improvements=history.improvements(record),
        states=history.trial_counts(record.id).states,
        budget=current_limits(history, record, now),
        notes=notes[-LLM_NOTES:],
        has_process=Inbox(folder).has_running_loop(),
        chosen=chosen,
        now=now,
    )


def _fresh_gain(history: History, record: StudyRecord, found: Winner | None) -> str:
    if found is None or not (found.is_confirmed or found.is_hidden):
        return ""
    stated = gain_of(record, history.trials(record.id), found)
    return stated.signed if stated is not None and stated.is_fresh else ""
