"""What `tunesmith status` and /status show of a study, as text."""

from __future__ import annotations

import shutil
import time

from tunesmith.cli.display.format import budget_bar, sparkline, state_counts
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.history.read import TrialCounts
from tunesmith.study.formatting import SHORT_DIGITS, render_params
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.held_out_test import TEST_ENDED, held_out_test_line, held_out_tests
from tunesmith.tools.analysis.source_credit import CreditReport, credit_lines, credit_report

LATEST = 8


def status_text(located: OpenStudy) -> str:
    """Return where a study stands, as lines."""
    record, history = located.record, located.history
    trial_counts, best = history.trial_counts(record.id), history.best(record)
    objective = record.spec.objectives[0]
    latest = history.latest(record.id, LATEST)
    table = table_layout(record.spec.space, objective, shutil.get_terminal_size((120, 24)).columns)
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {_state(located)}"]
    lines += _best_lines(located, best)
    budget = current_limits(history, record, time.time())
    bar = budget_bar(budget, record.spent, time.time(), seconds_per_trial=None)
    lines.append(
        "  ·  ".join(
            part for part in (f"trials: {state_counts(trial_counts.states)}", _replicates(trial_counts), bar) if part
        )
    )
    test = held_out_test_line(held_out_tests(history.events(record.id, TEST_ENDED)), best.number if best else None)
    if test:
        lines.append(test)
    if trial_counts.failures:
        lines.append("failures: " + ", ".join(f"{count} {kind}" for kind, count in trial_counts.failures.items()))
    lines.append("proposed by: " + ", ".join(f"{source} {count}" for source, count in trial_counts.sources.items()))
    if record.spent.llm_calls or trial_counts.sources.get("llm"):
        meter = _meter(located)
        lines += credit_lines(meter)
        if meter.falls_back_often:
            lines[0] += f"  ·  the LLM fell back in {meter.fallbacks} of its {meter.turns} turns"
    if latest:
        lines += ["", table_header(table), *(trial_row(trial, best, table) for trial in latest)]
    return "\n".join(lines)


def _meter(located: OpenStudy) -> CreditReport:
    record = located.record
    return credit_report(located.history.trials(record.id), record.spec.objectives, record.spec.bounds, record.spent)


def _state(located: OpenStudy) -> str:
    record = located.record
    if record.ended_by:
        return {"interrupted": "interrupted; `tunesmith run` resumes it", "exhausted": "every configuration tried"}.get(
            record.ended_by, f"ended: the limit on {record.ended_by} was reached"
        )
    running = located.history.unfinished(record.id)
    since = f"{short_seconds(record.spent.hours * 3600)} of work so far"
    return f"running {len(running)} trial{'s' if len(running) != 1 else ''}, {since}"


def _best_lines(located: OpenStudy, best: Trial | None) -> list[str]:
    if best is None:
        return ["best: no complete trial yet"]
    objective = located.record.spec.objectives[0]
    value = best.values[objective.metric]
    trend = sparkline([improvement.value for improvement in located.history.improvements(located.record)])
    line = f"best: {short_number(value)} in trial {best.number}  {trend}".rstrip()
    default = located.history.default(located.record.id)
    if default and default.number != best.number and objective.metric in default.values:
        gain = relative_gain(value, default.values[objective.metric], objective)
        line += f"  (default {short_number(default.values[objective.metric])}"
        line += f", gain {gain:.0%})" if gain is not None else ")"
    return [line, f"      {render_params(best.params, digits=SHORT_DIGITS)}"]


def _replicates(trial_counts: TrialCounts) -> str:
    return f"{trial_counts.replicates} repeated" if trial_counts.replicates else ""
