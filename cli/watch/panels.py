"""The parts of the screen of `tunesmith watch` as lines of text, each for a given width. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tunesmith.cli.display.ascii_plot import PlotPoints, plot_lines
from tunesmith.cli.display.format import budget_bar, sparkline, state_counts
from tunesmith.cli.display.trial_table import outcome_word, trial_note
from tunesmith.cli.watch.snapshot import Snapshot
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number, short_seconds

COLUMNS = ("#", "source", "value", "time", "trial_note")


def head(glance: Snapshot, width: int) -> list[str]:
    """Return what is tuned, the best so far, and what is left."""
    record = glance.record
    objective = record.spec.objectives[0]
    state = f"ended: {record.ended_by}" if record.ended_by else f"{len(glance.running)} running"
    first = f"{record.name}  {objective.direction.value} {objective.metric}  ·  {state}"
    bar = "" if record.ended_by else budget_bar(glance.budget, record.spent, glance.now, seconds_per_trial=None)
    third = "  ·  ".join(part for part in (state_counts(glance.states), bar, _money(glance)) if part)
    return [line for text in (first, best_line(glance), third) for line in wrapped(text, width)]


def best_line(glance: Snapshot) -> str:
    """Return the incumbent, how it came about, and its gain over the default."""
    objective = glance.record.spec.objectives[0]
    if glance.best is None:
        return "no complete trial yet"
    value = glance.best.values[objective.metric]
    trend = sparkline([step.value for step in glance.improvements])
    text = f"best {short_number(value)} (#{glance.best.number})  {trend}".rstrip()
    default = glance.default
    if default and default.number != glance.best.number and objective.metric in default.values:
        gain = relative_gain(value, default.values[objective.metric], objective)
        text += f"  gain {gain:.0%} over default" if gain is not None else ""
    return text


def row(trial: Trial, glance: Snapshot) -> tuple[str, str, str, str, str]:
    """Return a trial's cells for COLUMNS."""
    metric = glance.record.spec.objectives[0].metric
    seen = glance.curves.get(trial.number, ())
    value = short_number(trial.values[metric]) if metric in trial.values else outcome_word(trial)
    if not trial.state.is_finished and seen:
        value = f"{short_number(seen[-1].value)} @{seen[-1].step:g}"
    if trial.outcome:
        took = short_seconds(trial.outcome.usage.wall_s)
    else:
        took = short_seconds(max(glance.now - (trial.started_at or glance.now), 0.0)) if trial.started_at else ""
    is_best = glance.best is not None and glance.best.number == trial.number
    number = f"{trial.number}{'*' if is_best else ''}"
    return number, trial.proposal.source.value, value, took, one_line(trial_note(trial), None)


def plot(glance: Snapshot, *, width: int, height: int) -> list[str]:
    """Return the chosen trial's curve, else that of the one that runs longest, else the best value over the trials."""
    objective = glance.record.spec.objectives[0]
    chosen = [] if glance.chosen is None else [glance.chosen]
    for number in [*chosen, *(trial.number for trial in glance.running)]:
        curve = glance.curves.get(number, ())
        if len(curve) > 1:
            x, y = [o.step for o in curve], [o.value for o in curve]
            points = PlotPoints(x=x, y=y, x_name="step", y_name=f"{objective.metric} of #{number}")
            return plot_lines(points, width=width, height=height)
    steps = glance.improvements
    name = f"best {objective.metric} over trials"
    points = PlotPoints(x=[s.number for s in steps], y=[s.value for s in steps], x_name="trial", y_name=name)
    return plot_lines(points, width=width, height=height)


def slots(glance: Snapshot, gpus: Sequence[str], width: int) -> list[str]:
    """Return what runs in each slot, and the GPUs."""
    lines = []
    for trial in glance.running:
        since = short_seconds(max(glance.now - (trial.started_at or glance.now), 0.0))
        what = (
            f"again #{trial.proposal.replicate_of}"
            if trial.is_replicate
            else render_params(trial.params, digits=SHORT_DIGITS)
        )
        lines.append(_cut(f"slot {trial.slot}: #{trial.number} {since}  {one_line(what, None)}", width))
    return [*(lines or ["nothing runs"]), *(_cut(line, width) for line in gpus)]


def why(glance: Snapshot, width: int, *, most: int) -> list[str]:
    """Return the planner's latest reason, what was considered beside it, and what was told of the LLM."""
    trial = glance.reason
    if trial is None:
        return ["no reason was given yet"]
    proposal = trial.proposal
    lines = wrapped(f"#{trial.number} {proposal.source.value}: {one_line(proposal.rationale, None)}", width)
    if proposal.fallback_reason:
        lines += wrapped(f"fallback: {one_line(proposal.fallback_reason, None)}", width)
    for line in [*proposal.considered, *(f"trial_note: {text}" for text in glance.notes)]:
        lines += wrapped(one_line(line, None), width)
    return lines if len(lines) <= most else [*lines[: most - 1], "…"]


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` characters."""
    return textwrap.wrap(text, max(width, 10), subsequent_indent="  ") or [""]


def _money(glance: Snapshot) -> str:
    spent = glance.record.spent
    if spent.llm_usd:
        return f"${spent.llm_usd:.2f}"
    return f"{spent.llm_tokens:,} tokens" if spent.llm_tokens else ""


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
