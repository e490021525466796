"""How a trial, a budget and a value look in a terminal: text of fixed width. Prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.units import short_number, short_seconds

_BARS = "▁▂▃▄▅▆▇█"
NOTE_WIDTH = 34
"""Characters that are kept free for the last column: a reason that is cut after one word tells nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter's column: its name and how many characters its values need at most."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns a table of trials has; the same for the whole run, so that lines stay under each other."""

    metric: str
    columns: tuple[Column, ...]
    width: int

    @property
    def metric_width(self) -> int:
        """Characters for the value and for the best value."""
        return max(9, min(len(self.metric), 14))


def layout(space: SearchSpace, objective: Objective, width: int, *, first: Sequence[str] = ()) -> Layout:
    """Return as many parameter columns as fit into `width` characters, those in `first` before the others."""
    ordered = [*first, *(name for name in space.names if name not in first)]
    plain = Layout(objective.metric, (), width)
    left = width - len("  #  source  ") - 2 * (plain.metric_width + 2) - len("12 min 30 s  ") - NOTE_WIDTH
    columns = []
    for name in ordered:
        column = Column(name, max(min(len(name), 12), _value_width(space.parameters[name])))
        if column.width + 2 > left:
            break
        left -= column.width + 2
        columns.append(column)
    return Layout(objective.metric, tuple(columns), width)


def header(table: Layout) -> str:
    """Return the line above the trials."""
    names = "".join(f"{_cut(column.name, column.width):<{column.width}}  " for column in table.columns)
    wide = table.metric_width
    return f"  #  source   {names}{_cut(table.metric, wide):<{wide}}  {'best':<{wide}}  {'time':>11}  note".rstrip()


def row(trial: Trial, best: Trial | None, table: Layout) -> str:
    """Return one trial as a line; it is cut at the table's width."""
    values = "".join(
        f"{_cut(spelled(trial.params.get(column.name)), column.width):<{column.width}}  " for column in table.columns
    )
    wide = table.metric_width
    value = short_number(trial.values[table.metric]) if table.metric in trial.values else state_word(trial)
    incumbent = short_number(best.values[table.metric]) if best and table.metric in best.values else "-"
    took = short_seconds(trial.outcome.usage.wall_s) if trial.outcome else ""
    who = f"{trial.number:>3}  {trial.proposal.source.value:<8} {values}"
    return _cut(f"{who}{_cut(value, wide):<{wide}}  {incumbent:<{wide}}  {took:>11}  {note(trial)}", table.width)


def note(trial: Trial) -> str:
    """Return what a person should know of a trial in a few words: why it failed, was stopped, or was tried."""
    if trial.failure:
        return f"failed: {trial.failure.kind.value}: {first_line(trial.failure.reason)}"
    if trial.state is TrialState.STOPPED and trial.outcome:
        return f"stopped: {trial.outcome.note}"
    if trial.proposal.fallback_reason:
        return f"fallback: {first_line(trial.proposal.fallback_reason)}"
    return first_line(trial.proposal.rationale)


def state_word(trial: Trial) -> str:
    """Return what stands in the place of a value that a trial has not got."""
    return trial.failure.kind.value if trial.failure else trial.state.value


def spelled(value: Value) -> str:
    """Return a parameter's value as a person reads it; an inactive one is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short_number(value) if isinstance(value, float) else str(value)


def params_line(params: Mapping[str, Value]) -> str:
    """Return `lr=0.001 hidden=64`."""
    return " ".join(f"{name}={spelled(value)}" for name, value in params.items())


def sparkline(values: Sequence[float]) -> str:
    """Return one bar for each of at most 20 values, the smallest lowest; "" for fewer than two."""
    if len(values) < 2:
        return ""
    picked = values if len(values) <= 20 else [values[round(i * (len(values) - 1) / 19)] for i in range(20)]
    low, high = min(picked), max(picked)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in picked)


def budget_bar(budget: Budget, spent: Spent, now: float, *, seconds_per_trial: float | None, width: int = 10) -> str:
    """Return `[■■■□□] 12 of 40 trials, about 6 min left`; "" without limits."""
    shares = list(budget.shares(spent))
    deadline = budget.deadline(spent, now)
    seconds = [deadline.seconds_left] if deadline else []
    if budget.trials is not None and seconds_per_trial is not None:
        seconds.append(max(budget.trials - spent.full_runs, 0) * seconds_per_trial)
    if not shares and not seconds:
        return ""
    parts = []
    if budget.trials is not None:
        whole = f"{spent.trials} of {budget.trials} trials"
        part = f"{spent.full_runs:.1f} of {budget.trials} full runs in {spent.trials} trials"
        parts.append(part if spent.saved else whole)
    if seconds:
        parts.append(f"about {short_seconds(min(seconds))} left")
    fullest = max((share.fraction for share in shares), default=0.0)
    filled = round(fullest * width)
    return f"[{'■' * filled}{'□' * (width - filled)}] {', '.join(parts)}".rstrip()


def counts(states: Mapping[TrialState, int]) -> str:
    """Return `43 done 5 stopped 3 failed`, leaving out what there is none of."""
    words = {TrialState.COMPLETE: "done", TrialState.STOPPED: "stopped", TrialState.FAILED: "failed",
             TrialState.RUNNING: "running", TrialState.WAITING: "waiting"}  # fmt: skip
    return " ".join(f"{states[state]} {word}" for state, word in words.items() if states.get(state)) or "none yet"


def shown(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def first_line(text: str) -> str:
    """Return the first line of a text, printable."""
    return printable(text.strip().splitlines()[0]) if text.strip() else ""


def printable(line: str) -> str:
    """Return a line without control characters: a terminal would obey what a training script printed."""
    return "".join(character if character.isprintable() else "?" for character in line)


def _value_width(parameter: Parameter) -> int:
    match parameter:
        case Float():
            return 9
        case Int(low=low, high=high):
            return min(max(len(str(low)), len(str(high))), 12)
        case Choice(choices=choices):
            return min(max(len(spelled(choice)) for choice in choices), 12)
        case Bool():
            return 3


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
