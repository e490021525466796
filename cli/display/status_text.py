"""The state of a study as text, for `tunesmith status` and the chat's /status."""

from __future__ import annotations

import shutil
import time

from tunesmith.cli.display.format import budget_bar, count, sparkline, state_counts
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.history.read import TrialCounts
from tunesmith.study.formatting import SHORT_DIGITS, render_params
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.held_out_test import TEST_ENDED, held_out_test_line, held_out_tests
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report

LATEST = 8
"""Number of trials in the table."""


def status_text(opened: OpenStudy) -> str:
    """Return the state, the best trial, the budget, failures, sources and the latest trials."""
    record, history = opened.record, opened.history
    counts, best = history.trial_counts(record.id), history.best(record)
    objective = record.spec.objectives[0]
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {_state(opened)}"]
    lines += _best_lines(opened, best)
    lines.append(_trials_line(opened, counts))
    test = held_out_test_line(held_out_tests(history.events(record.id, TEST_ENDED)), best.number if best else None)
    if test:
        lines.append(test)
    if counts.failures:
        lines.append("failures: " + ", ".join(f"{number} {kind}" for kind, number in counts.failures.items()))
    lines.append("proposed by: " + ", ".join(f"{source} {number}" for source, number in counts.sources.items()))
    if record.spent.llm_calls or counts.sources.get("llm"):
        credit = credit_report(
            history.trials(record.id), record.spec.objectives, record.spec.metric_constraints, record.spent
        )
        lines += credit_lines(credit)
        if credit.falls_back_often:
            lines[0] += f"  ·  the sampler replaced the LLM in {credit.fallbacks} of {credit.turns} turns"
    return "\n".join([*lines, *_latest_lines(opened, best)])


def _state(opened: OpenStudy) -> str:
    record = opened.record
    if record.ended_by:
        special = {
            "interrupted": "interrupted; `tunesmith run` resumes it",
            "exhausted": "ended: every configuration was tried",
        }
        return special.get(record.ended_by, f"ended: the limit on {record.ended_by} was reached")
    running = opened.history.unfinished(record.id)
    return f"running {count(len(running), 'trial')}, {short_seconds(record.spent.hours * 3600)} of work so far"


def _best_lines(opened: OpenStudy, best: Trial | None) -> list[str]:
    if best is None:
        return ["best: no complete trial yet"]
    objective = opened.record.spec.objectives[0]
    value = best.values[objective.metric]
    trend = sparkline([improvement.value for improvement in opened.history.improvements(opened.record)])
    line = f"best: {short_number(value)} in trial {best.number}  {trend}".rstrip()
    default = opened.history.default(opened.record.id)
    if default and default.number != best.number and objective.metric in default.values:
        gain = relative_gain(value, default.values[objective.metric], objective)
        line += f"  (default {short_number(default.values[objective.metric])}"
        line += f", gain {gain:.0%})" if gain is not None else ")"
    return [line, f"      {render_params(best.params, digits=SHORT_DIGITS)}"]


def _trials_line(opened: OpenStudy, counts: TrialCounts) -> str:
    now = time.time()
    budget = current_limits(opened.history, opened.record, now)
    replicates = f"{counts.replicates} repeated" if counts.replicates else ""
    bar = budget_bar(budget, opened.record.spent, now, seconds_per_trial=None)
    return "  ·  ".join(part for part in (f"trials: {state_counts(counts.states)}", replicates, bar) if part)


def _latest_lines(opened: OpenStudy, best: Trial | None) -> list[str]:
    spec = opened.record.spec
    latest = opened.history.latest(opened.record.id, LATEST)
    if not latest:
        return []
    table = table_layout(spec.space, spec.objectives[0], shutil.get_terminal_size((120, 24)).columns)
    return ["", table_header(table), *(trial_row(trial, best, table) for trial in latest)]
