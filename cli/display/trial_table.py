"""The table of trials in a terminal: fixed column widths, one line per trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.cli.display.format import cut, first_line, fit
from tunesmith.study.formatting import one_line, render_short
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.trials.results import StudyQuestion
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds

NOTE_WIDTH = 34
"""Characters reserved for the last column: a note cut after one word says nothing."""
MAX_INSTANCE = 20
"""Characters after which the name of an instance is cut."""
LONGEST_VALUE = 12
"""Characters after which names and values of parameters are cut."""


@dataclass(frozen=True, slots=True)
class Column:
    """The column of one parameter: its name and the width of its longest value."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table. They stay the same for the whole run, so that lines align.

    Attributes:
        metrics: one column each, of the objectives.
        constraints: bounds on metrics; a trial that breaks one says so in its note.
    """

    metrics: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    columns: tuple[Column, ...]
    width: int

    @property
    def standing(self) -> Column:
        """The column for the state of the study: the best value so far, or the size of the Pareto front."""
        return Column("best", self.metrics[0].width) if len(self.metrics) == 1 else Column("front", len("front"))


def table_layout(asked: StudyQuestion, width: int, *, first: Sequence[str] = ()) -> Layout:
    """Return as many parameter columns as fit into `width` characters, those in `first` before the others."""
    space = asked.space
    ordered = [*first, *(name for name in space.names if name not in first)]
    metrics = tuple(Column(o.metric, max(9, min(len(o.metric), 14))) for o in asked.objectives)
    plain = Layout(metrics, asked.metric_constraints, (), width)
    values = sum(column.width + 2 for column in (*metrics, plain.standing))
    left = width - len("  #  source  ") - values - len("12 min 30 s  ") - NOTE_WIDTH
    columns = []
    for name in ordered:
        column = Column(name, max(min(len(name), LONGEST_VALUE), _value_width(space.parameters[name])))
        if column.width + 2 > left:
            break
        left -= column.width + 2
        columns.append(column)
    return replace(plain, columns=tuple(columns))


def table_header(table: Layout) -> str:
    """Return the line above the trials."""
    columns = (*table.columns, *table.metrics, table.standing)
    names = "".join(f"{fit(column.name, column.width)}  " for column in columns)
    return f"  #  source   {names}{'time':>11}  note".rstrip()


def trial_row(trial: Trial, best: Trial | None, table: Layout, front: Sequence[Trial] = ()) -> str:
    """Return the line of one trial, cut to the table's width.

    Args:
        trial: the trial.
        best: the incumbent.
        table: the columns.
        front: the Pareto front of several objectives.
    """
    cells = [(_parameter_cell(trial, column.name), column.width) for column in table.columns]
    cells += [(_value_cell(trial, column.name), column.width) for column in table.metrics]
    cells.append((_standing_cell(trial, best, table, front), table.standing.width))
    values = "".join(f"{fit(cell, width)}  " for cell, width in cells)
    took = short_seconds(trial.outcome.usage.wall_s) if trial.outcome else ""
    start = f"{trial.number:>3}  {trial.proposal.source.value:<8} {values}"
    return cut(f"{start}{took:>11}  {trial_note(trial, table.constraints)}", table.width)


def _value_cell(trial: Trial, metric: str) -> str:
    return short_number(trial.values[metric]) if metric in trial.values else outcome_word(trial)


def _standing_cell(trial: Trial, best: Trial | None, table: Layout, front: Sequence[Trial]) -> str:
    """Return the best value so far, or the size of the front, marked where this trial is on it."""
    if len(table.metrics) > 1:
        mark = "*" if any(other.number == trial.number for other in front) else ""
        return f"{len(front)}{mark}" if front else "-"
    metric = table.metrics[0].name
    return short_number(best.values[metric]) if best and metric in best.values else "-"


def trial_note(trial: Trial, constraints: Sequence[Constraint] = ()) -> str:
    """Return in a few words why a trial failed, was stopped, breaks a bound or, if none of these, was proposed."""
    if trial.forgotten:
        return f"forgotten; {first_line(trial.failure.reason) if trial.failure else trial.state.value}"
    if trial.failure:
        return f"failed: {trial.failure.kind.value}: {first_line(trial.failure.reason)}"
    if trial.state is TrialState.STOPPED and trial.outcome:
        return f"stopped: {first_line(trial.outcome.note)}"
    if trial.state is TrialState.COMPLETE and (broken := broken_bounds(trial, constraints)):
        return f"breaks a bound: {first_line(broken)}"
    if trial.outcome and trial.outcome.note:
        return f"note: {first_line(trial.outcome.note)}"
    if trial.proposal.fallback_reason:
        return f"fallback: {first_line(trial.proposal.fallback_reason)}"
    return f"{instance_text(trial)}{first_line(trial.proposal.rationale)}"


def instance_text(trial: Trial) -> str:
    """Return where a trial ran, before the reason for it: "on fold 3: ", "over 5 instances: "; "" without instances."""
    if trial.failure is None and trial.runs is not None and len(trial.runs.values) > 1:
        return f"over {len(trial.runs.values)} instances: "
    return f"on {one_line(trial.proposal.instance, MAX_INSTANCE)}: " if trial.proposal.instance else ""


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
