"""`tunesmith run`: checks the input, wires the loop to a display and to the signals, and prints the end."""

from __future__ import annotations

import copy
import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunesmith.agent.loop.events import Ended, News, Note
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.planner.factory import Tape
from tunesmith.cli.exits import DONE, INTERRUPTED, NOTHING_COMPLETE
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.evaluator.free_disk import has_room, no_room_text
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, Mistake, SpecError

ENOUGH_TO_TELL = 20
"""From so many trials on, importance decides which parameters get a column."""
LOOK_S = 5.0
"""So often a full disk is looked at again."""
NIGHT_S = 12 * 3600.0
"""So long room is waited for where the study has no deadline."""
OPTIONS = {
    "trials": "budget.trials",
    "hours": "budget.hours",
    "until": "budget.until",
    "parallel": "run.parallel",
    "sampler": "planner.sampler",
    "seed": "study.seed",
    "model": "planner.model",
    "base_url": "planner.base_url",
}
"""The options that stand for a key of study.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says in the place of study.toml; None leaves the file's word."""

    trials: int | None
    hours: float | None
    until: str | None
    parallel: int | None
    sampler: str | None
    seed: int | None
    model: str | None = None
    base_url: str | None = None

    def over(self, spec: StudySpec) -> StudySpec:
        """Return the spec with these values put over it.

        Raises:
            SpecError: a value cannot stand there, or nothing would ever end the study.
        """
        changed = overridden(spec, {option: getattr(self, option) for option in OPTIONS})
        if not changed.budget.ends:
            message = 'nothing would end this study; set trials = 40, hours = 8 or until = "07:00", or pass --trials 40'
            raise SpecError([Mistake("budget", message)], where="study.toml")
        return changed


def overridden(spec: StudySpec, values: Mapping[str, Any]) -> StudySpec:
    """Return the spec with the options' values put over it; None leaves the file's word.

    Raises:
        SpecError: a value cannot stand there.
    """
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    for option, value in values.items():
        if value is not None:
            table, name = OPTIONS[option].split(".")
            document[table] = {**document.get(table, {}), name: value}
    try:
        return parse_spec(document)
    except SpecError as error:
        options = {key: f"--{option.replace('_', '-')}" for option, key in OPTIONS.items()}
        mistakes = [Mistake(options.get(m.key, m.key), m.message) for m in error.mistakes]
        raise SpecError(mistakes, where="the command line") from None


class Display(Protocol):
    """Shows news to whoever watches."""

    def tell(self, news: News) -> None:
        """Show one piece of news."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def run_study(
    study: Path,
    overrides: Overrides,
    *,
    history: Path | None,
    as_json: bool,
    tape: Tape | None = None,
    unsafe_edits: bool = False,
) -> int:
    """Run or resume a study; return the exit status.

    Raises:
        InputError: the study file or the command line is wrong, or the history is held by another process.
    """
    spec = overrides.over(load_spec(study))
    project = study_file(study).absolute().parent
    database = history_file(study, history)
    display = _display(spec, () if as_json else _leading(spec, database), as_json=as_json)

    def opened() -> Loop:
        return Loop(
            spec,
            project=project,
            history=database,
            cpus=len(os.sched_getaffinity(0)),
            tell=display.tell,
            tape=tape,
            unsafe_edits=unsafe_edits,
        )

    try:
        ended = _through_full_disks(opened, database.parent, spec.budget.starting_at(time.time()).until, display)
    finally:
        display.close()
    if not as_json:
        from tunesmith.cli.display.end_summary import print_end

        print_end(database, ended)
    return _exit_status(ended)


def _through_full_disks(opened: Callable[[], Loop], folder: Path, until: float | None, display: Display) -> Ended:
    """Run a study to its end; where the disk is full, wait for room and go on.

    Args:
        opened: makes the run anew.
        folder: where it writes.
        until: the moment at which the study has to end, in seconds since the epoch; None where it has none.
        display: is told what is waited for.

    Raises:
        InputError: it cannot be run.
        DiskFull: there was no room until the study's deadline, for a night, or until a person interrupted.
    """
    while True:
        try:
            loop = opened()
            with _signals(loop.interrupt):
                return loop.run()
        except DiskFull as error:
            display.tell(Note(text=str(error)))
            display.tell(Note(text=no_room_text(folder)))
            if not _room_came(folder, until):
                raise


def _room_came(folder: Path, until: float | None) -> bool:
    """Wait until a folder's disk has room; tell whether that came before `until`, a night's end and an interrupt."""
    interrupted = threading.Event()
    last = min(time.time() + NIGHT_S, math.inf if until is None else until)
    with _signals(interrupted.set):
        # What broke may have been something else after all: without a pause it would break in a circle.
        while not interrupted.wait(LOOK_S) and time.time() < last:
            if has_room(folder):
                return True
    return False


def _exit_status(ended: Ended) -> int:
    if ended.by == "interrupted":
        return INTERRUPTED
    return DONE if ended.best is not None else NOTHING_COMPLETE


def _leading(spec: StudySpec, database: Path) -> tuple[str, ...]:
    """Return the parameters that mattered most so far in a study that is resumed, for the first columns."""
    from tunesmith.history.read import History

    found = History.open_if_any(database)
    if found is None:
        return ()
    with found as history:
        record = history.find(spec.study.name)
        if record is None or record.spent.trials < ENOUGH_TO_TELL or record.spec.space != spec.space:
            return ()
        from tunesmith.tools.analysis.importance import importance  # optuna: 0.5 s

        return tuple(importance(spec.space, history.trials(record.id), spec.objectives[0]))


def _display(spec: StudySpec, leading: Sequence[str], *, as_json: bool) -> Display:
    if as_json:
        from tunesmith.cli.display.json_lines import JsonLines

        return JsonLines(sys.stdout)
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from tunesmith.cli.display.live import LiveTable

        return LiveTable(spec, clock=time.time, leading=leading)
    from tunesmith.cli.display.plain import PlainLines

    width = shutil.get_terminal_size((120, 24)).columns
    return PlainLines(spec, sys.stdout, width=width, leading=leading)


@contextmanager
def _signals(call: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call a function."""

    def ask(number: int, frame: object) -> None:
        call()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
