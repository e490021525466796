"""The line below the prompt of a chat: the state of the study at this moment."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tunesmith.cli.chat.spending import total_usd
from tunesmith.cli.session.study_session import LoadedStudy
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.pace import seconds_left


def status_line(loaded: LoadedStudy | None, chat_usd: float) -> str:
    """Return such as `digits 23/60  best 0.977 (#25)  2 running  3 min left  $0.02`; "" before the first run."""
    record = loaded.reader.record() if loaded is not None else None
    if loaded is None or record is None:
        return ""
    view = loaded.reader.view()
    control = loaded.context.control
    is_running = control is not None and control.is_running()
    spec = record.spec
    budget = spec.budget.starting_at(time.time())
    parts = [f"{record.name} {_progress(budget, record.spent)}", *_best(view), *_states(view, is_running=is_running)]
    if is_running:
        parts += _time_left(budget, record.spent, view, spec.run.parallel or 1)
    usd = total_usd(record.spent, chat_usd)
    return "  ".join([*parts, *([f"${usd:.2f}"] if usd else [])])


def _progress(budget: Budget, spent: Spent) -> str:
    done = f"{spent.full_runs:.0f}"
    return f"{done}/{budget.trials}" if budget.trials is not None else f"{done} trials"


def _best(view: StudyView) -> list[str]:
    best = incumbent(view.trials, view)
    if best is None:
        return []
    values = " ".join(short_number(best.values[o.metric]) for o in view.objectives if o.metric in best.values)
    return [f"best {values} (#{best.number})"]


def _states(view: StudyView, *, is_running: bool) -> list[str]:
    if not is_running:
        return ["not running"]
    counts: Mapping[TrialState, int] = {
        state: sum(t.state is state for t in view.trials) for state in (TrialState.RUNNING, TrialState.WAITING)
    }
    return [f"{number} {state.value}" for state, number in counts.items() if number]


def _time_left(budget: Budget, spent: Spent, view: StudyView, at_once: int) -> list[str]:
    left = seconds_left(budget, spent, view, at_once=at_once, now=time.time())
    return [f"{short_seconds(left)} left"] if left is not None else []
