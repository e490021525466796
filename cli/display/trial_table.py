"""The table of trials in a terminal: fixed column widths, one line per trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.cli.display.format import cut, first_line, fit
from tunesmith.study.formatting import render_short
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.units import short_number, short_seconds

NOTE_WIDTH = 34
"""Characters reserved for the last column: a note cut after one word says nothing."""
LONGEST_VALUE = 12
"""Characters after which names and values of parameters are cut."""


@dataclass(frozen=True, slots=True)
class Column:
    """The column of one parameter: its name and the width of its longest value."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table. They stay the same for the whole run, so that lines align."""

    metric: str
    columns: tuple[Column, ...]
    width: int

    @property
    def metric_width(self) -> int:
        """Width of the columns for the value and for the best value."""
        return max(9, min(len(self.metric), 14))


def table_layout(space: SearchSpace, objective: Objective, width: int, *, first: Sequence[str] = ()) -> Layout:
    """Return as many parameter columns as fit into `width` characters, those in `first` before the others."""
    ordered = [*first, *(name for name in space.names if name not in first)]
    plain = Layout(objective.metric, (), width)
    left = width - len("  #  source  ") - 2 * (plain.metric_width + 2) - len("12 min 30 s  ") - NOTE_WIDTH
    columns = []
    for name in ordered:
        column = Column(name, max(min(len(name), LONGEST_VALUE), _value_width(space.parameters[name])))
        if column.width + 2 > left:
            break
        left -= column.width + 2
        columns.append(column)
    return Layout(objective.metric, tuple(columns), width)


def table_header(table: Layout) -> str:
    """Return the line above the trials."""
    names = "".join(f"{fit(column.name, column.width)}  " for column in table.columns)
    wide = table.metric_width
    return f"  #  source   {names}{fit(table.metric, wide)}  {'best':<{wide}}  {'time':>11}  note".rstrip()


def trial_row(trial: Trial, best: Trial | None, table: Layout) -> str:
    """Return the line of one trial, cut to the table's width."""
    cells = ((_parameter_cell(trial, column.name), column.width) for column in table.columns)
    values = "".join(f"{fit(cell, width)}  " for cell, width in cells)
    wide = table.metric_width
    value = short_number(trial.values[table.metric]) if table.metric in trial.values else outcome_word(trial)
    incumbent = short_number(best.values[table.metric]) if best and table.metric in best.values else "-"
    took = short_seconds(trial.outcome.usage.wall_s) if trial.outcome else ""
    start = f"{trial.number:>3}  {trial.proposal.source.value:<8} {values}"
    return cut(f"{start}{fit(value, wide)}  {incumbent:<{wide}}  {took:>11}  {trial_note(trial)}", table.width)


def trial_note(trial: Trial) -> str:
    """Return in a few words why a trial failed, was stopped or, if it completed, was proposed."""
    if trial.forgotten:
        return f"forgotten; {first_line(trial.failure.reason) if trial.failure else trial.state.value}"
    if trial.failure:
        return f"failed: {trial.failure.kind.value}: {first_line(trial.failure.reason)}"
    if trial.state is TrialState.STOPPED and trial.outcome:
        return f"stopped: {first_line(trial.outcome.note)}"
    if trial.outcome and trial.outcome.note:
        return f"note: {first_line(trial.outcome.note)}"
    if trial.proposal.fallback_reason:
        return f"fallback: {first_line(trial.proposal.fallback_reason)}"
    return first_line(trial.proposal.rationale)


def outcome_word(trial: Trial) -> str:
    """Return the word shown for a trial without a value: the kind of its failure, else its state."""
    return trial.failure.kind.value if trial.failure else trial.state.value


def _parameter_cell(trial: Trial, name: str) -> str:
    return render_short(trial.params[name]) if name in trial.params else "-"


def _value_width(parameter: Parameter) -> int:
    match parameter:
        case Float(low=low):
            return 9 if low >= 0 else 10
        case Int(low=low, high=high):
            return min(max(len(str(low)), len(str(high))), LONGEST_VALUE)
        case Choice(choices=choices):
            return min(max(len(render_short(choice)) for choice in choices), LONGEST_VALUE)
        case Bool():
            return len("false")
