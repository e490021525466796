"""The line below the prompt of a chat: the state of the study at this moment."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tunesmith.cli.chat.news.study_look import StudyLook
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.pace import seconds_left


def status_line(look: StudyLook | None, unbilled_usd: float) -> str:
    """Return such as `digits 23/60  best 0.977 (#25)  2 running  3 min left  $0.02`; "" before the first run.

    Args:
        look: the study now.
        unbilled_usd: dollars of the chat that the study has not counted yet.
    """
    if look is None or look.record is None:
        return ""
    record, view, spec = look.record, look.view, look.record.spec
    budget = spec.budget.starting_at(time.time())
    parts = [f"{record.name} {_progress(budget, record.spent)}", *_best(look), *_states(look)]
    if look.is_running:
        parts += _time_left(budget, record.spent, view, spec.run.parallel or 1)
    usd = record.spent.llm_usd + unbilled_usd
    return "  ".join([*parts, *([f"${usd:.2f}"] if usd else [])])


def _progress(budget: Budget, spent: Spent) -> str:
    done = f"{spent.full_runs:.0f}"
    return f"{done}/{budget.trials}" if budget.trials is not None else f"{done} trials"


def _best(look: StudyLook) -> list[str]:
    best = look.best
    if best is None:
        return []
    values = " ".join(short_number(best.values[o.metric]) for o in look.view.objectives if o.metric in best.values)
    return [f"best {values} (#{best.number})"]


def _states(look: StudyLook) -> list[str]:
    if not look.is_running:
        return ["not running"]
    counts: Mapping[TrialState, int] = {
        state: sum(t.state is state for t in look.view.trials) for state in (TrialState.RUNNING, TrialState.WAITING)
    }
    return [f"{number} {state.value}" for state, number in counts.items() if number]


def _time_left(budget: Budget, spent: Spent, view: StudyView, at_once: int) -> list[str]:
    left = seconds_left(budget, spent, view, at_once=at_once, now=time.time())
    return [f"{short_seconds(left)} left"] if left is not None else []
