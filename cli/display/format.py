"""Pieces of lines in a terminal: values, a sparkline, a budget bar, short paths; and the door for what is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from rich.cells import cell_len, set_cell_size

from tunesmith.history.queries.counts import TrialCounts
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.formatting import (
    SHORT_DIGITS,
    count,
    escape_control,
    one_line,
    position_between,
    render_params,
    strip_control,
)
from tunesmith.study.trials.results import gain_over_text
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.trials.winner import Winner, certainty_text
from tunesmith.study.units import short_number, short_seconds

_BARS = "▁▂▃▄▅▆▇█"
_SPARKLINE_WIDTH = 20
MAX_FRONT = 8
"""Number of trials of a Pareto front that a line names."""


def sparkline(values: Sequence[float]) -> str:
    """Return one bar for each of at most 20 values, the smallest lowest; "" for fewer than two values."""
    if len(values) < 2:
        return ""
    last = _SPARKLINE_WIDTH - 1
    picked = values
    if len(values) > _SPARKLINE_WIDTH:
        picked = [values[round(i * (len(values) - 1) / last)] for i in range(_SPARKLINE_WIDTH)]
    finite = [value for value in picked if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    return "".join(_BARS[round(position_between(value, low, high) * (len(_BARS) - 1))] for value in finite)


def set_aside_text(counts: TrialCounts) -> str:
    """Return how many trials count nowhere, and why."""
    failed, forgotten = counts.set_aside - counts.forgotten, counts.forgotten
    whose, were = "its" if failed == 1 else "their", "was" if forgotten == 1 else "were"
    parts = [f"{count(failed, 'trial')} that failed regardless of {whose} parameters"] if failed else []
    parts += [f"{count(forgotten, 'trial')} that {were} forgotten"] if forgotten else []
    return f"{' and '.join(parts)}; {'it counts' if counts.set_aside == 1 else 'they count'} nowhere"


def budget_bar(budget: Budget, spent: Spent, now: float, *, seconds_per_trial: float | None, width: int = 10) -> str:
    """Return `[■■■□□] 12 of 40 trials, about 6 min left`; "" without limits."""
    shares = list(budget.limit_usage(spent))
    deadline = budget.deadline(spent, now)
    seconds = [deadline.seconds_left] if deadline else []
    if budget.trials is not None and seconds_per_trial is not None:
        seconds.append(max(budget.trials - spent.full_runs, 0) * seconds_per_trial)
    if not shares and not seconds:
        return ""
    parts = [_trials_part(budget.trials, spent)] if budget.trials is not None else []
    parts += [f"{spent.runs} of {count(budget.runs, 'run')}"] if budget.runs is not None else []
    if seconds:
        parts.append(f"about {short_seconds(min(seconds))} left")
    fullest = max((share.fraction for share in shares), default=0.0)
    filled = round(min(max(fullest, 0.0), 1.0) * width)
    return f"[{'■' * filled}{'□' * (width - filled)}] {', '.join(parts)}".rstrip()


def _trials_part(limit: int, spent: Spent) -> str:
    if spent.saved:
        return f"{spent.full_runs:.1f} of {limit} full runs in {spent.trials} trials"
    return f"{spent.trials} of {count(limit, 'trial')}"


def state_counts(states: Mapping[TrialState, int]) -> str:
    """Return `43 done 5 stopped 3 failed`, without the states that no trial is in."""
    words = {TrialState.COMPLETE: "done", TrialState.STOPPED: "stopped", TrialState.FAILED: "failed",
             TrialState.RUNNING: "running", TrialState.WAITING: "waiting"}  # fmt: skip
    return " ".join(f"{states[state]} {word}" for state, word in words.items() if states.get(state)) or "none yet"


def best_line(  # noqa: PLR0913  # what is chosen, what it is compared with, and their history
    best: Winner | None,
    default: Trial | None,
    trend: Sequence[float],
    objective: Objective,
    *,
    complete: int,
    gain: str = "",
) -> str:
    """Return the best value, its trial, the trend of the best value and the gain over the default.

    Args:
        best: the study's choice; None without one.
        default: what gains are measured against; None without it.
        trend: the best values in time.
        objective: the first one.
        complete: number of complete trials.
        gain: that on fresh runs, with what it is of; that in tuning if left out.
    """
    if best is None:
        return "no trial can be chosen yet: none keeps every bound" if complete else "no complete trial yet"
    certainty = certainty_text(best)
    value = f"{short_number(best.value)} (#{best.trial.number}{f', {certainty}' if certainty else ''})"
    text = f"best {value}  {sparkline(trend)}".rstrip()
    if default and default.number != best.trial.number and objective.metric in default.values:
        tuned = " in tuning" if best.is_confirmed else ""
        gain = gain or f"{gain_over_text(best.value, default.values[objective.metric], objective)}{tuned}"
        text += f"  gain over default {gain}"
    return text


def aims_text(objectives: Sequence[Objective]) -> str:
    """Return what a study is after: "minimize loss, maximize acc"."""
    return ", ".join(f"{o.direction.value} {o.metric}" for o in objectives)


def front_line(front: Sequence[Trial], objectives: Sequence[Objective]) -> str:
    """Return the trials of a Pareto front with the range of each objective, the best of the first one first."""
    if not front:
        return "no complete trial yet"
    numbers = " ".join(f"#{trial.number}" for trial in front[:MAX_FRONT])
    more = f" and {len(front) - MAX_FRONT} more" if len(front) > MAX_FRONT else ""
    ranges = ", ".join(_metric_range([trial.values[o.metric] for trial in front], o.metric) for o in objectives)
    return f"front of {count(len(front), 'trial')}: {ranges} ({numbers}{more})"


def front_rows(front: Sequence[Trial], objectives: Sequence[Objective]) -> list[str]:
    """Return the first trials of a Pareto front, a line each: number, objectives, parameters."""
    values = ("  ".join(f"{o.metric} {short_number(trial.values[o.metric])}" for o in objectives) for trial in front)
    rows = (
        f"#{trial.number}  {text}  {render_params(trial.params, digits=SHORT_DIGITS)}"
        for trial, text in zip(front, values, strict=True)
    )
    return list(islice(rows, MAX_FRONT))


def _metric_range(values: Sequence[float], metric: str) -> str:
    low, high = short_number(min(values)), short_number(max(values))
    return f"{metric} {low if low == high else f'{low} to {high}'}"


def short_path(path: Path) -> str:
    """Return the path relative to the current folder if it is inside it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def show(text: str = "", *, end: str = "\n", file: IO[str] | None = None) -> None:
    """Print a text of a command at once; what acts on a terminal is left out."""
    print(strip_control(text), end=end, file=file, flush=True)


def first_line(text: str) -> str:
    """Return the first line of a text, with its control characters spelled out."""
    return escape_control(text.strip().splitlines()[0]) if text.strip() else ""


def cut(text: str, width: int) -> str:
    """Return the text without control characters on one line, cut to `width` columns of a terminal with an ellipsis.

    A character takes no column, one, or two, as Chinese ones do.
    """
    line = one_line(text, None) if not text.isprintable() else text
    if (len(line) if line.isascii() else cell_len(line)) <= width:
        return line
    return f"{set_cell_size(line, width - 1).rstrip()}…" if width > 0 else ""


def fit(text: str, width: int) -> str:
    """Return the text in exactly `width` columns: cut, or with spaces behind it."""
    short = cut(text, width)
    return short + " " * (width - (len(short) if short.isascii() else cell_len(short)))
