"""Tools that read trials: the study's state, trials by a condition, one trial, its curve, several trials compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.prompts.history_summary import downsample, space_table
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.energy import gpu_line
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import one_line, render_parameter, render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Condition, ConditionError, Value
from tunesmith.study.trials.results import default_trial, left_out_count, left_out_text
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import certainty_text, leaderboard, winner
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.broken_environment import FAILURES, last_of_study, pause_reason
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.variants.run_command import CLAIM, is_claim

MAX_ROWS = 50
"""Maximum number of trials on a page."""
MAX_COMPARED = 8
"""Maximum number of trials in a comparison."""
COLUMNS = ("number", "state", "source", "failure", "seconds", "seed")
"""Names that a condition may use in addition to parameters and metrics."""

Number = Annotated[int, Field(ge=0, description="A trial's number, from 0.")]


class NoArguments(Arguments):
    """No arguments."""


class TrialsArguments(Arguments):
    """A choice of trials, and a page of them."""

    which: Literal["best", "worst", "latest", "failed", "open"] = Field(
        "latest", description="best and worst rank by the first objective; open trials wait or run."
    )
    where: Annotated[str, Field(max_length=400)] = Field(
        "",
        description="A condition over parameters, metrics, number, state, source, failure and seconds, such as "
        "lr > 0.01 and optimizer == 'sgd'; empty for all.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description=f"Number of rows, at most {MAX_ROWS}.")] = 20
    offset: Annotated[int, Field(ge=0, description="Rows to skip, for the next page.")] = 0


class TrialArguments(Arguments):
    """One trial."""

    number: Number


class CompareArguments(Arguments):
    """Trials to compare."""

    numbers: Annotated[list[Number], Field(min_length=2, max_length=MAX_COMPARED)]


def study_text(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return what the study tunes, its trials so far, and its budget."""
    facts = context.study
    spec, view, record = facts.spec, facts.view(), facts.record()
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    lines = [f"study {spec.study.name}: {aims}", f"command: {spec.run.command}"]
    if spec.study.description:
        lines.append(f"about: {one_line(spec.study.description, 300)}")
    lines += [f"trials: {_count_text(view)}", *_best_lines(view, spec)]
    if record is not None:
        budget = spec.budget.starting_at(time.time())
        shares = [*budget.limit_usage(record.spent), *budget.llm_limit_usage(record.spent)]
        used = ", ".join(f"{s.name} {short_number(s.used)} of {short_number(s.limit)}" for s in shares)
        lines.append(f"spent: {used or 'no limits'}; {short_seconds(record.spent.hours * 3600)} of work")
    lines.append(f"state: {_state_text(context, record.ended_by if record else None)}")
    for bound in spec.constraints:
        low = f"at least {short_number(bound.min)}" if bound.min is not None else ""
        high = f"at most {short_number(bound.max)}" if bound.max is not None else ""
        lines.append(f"constraint: {bound.metric} {' and '.join(part for part in (low, high) if part)}")
    if spec.fidelity:
        lines.append(f"fidelity: {spec.fidelity.name} from {spec.fidelity.min:g} to {spec.fidelity.max:g}")
    return "\n".join([*lines, "space:", space_table(spec.space)])


def trial_lines(context: ToolContext, args: TrialsArguments) -> str:
    """Return trials, a line each, best or latest first."""
    view = context.study.view()
    ranked = leaderboard(view.trials, view)
    chosen: Mapping[str, Sequence[Trial]] = {
        "best": ranked,
        "worst": ranked[::-1],
        "latest": list(view.every_trial)[::-1],
        "failed": [t for t in view.every_trial if t.state is TrialState.FAILED][::-1],
        "open": [t for t in view.trials if not t.state.is_finished],
    }
    found = _filtered(chosen[args.which], _condition(args.where, view)) if args.where else chosen[args.which]
    page = found[args.offset : args.offset + args.limit]
    if not page:
        return "no trial matches" if not found else f"only {len(found)} trials match; use a smaller offset"
    lines = [trial_line(t, view) for t in page]
    last = args.offset + len(page)
    if last < len(found):
        lines.append(f"({args.offset + 1} to {last} of {len(found):,}; offset={last} gives more)")
    return "\n".join(lines)


def trial_text(context: ToolContext, args: TrialArguments) -> str:
    """Return one trial: configuration, source and reason, values, and the end of a failed trial's log."""
    view = context.study.view()
    trial = find_trial(view, args.number)
    proposal = trial.proposal
    lines = [trial_line(trial, view), f"reason: {one_line(proposal.rationale, 400)}"]
    if proposal.prediction:
        spread = f" ± {short_number(proposal.prediction.std, 2)}" if proposal.prediction.std else ""
        lines.append(f"expected: {short_number(proposal.prediction.mean)}{spread}")
    if proposal.fallback_reason:
        lines.append(f"proposed instead of the LLM: {one_line(proposal.fallback_reason)}")
    lines += [f"considered: {one_line(text)}" for text in proposal.considered[:6]]
    known = {o.metric for o in view.objectives} | {c.metric for c in view.constraints}
    lines += [f"{name} = {short_number(value)}" for name, value in trial.values.items() if name in known]
    # The script chose the names of the others.
    others = [f"{one_line(name)} = {short_number(value)}" for name, value in trial.values.items() if name not in known]
    lines += ["other metrics:", fenced("\n".join(others), "metrics", keep="start")] if others else []
    if trial.outcome:
        usage = trial.outcome.usage
        lines.append(f"took {short_seconds(usage.wall_s)}, {usage.peak_rss_gib:.2f} GiB at the peak")
        lines += [f"GPU: {gpu}" for gpu in [gpu_line(usage)] if gpu]
        lines += ["note:", fenced(one_line(trial.outcome.note), "note")] if trial.outcome.note else []
    if trial.failure:
        lines.append(f"failed as {trial.failure.kind.value}; its reason, and the end of its log:")
        lines.append(
            fenced(f"{one_line(trial.failure.reason)}\n{trial.failure.tail[-6000:]}".strip(), "log", limit=1800)
        )
    return "\n".join(lines)


def curve_text(context: ToolContext, args: TrialArguments) -> str:
    """Return a trial's curve: a few values per metric."""
    find_trial(context.study.view(), args.number)
    observed = context.study.curve(args.number)
    if not observed:
        return f"trial {args.number} has reported nothing yet"
    lines = []
    for metric in dict.fromkeys(o.metric for o in observed):
        points = [o for o in observed if o.metric == metric]
        values = [o.value for o in points]
        few = downsample(values, 12) or values
        steps = f"steps {short_number(points[0].step)} to {short_number(points[-1].step)}, {len(points)} values"
        lines.append(f"{one_line(metric, 60)} ({steps}): {' '.join(short_number(value) for value in few)}")
        lines.append(f"  lowest {short_number(min(values))}, highest {short_number(max(values))}")
    return "\n".join(lines)


def comparison_text(context: ToolContext, args: CompareArguments) -> str:
    """Return trials compared: a table of what differs, and one line of what is equal."""
    view = context.study.view()
    trials = [find_trial(view, number) for number in dict.fromkeys(args.numbers)]
    names = [name for name in view.space.names if any(name in t.params for t in trials)]
    rows = {name: [_cell(t.params, name) for t in trials] for name in names}
    metrics = list(dict.fromkeys(name for t in trials for name in t.values))
    rows |= {m: [short_number(t.values[m]) if m in t.values else "-" for t in trials] for m in metrics}
    rows["state"] = [t.failure.kind.value if t.failure else t.state.value for t in trials]
    rows["source"] = [t.proposal.source.value for t in trials]
    rows["seconds"] = [f"{t.outcome.usage.wall_s:.3g}" if t.outcome else "-" for t in trials]
    equal = {name: cells[0] for name, cells in rows.items() if len(set(cells)) == 1}
    lines = [" | ".join(["", *(f"#{t.number}" for t in trials)])]
    lines += [" | ".join([name, *cells]) for name, cells in rows.items() if name not in equal]
    if equal:
        lines.append("equal: " + ", ".join(f"{name} {cell}" for name, cell in equal.items()))
    return "\n".join(lines)


def find_trial(view: StudyView, number: int) -> Trial:
    """Return the trial of that number.

    Raises:
        ToolRefused: there is no such trial; the message says which there are.
    """
    trials = view.every_trial
    found = next((t for t in trials if t.number == number), None)
    if found is not None:
        return found
    known = f"the last one is {trials[-1].number}" if trials else "no trial has run yet"
    raise ToolRefused(f"there is no trial {number}; {known}")


def trial_line(trial: Trial, view: StudyView) -> str:
    """Return a trial as one line."""
    values = [f"{o.metric} {short_number(trial.values[o.metric])}" for o in view.objectives if o.metric in trial.values]
    state = f"failed ({trial.failure.kind.value})" if trial.failure else trial.state.value
    state += "" if trial.counts else f", {uncounted_text(trial)}"
    replicate = f" (replicate of {trial.proposal.replicate_of})" if trial.is_replicate else ""
    source = f"{trial.proposal.source.value}{replicate}"
    return f"#{trial.number} {source} {state} {' '.join(values) or 'no value'}  {render_params(trial.params)}"


def uncounted_text(trial: Trial) -> str:
    """Return why a trial counts nowhere."""
    return "forgotten" if trial.forgotten else "regardless of its parameters, so it counts nowhere"


def _cell(params: Mapping[str, Value], name: str) -> str:
    return render_parameter(params[name]) if name in params else "-"


def _count_text(view: StudyView) -> str:
    own = [t for t in view.trials if not t.is_replicate]
    parts = [f"{sum(t.state is state for t in own)} {state.value}" for state in TrialState]
    replicates = len(view.trials) - len(own)
    kept = [part for part in parts if not part.startswith("0 ")]
    aside = sum(not t.is_replicate for t in view.set_aside)
    kept += [f"{replicates} replicates on other seeds"] if replicates else []
    kept += [f"{aside} that count nowhere (forgotten, or failed regardless of their parameters)"] if aside else []
    return ", ".join(kept) or "none yet"


def _best_lines(view: StudyView, spec: StudySpec) -> list[str]:
    best = winner(view.trials, view)
    lines = ["best: no complete trial yet"]
    if best is not None:
        certainty = certainty_text(best)
        claim = f"; {CLAIM}" if is_claim(spec, best.trial.proposal.code) else ""
        lines = [f"best: {trial_line(best.trial, view)}{f' ({certainty})' if certainty else ''}{claim}"]
    default = default_trial(view.trials, view.space)
    if default is not None and (best is None or best.trial.number != default.number):
        lines.append(f"default: {trial_line(default, view)}")
    outside = left_out_text(left_out_count(view.trials, view.space))
    return [*lines, *([outside] if outside else [])]


def _state_text(context: ToolContext, ended_by: str | None) -> str:
    if context.control is not None and context.control.is_running():
        return "running"
    if ended_by is None:
        return "has not run yet"
    if ended_by == FAILURES:
        last = last_of_study(context.study.view().set_aside)
        paused = "paused because of failures"
        return paused if last is None else f"{paused}:\n{fenced(one_line(pause_reason([last]), 600), 'log')}"
    return (
        f"not running (ended by {ended_by})"
        if ended_by
        else "not running (its process is gone; the next run resumes it)"
    )


def _condition(text: str, view: StudyView) -> Condition:
    try:
        parsed = conditions.parse(text)
    except ConditionError as error:
        raise ToolRefused(f"where: {error}") from None
    metrics = dict.fromkeys(name for t in view.trials for name in t.values)
    known = [*view.space.names, *metrics, *COLUMNS]
    for comparison in conditions.comparisons(parsed):
        if comparison.name not in known:
            raise ToolRefused(f"where: {comparison.name} is unknown{did_you_mean(comparison.name, known)}")
    return parsed


def _filtered(trials: Sequence[Trial], condition: Condition) -> list[Trial]:
    return [t for t in trials if condition.holds(_row_values(t))]


def _row_values(trial: Trial) -> dict[str, Value]:
    row: dict[str, Value] = {**trial.params, **trial.values}
    row |= {"number": trial.number, "state": trial.state.value, "source": trial.proposal.source.value}
    row["seed"] = trial.proposal.seed
    if trial.failure:
        row["failure"] = trial.failure.kind.value
    if trial.outcome:
        row["seconds"] = trial.outcome.usage.wall_s
    return row


STUDY = StudyTool("study", NoArguments, study_text)
TRIALS = StudyTool("trials", TrialsArguments, trial_lines)
TRIAL = StudyTool("trial", TrialArguments, trial_text)
CURVE = StudyTool("curve", TrialArguments, curve_text)
COMPARE = StudyTool("compare", CompareArguments, comparison_text)
