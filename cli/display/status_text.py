"""The state of a study as text, for `tunesmith status` and the chat's /status."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.display.format import (
    aims_text,
    budget_bar,
    first_line,
    front_line,
    front_rows,
    set_aside_text,
    sparkline,
    state_counts,
)
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.history.queries.counts import TrialCounts
from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import SHORT_DIGITS, render_params
from tunesmith.study.trials.hidden import HIDDEN_CHOICE
from tunesmith.study.trials.results import gain_over_text, present_trials, study_front
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.winner import Winner, incumbent, winner_text
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.arms import arm_lines, excluded_arms
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds, infeasible_text
from tunesmith.tools.analysis.broken_environment import FAILURES, instance_words, last_of_study
from tunesmith.tools.analysis.confirmation.at_scale import SCALE_ENDED, scale_lines
from tunesmith.tools.analysis.confirmation.held_out_test import TEST_ENDED, held_out_test_line, held_out_tests
from tunesmith.tools.analysis.confirmation.hidden_choice import choice_note
from tunesmith.tools.analysis.failing_instances import failing_lines
from tunesmith.tools.analysis.findings.judge_line import OUTAGE_EVENT, PROOF_EVENT, judge_line, judge_outage_line
from tunesmith.tools.analysis.findings.summary import gain_of
from tunesmith.tools.analysis.findings.tradeoff import shown_choices
from tunesmith.tools.analysis.llm_requests import open_requests
from tunesmith.tools.analysis.run_state import state_text
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report, missed_turns_text
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT, read_earlier_commands
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.control.study_reader import study_view
from tunesmith.tools.variants.run_command import code_needed

LATEST = 8
"""Number of trials in the table."""


def status_text(opened: OpenStudy) -> str:
    """Return the state, the best trial, the budget, failures, sources and the latest trials."""
    record, history = opened.record, opened.history
    counts, found = history.trial_counts(record.id), history.winner(record)
    best = found.trial if found else None
    front = history.front(record)
    lines = [f"{record.name}  {aims_text(record.spec.objectives)}  ·  {_state(opened)}"]
    lines += _front_lines(opened, front, found) if front else _best_lines(opened, found)
    lines.append(_trials_line(opened, counts))
    test = held_out_test_line(held_out_tests(history.events(record.id, TEST_ENDED)), best.number if best else None)
    total = sum(trial.number + 1 for trial in history.latest(record.id, 1))
    note = choice_note(history.events(record.id, HIDDEN_CHOICE), total)
    judged = judge_line(history.events(record.id, PROOF_EVENT)) if record.spec.judge else ""
    lines += [line for line in (outage_line(history, record, opened.folder), judged, test, note) if line]
    runs = history.events(record.id, SCALE_ENDED)
    lines += scale_lines(history.trials(record.id), record.spec, runs) if runs else []
    if record.ended_by:
        from tunesmith.agent.planner.estimates.no_gain import further_gain  # scipy: 0.3 s

        further = further_gain(study_view(record.spec, history.trials(record.id)))
        lines += [further.text] if further is not None else []
    if counts.failures:
        lines.append("failures: " + ", ".join(f"{number} {kind}" for kind, number in counts.failures.items()))
    lines += failing_lines(history.trials(record.id)) if record.spec.instances else []
    if counts.set_aside:
        lines.append(f"set aside: {set_aside_text(counts)}")
    last = last_of_study(history.trials(record.id)) if record.ended_by == FAILURES else None
    if last is not None and last.failure is not None:
        which = f"trial {last.number}{instance_words([last])}"
        lines.append(f"paused because of {which}: {first_line(last.failure.reason)}")
    steering = read_earlier_commands(record.spec, history.events(record.id, COMMAND_EVENT)).steering
    arms = arm_lines(record.spec, history.trials(record.id), excluded_arms(record.spec.space, steering))
    lines += [f"{record.spec.space.arms}: {arm.text}" for arm in arms]
    if counts.sources:
        lines.append("proposed by: " + ", ".join(f"{source} {number}" for source, number in counts.sources.items()))
    if record.spent.llm_calls or counts.sources.keys() & {Source.LLM.value, Source.FALLBACK.value}:
        credit = credit_report(history.trials(record.id), record.spec, record.spent)
        lines += credit_lines(credit)
        lines += open_requests(history.events(record.id), record.spec)
        missed = missed_turns_text(credit)
        lines[0] += f"  ·  {missed[:1].lower()}{missed[1:]}" if missed else ""
    return "\n".join([*lines, *_latest_lines(opened, best, front)])


def _state(opened: OpenStudy) -> str:
    running = sum(t.state is TrialState.RUNNING for t in opened.history.unfinished(opened.record.id))
    return state_text(opened.record, has_process=Inbox(opened.folder).has_running_loop(), running=running)


def outage_line(history: History, record: StudyRecord, folder: Path) -> str:
    """Return that trials wait for a judge of texts that gives no answer; "" while it answers."""
    if record.spec.judge is None:
        return ""
    events, has_process = history.events(record.id, OUTAGE_EVENT), Inbox(folder).has_running_loop()
    return judge_outage_line(events, ended_by=record.ended_by, has_process=has_process, now=time.time())


def _best_lines(opened: OpenStudy, found: Winner | None) -> list[str]:
    outside = opened.history.left_out_text(opened.record)
    left_out = [f"      {outside}"] if outside else []
    if found is None:
        trials = opened.history.trials(opened.record.id)
        why = infeasible_text(trials, opened.record.spec.metric_constraints, opened.record.spec.space)
        return [f"best: no trial is usable. {why}" if why else "best: no complete trial yet", *left_out]
    objective, best = opened.record.spec.objectives[0], found.trial
    trend = sparkline([improvement.value for improvement in opened.history.improvements(opened.record)])
    line = f"best: {winner_text(found)}  {trend}".rstrip()
    default = opened.history.default(opened.record)
    breaks = broken_bounds(default, opened.record.spec.metric_constraints) if default else ""
    if breaks:
        line += f"  (the default breaks a bound: {breaks})"
    elif default and default.number != best.number and objective.metric in default.values:
        line += f"  ({_default_text(opened, found, default)})"
    needed = code_needed(opened.record.spec, best.proposal.code)
    code = [f"      {needed}"] if needed else []
    return [line, f"      {render_params(best.params, digits=SHORT_DIGITS)}", *code, *left_out]


def _default_text(opened: OpenStudy, found: Winner, default: Trial) -> str:
    """Return the default's value and the one gain over it that the study states, with what it is of."""
    trials = opened.history.trials(opened.record.id)
    if not found.is_hidden and not any(t.is_replicate for t in trials):
        objective = opened.record.spec.objectives[0]
        value = default.values[objective.metric]
        return f"default {short_number(value)}, gain {gain_over_text(found.value, value, objective)}"
    stated = gain_of(opened.record, trials, found)
    if stated is None or (found.is_hidden and not stated.is_fresh):
        return "the default was not judged there"
    there = " there" if stated.is_fresh else ""
    return f"default {short_number(stated.default)}{there}, gain {stated.signed}"


def _front_lines(opened: OpenStudy, front: Sequence[Trial], found: Winner | None) -> list[str]:
    """Return the Pareto front, the first of its trials with their values and parameters, and the study's choice."""
    objectives = opened.record.spec.objectives
    lines = [front_line(front, objectives), *(f"      {row}" for row in front_rows(front, objectives))]
    if found is not None:
        lines.append(f"      best in {objectives[0].metric}: {winner_text(found)}")
    trials = present_trials(opened.history.trials(opened.record.id), opened.record.spec.space)
    lines += [f"      {choice.text}" for choice in shown_choices(trials, opened.record.spec)]
    outside = opened.history.left_out_text(opened.record)
    return [*lines, f"      {outside}"] if outside else lines


def _trials_line(opened: OpenStudy, counts: TrialCounts) -> str:
    now = time.time()
    budget = current_limits(opened.history, opened.record, now)
    replicates = f"{counts.replicates} repeated" if counts.replicates else ""
    bar = budget_bar(budget, opened.record.spent, now, seconds_per_trial=None)
    return "  ·  ".join(part for part in (f"trials: {state_counts(counts.states)}", replicates, bar) if part)


def _latest_lines(opened: OpenStudy, best: Trial | None, front: Sequence[Trial]) -> list[str]:
    """Return the table of the latest trials, each with the best value or the front as they were when it ended."""
    spec = opened.record.spec
    latest = opened.history.latest(opened.record.id, LATEST)
    if not latest:
        return []
    table = table_layout(spec, shutil.get_terminal_size((120, 24)).columns)
    trials = opened.history.trials(opened.record.id)
    rows = []
    for trial in latest:
        ended = [t for t in trials if _ended_by(t, trial)]
        later = [t for t in trials if not _ended_by(t, trial)]
        best_then = best if front else _best_then(ended, later, best, spec)
        rows.append(trial_row(trial, best_then, table, _front_then(ended, later, front, spec)))
    return ["", table_header(table), *rows]


def _best_then(ended: Sequence[Trial], later: Sequence[Trial], best: Trial | None, spec: StudySpec) -> Trial | None:
    """Return the choice among trials that had ended; it changed if a later one is the best now, or ran one again."""
    is_as_now = best is None or not any(t.is_replicate or t.number == best.number for t in later)
    return best if is_as_now else incumbent(ended, spec)


def _front_then(
    ended: Sequence[Trial], later: Sequence[Trial], front: Sequence[Trial], spec: StudySpec
) -> Sequence[Trial]:
    """Return the front of trials that had ended; it is today's unless a later trial is on that, or ran one again."""
    on_front = {t.number for t in front}
    is_as_now = not any(t.is_replicate or t.number in on_front for t in later)
    return front if is_as_now else study_front(ended, spec)


def _ended_by(trial: Trial, other: Trial) -> bool:
    """Return whether a trial had ended when the other one did, or now if the other has not."""
    return trial.ended_at is not None and (other.ended_at is None or trial.ended_at <= other.ended_at)
