"""`tunesmith status`: where a study stands, and with --why N the story of one trial. Reads only."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import (
    budget_bar,
    counts,
    header,
    layout,
    note,
    params_line,
    printable,
    row,
    sparkline,
)
from tunesmith.cli.display.json_lines import number as json_number
from tunesmith.cli.display.json_lines import trial_json
from tunesmith.cli.session.limits import limits_now
from tunesmith.cli.session.locate import Located, open_study
from tunesmith.history.read import Tally
from tunesmith.study.config.budget import ENDING, Budget
from tunesmith.study.energy import gpu_line
from tunesmith.study.errors import HistoryError
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.held_out_test import TESTED, results_in, told
from tunesmith.tools.analysis.source_credit import Meter, meter_lines, meter_of

LATEST = 8


def show_status(study: Path, *, history: Path | None, why: int | None, as_json: bool) -> None:
    """Print the state of a study, or the story of trial `why`.

    Raises:
        HistoryError: there is no history, no such study, or no such trial.
    """
    located = open_study(study, history)
    with located.history:
        if why is None:
            text = json.dumps(_status_json(located), indent=2) if as_json else status_text(located)
        else:
            trial = trial_in(located, why)
            text = json.dumps(_story_json(located, trial), indent=2) if as_json else story_text(located, trial)
    print(text)


def trial_in(located: Located, number: int) -> Trial:
    """Return a trial.

    Raises:
        HistoryError: there is none of that number.
    """
    trial = located.history.trial(located.record.id, number)
    if trial is None:
        last = located.history.latest(located.record.id, 1)
        known = f"they run from 0 to {last[-1].number}" if last else "there is none yet"
        raise HistoryError(f"study {located.record.name} has no trial {number}; {known}")
    return trial


def status_text(located: Located) -> str:
    """Return where a study stands, as lines."""
    record, history = located.record, located.history
    tally, best = history.tally(record.id), history.best(record)
    objective = record.spec.objectives[0]
    latest = history.latest(record.id, LATEST)
    table = layout(record.spec.space, objective, shutil.get_terminal_size((120, 24)).columns)
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {_state(located)}"]
    lines += _best_lines(located, best)
    budget = limits_now(history, record, time.time())
    bar = budget_bar(budget, record.spent, time.time(), seconds_per_trial=None)
    lines.append("  ·  ".join(part for part in (f"trials: {counts(tally.states)}", _replicates(tally), bar) if part))
    test = told(results_in(history.events(record.id, TESTED)), best.number if best else None)
    if test:
        lines.append(test)
    if tally.failures:
        lines.append("failures: " + ", ".join(f"{count} {kind}" for kind, count in tally.failures.items()))
    lines.append("proposed by: " + ", ".join(f"{source} {count}" for source, count in tally.sources.items()))
    if record.spent.llm_calls or tally.sources.get("llm"):
        meter = _meter(located)
        lines += meter_lines(meter)
        if meter.falls_back_often:
            lines[0] += f"  ·  the LLM fell back in {meter.fallbacks} of its {meter.turns} turns"
    if latest:
        lines += ["", header(table), *(row(trial, best, table) for trial in latest)]
    return "\n".join(lines)


def _meter(located: Located) -> Meter:
    record = located.record
    return meter_of(located.history.trials(record.id), record.spec.objectives, record.spec.bounds, record.spent)


def _state(located: Located) -> str:
    record = located.record
    if record.ended_by:
        return {"interrupted": "interrupted; `tunesmith run` resumes it", "exhausted": "every configuration tried"}.get(
            record.ended_by, f"ended: the limit on {record.ended_by} was reached"
        )
    running = located.history.unfinished(record.id)
    since = f"{short_seconds(record.spent.hours * 3600)} of work so far"
    return f"running {len(running)} trial{'s' if len(running) != 1 else ''}, {since}"


def _best_lines(located: Located, best: Trial | None) -> list[str]:
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
    return [line, f"      {params_line(best.params)}"]


def _replicates(tally: Tally) -> str:
    return f"{tally.replicates} repeated" if tally.replicates else ""


def _status_json(located: Located) -> dict[str, Any]:
    record, history = located.record, located.history
    tally, best = history.tally(record.id), history.best(record)
    default = history.default(record.id)
    return {
        "study": record.name,
        "ended_by": record.ended_by,
        "trials": {state.value: count for state, count in tally.states.items()},
        "failures": dict(tally.failures),
        "sources": dict(tally.sources),
        "replicates": tally.replicates,
        "best": trial_json(best) if best else None,
        "default": trial_json(default) if default else None,
        "spent": {
            "trials": record.spent.trials,
            "hours": record.spent.hours,
            "gpu_hours": record.spent.gpu_hours,
            "kwh": record.spent.kwh,
            "llm_calls": record.spent.llm_calls,
            "llm_tokens": record.spent.llm_tokens,
            "llm_usd": record.spent.llm_usd,
        },
        "budget": _limits(limits_now(history, record, time.time())),
        "latest": [trial_json(trial) for trial in history.latest(record.id, LATEST)],
    }


def _limits(budget: Budget) -> dict[str, float | None]:
    return {name: getattr(budget, name) for name in ENDING}


def story_text(located: Located, trial: Trial) -> str:
    """Return the story of one trial, as lines."""
    proposal = trial.proposal
    objective = located.record.spec.objectives[0]
    lines = [f"trial {trial.number} of {located.record.name}: {trial.state.value}"]
    lines.append(f"  configuration  {params_line(trial.params)}")
    lines.append(f"  proposed by    {proposal.source.value}: {proposal.rationale or 'no reason was given'}")
    if proposal.fallback_reason:
        lines.append(f"  fallback       {proposal.fallback_reason}")
    for line in proposal.considered:
        lines.append(f"  considered     {printable(line)}")
    if proposal.prediction:
        expected = proposal.prediction
        spread = f" ± {short_number(expected.std, 2)}" if expected.std else ""
        lines.append(f"  expected       {short_number(expected.mean)}{spread}")
    for name, value in trial.values.items():
        lines.append(
            f"  {printable(name):<14} {short_number(value)}{'  (objective)' if name == objective.metric else ''}"
        )
    if trial.outcome and note(trial) != proposal.rationale:
        lines.append(f"  end            {note(trial)}")
    if trial.outcome:
        usage = trial.outcome.usage
        lines.append(
            f"  used           {short_seconds(usage.wall_s)} wall, {short_seconds(usage.cpu_s)} CPU, "
            f"{short_seconds(usage.gpu_s)} GPU, {usage.peak_rss_gib:.2f} GiB at the peak"
        )
        lines += [f"  GPU            {gpu}" for gpu in [gpu_line(usage)] if gpu]
    lines.append(f"  runs           attempt {trial.attempt}, training seed {proposal.seed}, files {proposal.variant}")
    lines.append(f"  folder         {located.folder / 'trials' / f'{trial.number:04d}'}")
    if trial.failure and trial.failure.tail:
        lines += ["  end of the log:", *(f"    {printable(line)}" for line in trial.failure.tail.splitlines()[-15:])]
    return "\n".join(lines)


def _story_json(located: Located, trial: Trial) -> dict[str, Any]:
    curve = located.history.curve(located.record.id, trial.number)
    prediction = trial.proposal.prediction
    return {
        **trial_json(trial),
        "considered": list(trial.proposal.considered),
        "prediction": {"mean": prediction.mean, "std": prediction.std} if prediction else None,
        "log_tail": trial.failure.tail if trial.failure else "",
        "curve": [{"metric": o.metric, "step": o.step, "value": json_number(o.value), "at": o.at} for o in curve],
    }
