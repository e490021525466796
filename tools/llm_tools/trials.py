"""Tools that read trials: the study's state, trials by a condition, one trial, its curve, several trials compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.prompts.history_summary import downsample
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.energy import gpu_line
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Condition, ConditionError, Value
from tunesmith.study.trials.observed.series import series_of
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.confirmation.seed_values import runs_of, seed_values
from tunesmith.tools.analysis.confirmation.significance import sample
from tunesmith.tools.analysis.findings.figures import plus_minus
from tunesmith.tools.analysis.instance_table import value_over_instances
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool

MAX_ROWS = 50
"""Maximum number of trials on a page."""
MAX_SERIES = 16
"""Number of a trial's series that are described."""
COLUMNS = ("number", "state", "source", "failure", "seconds", "seed")
"""Names that a condition may use in addition to parameters and metrics."""

Number = Annotated[int, Field(ge=0, description="A trial's number.")]


class NoArguments(Arguments):
    """No arguments."""


class TrialsArguments(Arguments):
    """A choice of trials, and a page of them."""

    which: Literal["best", "worst", "latest", "failed", "open"] = Field(
        "latest", description="open ones wait or run; best and worst rank by the first objective."
    )
    where: Annotated[str, Field(max_length=400)] = Field(
        "",
        description="Over parameters, metrics, number, state, source, failure and seconds, such as "
        "lr > 0.01 and optimizer == 'sgd'.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description=f"At most {MAX_ROWS}.")] = 20
    offset: Annotated[int, Field(ge=0, description="Rows to skip.")] = 0


class TrialArguments(Arguments):
    """One trial."""

    number: Number


def trial_lines(context: ToolContext, args: TrialsArguments) -> str:
    """Return trials, a line each, best or latest first."""
    view = context.study.view()
    found = matching_trials(view, args)
    page = found[args.offset : args.offset + args.limit]
    if not page:
        return "no trial matches" if not found else f"only {len(found)} trials match; use a smaller offset"
    lines = [trial_line(t, view) for t in page]
    last = args.offset + len(page)
    if last < len(found):
        lines.append(f"({args.offset + 1} to {last} of {len(found):,}; offset={last} gives more)")
    return "\n".join(lines)


def matching_trials(view: StudyView, args: TrialsArguments) -> Sequence[Trial]:
    """Return the trials of all pages, best or latest first.

    Raises:
        ToolRefused: the condition is not valid.
    """
    ranked = leaderboard(view.trials, view)
    chosen: Mapping[str, Sequence[Trial]] = {
        "best": ranked,
        "worst": ranked[::-1],
        "latest": list(view.every_trial)[::-1],
        "failed": [t for t in view.every_trial if t.state is TrialState.FAILED][::-1],
        "open": [t for t in view.trials if not t.state.is_finished],
    }
    return _filtered(chosen[args.which], _condition(args.where, view)) if args.where else chosen[args.which]


def trial_text(context: ToolContext, args: TrialArguments) -> str:
    """Return one trial: configuration, source and reason, values, and the end of a failed trial's log."""
    view = context.study.view()
    trial = find_trial(view, args.number)
    proposal = trial.proposal
    lines = [trial_line(trial, view), f"why: {_ORIGINS[proposal.source]}; {one_line(proposal.rationale, 400)}"]
    if proposal.prediction:
        spread = f" (standard deviation {short_number(proposal.prediction.std, 2)})" if proposal.prediction.std else ""
        lines.append(f"expected: {short_number(proposal.prediction.mean)}{spread}")
    if proposal.fallback_reason:
        lines.append(f"proposed instead of the LLM: {one_line(proposal.fallback_reason)}")
    lines += [f"considered: {one_line(text)}" for text in proposal.considered[:6]]
    known = {o.metric for o in view.objectives} | {c.metric for c in view.constraints}
    lines += [f"{name} = {short_number(value)}" for name, value in trial.values.items() if name in known]
    # The script chose the names of the others.
    others = [f"{one_line(name)} = {short_number(value)}" for name, value in trial.values.items() if name not in known]
    lines += ["other metrics:", fenced("\n".join(others), "metrics", keep="start")] if others else []
    series = [f"{one_line(found.metric, 60)}: {found.text}" for found in series_of(context.study.curve(args.number))]
    lines += ["series:", fenced("\n".join(series[:MAX_SERIES]), "metrics", keep="start")] if series else []
    lines += _repetition_lines(trial, view, context.study.spec.instance_set)
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


_ORIGINS = {
    Source.DEFAULT: "the study's default, which runs first as the baseline",
    Source.USER: "asked for by a person or a chat",
    Source.SAMPLER: "proposed by the sampler from the results so far",
    Source.LLM: "proposed by the LLM",
    Source.FALLBACK: "proposed by the sampler in place of another source",
    Source.CONFIRM: "a repetition on another seed or a held-out instance, to measure noise or confirm a result",
    Source.RACE: "an earlier configuration on another instance, in a race for the best",
    Source.IMPORT: "imported: it ran outside Tunesmith",
}
"""What each source of trials means, for people."""


def _repetition_lines(trial: Trial, view: StudyView, instances: InstanceSet | None) -> list[str]:
    """Return what other runs of the same configuration gave, and mean and spread of all; [] without others.

    On instances: what the configuration reached on each.
    """
    if trial.runs is not None:
        each = ", ".join(f"{one_line(name, 40)} {short_number(value)}" for name, value in trial.runs.values.items())
        if trial.failure is not None:
            return [f"its runs that completed: {each}"]
        of = value_over_instances(trial, instances)
        return [f"{f'its value is {of}; its runs' if of else 'its runs'}: {each}"]
    if trial.proposal.instance:
        return [f"it ran on instance {one_line(trial.proposal.instance, 40)}"]
    runs, metric = runs_of(trial, view), view.objectives[0].metric
    if len(runs) < 2:  # noqa: PLR2004  # only this one
        return []
    texts = [
        f"#{t.number} {short_number(t.values[metric]) if metric in t.values else t.state.value}"
        for t in runs
        if t.number != trial.number
    ]
    whole = sample(seed_values(trial, view))
    mean = ""
    if whole is not None and whole.std is not None:
        mean = f"; mean over {whole.count} seeds {plus_minus(whole)} (95%)"
    return [f"the same configuration on other seeds: {', '.join(texts)}{mean}"]


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
    if trial.is_unlisted:
        return "on an instance that the study has no longer, so it counts nowhere"
    return "forgotten" if trial.forgotten else "regardless of its parameters, so it counts nowhere"


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
    # A script may report a series of a parameter, such as a learning rate.
    row: dict[str, Value] = {**trial.values, **trial.params}
    row |= {"number": trial.number, "state": trial.state.value, "source": trial.proposal.source.value}
    row["seed"] = trial.proposal.seed
    if trial.failure:
        row["failure"] = trial.failure.kind.value
    if trial.outcome:
        row["seconds"] = trial.outcome.usage.wall_s
    return row


TRIALS = StudyTool("trials", TrialsArguments, trial_lines)
TRIAL = StudyTool("trial", TrialArguments, trial_text)
CURVE = StudyTool("curve", TrialArguments, curve_text)
