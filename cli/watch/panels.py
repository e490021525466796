"""The parts of the screen of `tunesmith watch`, as lines of text for a given width. Pure functions of a Snapshot."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tunesmith.cli.display.format import aims_text, best_line, budget_bar, cut, front_line, state_counts
from tunesmith.cli.display.trial_table import outcome_word, trial_note
from tunesmith.cli.watch.snapshot import Snapshot
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.run_state import state_text
from tunesmith.tools.report.plots.ascii_plot import PlotPoints, plot_lines

COLUMNS = ("#", "source", "value", "time", "note")


def head(snapshot: Snapshot, width: int) -> list[str]:
    """Return what is tuned, the best value so far, and what is left of the budget."""
    record = snapshot.record
    objectives = record.spec.objectives
    state = state_text(record, has_process=snapshot.has_process, running=len(snapshot.running))
    first = f"{record.name}  {aims_text(objectives)}  ·  {state}"
    if len(objectives) > 1:
        second = front_line(snapshot.front, objectives)
    else:
        trend = [improvement.value for improvement in snapshot.improvements]
        complete = snapshot.states.get(TrialState.COMPLETE, 0)
        second = best_line(
            snapshot.winner, snapshot.default, trend, objectives[0], complete=complete, gain=snapshot.gain
        )
    bar = "" if record.ended_by else budget_bar(snapshot.budget, record.spent, snapshot.now, seconds_per_trial=None)
    third = "  ·  ".join(part for part in (state_counts(snapshot.states), bar, _llm_cost(snapshot)) if part)
    texts = [first, second, third, *(text for text in (snapshot.outage, snapshot.left_out) if text)]
    return [line for text in texts for line in wrapped(text, width)]


def row(trial: Trial, snapshot: Snapshot) -> tuple[str, str, str, str, str]:
    """Return a trial's cells for COLUMNS."""
    marked = snapshot.front or ([snapshot.best] if snapshot.best is not None else [])
    is_best = any(other.number == trial.number for other in marked)
    return (
        f"{trial.number}{'*' if is_best else ''}",
        trial.proposal.source.value,
        _value(trial, snapshot),
        _time(trial, snapshot.now),
        one_line(trial_note(trial, snapshot.record.spec.metric_constraints), None),
    )


def plot(snapshot: Snapshot, *, width: int, height: int) -> list[str]:
    """Return the curve of the chosen trial, else of the longest-running one, else the best value over trials."""
    metric = snapshot.record.spec.objectives[0].metric
    chosen = [] if snapshot.chosen is None else [snapshot.chosen]
    for number in [*chosen, *(trial.number for trial in snapshot.running)]:
        curve = snapshot.curves.get(number, ())
        if len(curve) > 1:
            x, y = [o.step for o in curve], [o.value for o in curve]
            points = PlotPoints(x=x, y=y, x_name="step", y_name=f"{metric} of #{number}")
            return plot_lines(points, width=width, height=height)
    x, y = [i.number for i in snapshot.improvements], [i.value for i in snapshot.improvements]
    points = PlotPoints(x=x, y=y, x_name="trial", y_name=f"best {metric} over trials")
    return plot_lines(points, width=width, height=height)


def slots(snapshot: Snapshot, gpus: Sequence[str], width: int) -> list[str]:
    """Return the trial in each slot, then the GPUs."""
    lines = []
    for trial in snapshot.running:
        what = (
            f"again #{trial.proposal.replicate_of}"
            if trial.is_replicate
            else render_params(trial.params, digits=SHORT_DIGITS)
        )
        text = f"slot {trial.slot}: #{trial.number} {_time(trial, snapshot.now)}  {one_line(what, None)}"
        lines.append(cut(text, width))
    return [*(lines or ["no trial is running"]), *(cut(line, width) for line in gpus)]


def why(snapshot: Snapshot, width: int, *, most: int) -> list[str]:
    """Return the reason for one trial, the candidates considered with it, and notes about the LLM; `most` lines."""
    trial = snapshot.explained
    if trial is None:
        return ["no trial has a reason yet"]
    proposal = trial.proposal
    lines = wrapped(f"#{trial.number} {proposal.source.value}: {one_line(proposal.rationale, None)}", width)
    if proposal.fallback_reason:
        lines += wrapped(f"fallback: {one_line(proposal.fallback_reason, None)}", width)
    for line in [*proposal.considered, *(f"note: {text}" for text in snapshot.notes)]:
        lines += wrapped(one_line(line, None), width)
    return lines if len(lines) <= most else [*lines[: most - 1], "…"]


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` characters."""
    return textwrap.wrap(text, max(width, 10), subsequent_indent="  ") or [""]


def _value(trial: Trial, snapshot: Snapshot) -> str:
    """Return the latest value of a running trial with its step, the value of a finished one, or its outcome."""
    curve = snapshot.curves.get(trial.number, ())
    if not trial.state.is_finished and curve:
        return f"{short_number(curve[-1].value)} @{curve[-1].step:g}"
    metrics = [o.metric for o in snapshot.record.spec.objectives if o.metric in trial.values]
    return " ".join(short_number(trial.values[metric]) for metric in metrics) or outcome_word(trial)


def _time(trial: Trial, now: float) -> str:
    if trial.outcome:
        return short_seconds(trial.outcome.usage.wall_s)
    return short_seconds(max(now - trial.started_at, 0.0)) if trial.started_at else ""


def _llm_cost(snapshot: Snapshot) -> str:
    spent = snapshot.record.spent
    if spent.llm_usd:
        return f"${spent.llm_usd:.2f}"
    return f"{spent.llm_tokens:,} tokens" if spent.llm_tokens else ""
