"""A tool that describes the study: what is tuned, the best so far, what steers it, what is spent and left."""

from __future__ import annotations

import time

from tunesmith.prompts.history_summary import space_table
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.commands import Pause, Resume
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import one_line, render_parameter
from tunesmith.study.trials.results import default_trial, left_out_count, left_out_text
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import Winner, certainty_text, winner
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.arms import arm_lines, excluded_arms
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds, infeasible_text
from tunesmith.tools.analysis.broken_environment import FAILURES, last_of_study, pause_reason
from tunesmith.tools.analysis.confirmation.at_scale import scale_lines
from tunesmith.tools.analysis.findings.judge_line import judge_outage_line
from tunesmith.tools.analysis.pace import mean_trial_seconds, seconds_left
from tunesmith.tools.analysis.run_state import ending_text
from tunesmith.tools.control.earlier_commands import read_earlier_commands
from tunesmith.tools.llm_tools.context import StudyReader, ToolContext
from tunesmith.tools.llm_tools.tool import StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, trial_line
from tunesmith.tools.variants.run_command import CLAIM, code_needed, is_claim, run_line

_WHOLE = 1e7
"""Whole amounts below this one are shown with all their digits."""


def study_text(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return what the study tunes, its trials so far, what steers them, and its budget."""
    facts = context.study
    spec, view, record = facts.spec, facts.view(), facts.record()
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    lines = [f"study {spec.study.name}: {aims}", f"command: {spec.run.command}"]
    if spec.serve is not None:
        lines.append(f"measured by: {spec.serve.bench}")
    if spec.study.description:
        lines.append(f"about: {one_line(spec.study.description, 300)}")
    lines += [f"trials: {_count_text(view)}", *_best_lines(facts, view, spec)]
    lines += scale_lines(view.trials, spec, facts.scale_runs())
    lines += _budget_lines(record, view, spec) if record is not None else []
    lines.append(f"state: {_state_text(context, record.ended_by if record else None)}")
    lines += _outage_lines(context, record) if record is not None and spec.judge is not None else []
    steering = read_earlier_commands(spec, facts.commands()).steering
    excluded = excluded_arms(spec.space, steering)
    lines += [f"{spec.space.arms} {arm.text}" for arm in arm_lines(spec, view.trials, excluded)]
    lines += _steering_lines(steering, spec)
    if spec.fidelity:
        lines.append(f"fidelity: {spec.fidelity.name} from {spec.fidelity.min:g} to {spec.fidelity.max:g}")
    return "\n".join([*lines, "space:", space_table(spec.space)])


def is_paused(context: ToolContext) -> bool:
    """Return whether the run that is active was paused by a person; a pause ends with its run."""
    since = context.control.running_since() if context.control is not None else None
    if since is None:
        return False
    done = [e.detail["order"]["kind"] for e in context.study.commands() if e.at >= since and e.detail.get("done")]
    asked = [kind for kind in done if kind in (Pause().kind, Resume().kind)]
    return bool(asked) and asked[-1] == Pause().kind


def _count_text(view: StudyView) -> str:
    own = [t for t in view.trials if not t.is_replicate]
    parts = [f"{sum(t.state is state for t in own)} {state.value}" for state in TrialState]
    replicates = len(view.trials) - len(own)
    kept = [part for part in parts if not part.startswith("0 ")]
    aside = sum(not t.is_replicate for t in view.set_aside if t.is_set_aside)
    kept += [f"{replicates} replicates on other seeds"] if replicates else []
    kept += [f"{aside} that count nowhere (forgotten, or failed regardless of their parameters)"] if aside else []
    return ", ".join(kept) or "none yet"


def _best_lines(facts: StudyReader, view: StudyView, spec: StudySpec) -> list[str]:
    best = winner(view.trials, view)
    why = infeasible_text(view.trials, view.constraints, view.space) if best is None else ""
    lines = [f"best: no trial is usable. {why}" if why else "best: no complete trial yet"]
    if best is not None:
        trial = best.trial
        claim = f"; {CLAIM}" if is_claim(spec, trial.proposal.code) else ""
        lines = [f"best: {trial_line(trial, view)} ({_certainty(best)}){claim}"]
        line = run_line(spec, trial.params, trial.proposal.code, facts.variants(), seed=trial.proposal.seed)
        needed = code_needed(spec, trial.proposal.code)
        lines += [f"to run the best: {line}", *([needed] if needed else [])]
        if best.noise is not None:
            of = "of one run about its configuration and instance" if best.on_instances else "between seeds"
            lines.append(f"noise: standard deviation {short_number(best.noise, 2)} {of}")
    default = default_trial(view.trials, view.space)
    if default is not None and (best is None or best.trial.number != default.number):
        breaks = broken_bounds(default, view.constraints) if default.state is TrialState.COMPLETE else ""
        note = f" (breaks a bound: {breaks}; gains over it are not stated)" if breaks else ""
        lines.append(f"default: {trial_line(default, view)}{note}")
    outside = left_out_text(left_out_count(view.trials, view.space), view.set_aside, spec.instance_set)
    return [*lines, *([outside] if outside else [])]


def _certainty(best: Winner) -> str:
    known = certainty_text(best)
    if best.is_hidden:
        return f"{known}, which chose it; the search never saw them"
    confirmed = "confirmed" if best.is_confirmed else "not confirmed on fresh seeds"
    return f"{known}; {confirmed}" if known else confirmed


def _budget_lines(record: StudyRecord, view: StudyView, spec: StudySpec) -> list[str]:
    now = time.time()
    budget = spec.budget.starting_at(now)
    shares = [*budget.limit_usage(record.spent), *budget.llm_limit_usage(record.spent)]
    used = ", ".join(f"{s.name} {_amount(s.used)} of {_amount(s.limit)}" for s in shares)
    lines = [f"spent: {used or 'no limits'}; {short_seconds(record.spent.hours * 3600)} of work"]
    if record.spent.llm_usd:
        lines.append(f"LLM: ${record.spent.llm_usd:.2f} so far, for proposals and chat together")
    each, at_once = mean_trial_seconds(view), spec.run.parallel or 1
    if each is not None:
        left = seconds_left(budget, record.spent, view, at_once=at_once, now=now)
        remaining = f"; about {short_seconds(left)} left" if left else ""
        lines.append(f"pace: {short_seconds(each)} a trial, {at_once} at once{remaining}")
    return lines


def _amount(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < _WHOLE else short_number(value)


def _steering_lines(steering: Steering, spec: StudySpec) -> list[str]:
    """Return what limits the proposals: what people fixed, excluded or forbade, and bounds on other metrics."""
    lines = [f"pinned: {name} = {render_parameter(value)}" for name, value in steering.pins.items()]
    lines += [f"veto: {condition}" for condition in steering.vetoes]
    lines += [f"forbidden: {rule}" for rule in spec.space.forbid]
    for bound in spec.constraints:
        low = f"at least {short_number(bound.min)}" if bound.min is not None else ""
        high = f"at most {short_number(bound.max)}" if bound.max is not None else ""
        lines.append(f"constraint: {bound.metric} {' and '.join(part for part in (low, high) if part)}")
    return lines


def _state_text(context: ToolContext, ended_by: str | None) -> str:
    if context.control is not None and context.control.is_running():
        return "running, but paused: no trial starts until resume" if is_paused(context) else "running"
    if ended_by is None:
        return "has not run yet"
    if ended_by == FAILURES:
        last = last_of_study(context.study.view().set_aside)
        paused = "paused because of failures"
        return paused if last is None else f"{paused}:\n{fenced(one_line(pause_reason([last]), 600), 'log')}"
    if not ended_by:
        return "not running (its process is gone; the next run resumes it)"
    return f"not running ({ending_text(ended_by, context.study.spec)})"


def _outage_lines(context: ToolContext, record: StudyRecord) -> list[str]:
    """Return that trials wait for a judge of texts that gives no answer; its provider's words are data."""
    has_process = context.control is not None and context.control.is_running()
    events = context.study.outages()
    line = judge_outage_line(events, ended_by=record.ended_by, has_process=has_process, now=time.time())
    return ["the judge of texts gives no answer:", fenced(one_line(line, 600), "log")] if line else []


STUDY = StudyTool("study", NoArguments, study_text)
