"""The state of a study as text, for `tunesmith status` and the chat's /status."""

from __future__ import annotations

import shutil
import time

from tunesmith.cli.display.format import budget_bar, first_line, set_aside_text, sparkline, state_counts
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.history.read import TrialCounts
from tunesmith.study.formatting import SHORT_DIGITS, count, render_params
from tunesmith.study.trials.results import left_out_text, relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import Winner, winner_text
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.broken_environment import FAILURES, last_of_study
from tunesmith.tools.analysis.held_out_test import TEST_ENDED, held_out_test_line, held_out_tests
from tunesmith.tools.analysis.infeasibility import broken_bounds, infeasible_text
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report
from tunesmith.tools.variants.run_command import code_needed

LATEST = 8
"""Number of trials in the table."""


def status_text(opened: OpenStudy) -> str:
    """Return the state, the best trial, the budget, failures, sources and the latest trials."""
    record, history = opened.record, opened.history
    counts, found = history.trial_counts(record.id), history.winner(record)
    best = found.trial if found else None
    objective = record.spec.objectives[0]
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {_state(opened)}"]
    lines += _best_lines(opened, found)
    lines.append(_trials_line(opened, counts))
    test = held_out_test_line(held_out_tests(history.events(record.id, TEST_ENDED)), best.number if best else None)
    if test:
        lines.append(test)
    if counts.failures:
        lines.append("failures: " + ", ".join(f"{number} {kind}" for kind, number in counts.failures.items()))
    if counts.set_aside:
        lines.append(f"set aside: {set_aside_text(counts.set_aside)}")
    last = last_of_study(history.trials(record.id)) if record.ended_by == FAILURES else None
    if last is not None and last.failure is not None:
        lines.append(f"paused because of trial {last.number}: {first_line(last.failure.reason)}")
    if counts.sources:
        lines.append("proposed by: " + ", ".join(f"{source} {number}" for source, number in counts.sources.items()))
    if record.spent.llm_calls or counts.sources.get("llm"):
        credit = credit_report(history.trials(record.id), record.spec, record.spent)
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
            FAILURES: "paused: trials failed regardless of parameters; `tunesmith run` starts again with the default",
        }
        return special.get(record.ended_by, f"ended: the limit on {record.ended_by} was reached")
    running = opened.history.unfinished(record.id)
    return f"running {count(len(running), 'trial')}, {short_seconds(record.spent.hours * 3600)} of work so far"


def _best_lines(opened: OpenStudy, found: Winner | None) -> list[str]:
    outside = left_out_text(opened.history.left_out(opened.record))
    left_out = [f"      {outside}"] if outside else []
    if found is None:
        trials = opened.history.trials(opened.record.id)
        why = infeasible_text(trials, opened.record.spec.metric_constraints)
        return [f"best: no trial is usable. {why}" if why else "best: no complete trial yet", *left_out]
    objective, best = opened.record.spec.objectives[0], found.trial
    trend = sparkline([improvement.value for improvement in opened.history.improvements(opened.record)])
    line = f"best: {winner_text(found)}  {trend}".rstrip()
    default = opened.history.default(opened.record)
    breaks = broken_bounds(default, opened.record.spec.metric_constraints) if default else ""
    if breaks:
        line += f"  (the default breaks a bound: {breaks})"
    elif default and default.number != best.number and objective.metric in default.values:
        gain = relative_gain(found.value, default.values[objective.metric], objective)
        line += f"  (default {short_number(default.values[objective.metric])}"
        line += f", gain {gain:,.0%})" if gain is not None else ")"
    needed = code_needed(opened.record.spec, best.proposal.code)
    code = [f"      {needed}"] if needed else []
    return [line, f"      {render_params(best.params, digits=SHORT_DIGITS)}", *code, *left_out]


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
