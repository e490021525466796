"""What a command would do to a study, as a sentence for the person who approves it: before, after and cost.

The figures come from the trials so far: "about 1 min more" is the mean duration of a trial that gave a value, times
the number of trials, divided by those that run at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.commands import (
    Bounds,
    Command,
    Confirm,
    Constrain,
    End,
    Forbid,
    Forget,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    Retry,
    Setting,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.config.changes import at_key
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import count, render_parameter, render_params
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Value, same
from tunesmith.study.trials.numbers import numbers_text
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import Constraint, StudyView
from tunesmith.study.trials.winner import incumbent, leaderboard
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.pace import mean_trial_seconds
from tunesmith.tools.analysis.rule_effect import rule_effect
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.trials import find_trial

LEADERS = 5
"""Number of best trials that a sentence compares with."""
LIMIT_NAMES = {
    "trials": "Trials",
    "runs": "Runs on instances",
    "hours": "Hours of work",
    "until": "End of the run",
    "gpu_hours": "GPU-hours",
    "kwh": "Kilowatt-hours",
    "llm_usd": "Dollars for the LLM",
    "llm_tokens": "Tokens for the LLM",
    "llm_calls": "Calls of the LLM",
}


def consequence(context: ToolContext, command: Command) -> str:  # noqa: C901  # one case per kind of command
    """Return what a command would do; the command has been found valid."""
    spec, view = context.study.spec, context.study.view()
    match command:
        case Queue(params=params):
            return f"Run next: {_configuration_text(params, view)}{_duration(1, spec, view)}"
        case Confirm(number=number, seeds=seeds):
            runs = count(seeds, "run")
            return f"Run #{number} again on {count(seeds, 'fresh seed')}: {runs}{_duration(seeds, spec, view)}"
        case Withdraw(number=number):
            return f"Take #{number} off the queue: {render_params(find_trial(view, number).params)}"
        case StopTrial(number=number):
            return f"Stop #{number}, which is running; its values so far are kept"
        case Forget(numbers=numbers, again=takes_up):
            return _take_up_text(numbers) if takes_up else _forget_text(numbers, view)
        case Retry(numbers=numbers):
            failed = list(numbers) or [t.number for t in view.every_trial if t.state is TrialState.FAILED]
            again = f"Run {numbers_text(failed)} again, under new numbers"
            return f"{again}{_duration(len(failed), spec, view)}; the failures count no more"
        case Pause():
            return f"Start no more trials until resume{_running_text(view, 'continue')}"
        case Resume():
            return "Start trials again"
        case End(now=now):
            return _end_text(view, now=now)
        case Pin(name=name, value=value):
            return _pin_text(name, value, view)
        case Veto(condition=condition, lift=lift):
            return f"Allow trials with {_plain(condition)} again" if lift else _veto_text(condition, view)
        case Forbid(rule=rule, lift=lift):
            return f"Allow trials with {rule} again" if lift else _forbid_text(rule, spec, view)
        case Limit(name=name, value=value):
            return _limit_text(name, value, context)
        case Setting(key=key, value=value):
            before = _setting(at_key(spec.document, key))
            return f"{key}: {before} -> {_setting(value)}, from the next trial on"
        case Parallel(count=slots):
            return f"Trials at the same time: {spec.run.parallel or 1} -> {slots}"
        case Bounds():
            return _bounds_text(command, spec)
        case Constrain():
            return _constrain_text(command, view)
        case _:
            return f"{command.kind}: {render_params(command.model_dump(exclude={'kind', 'why'}))}"


def duration_text(runs: int, spec: StudySpec, view: StudyView) -> str:
    """Return about how long some trials take, such as "about 10 s"; "" while no trial gave a value."""
    each = mean_trial_seconds(view)
    if each is None or not runs:
        return ""
    at_once = min(spec.run.parallel or 1, runs)
    return f"about {short_seconds(each * runs / at_once)}"


def _duration(runs: int, spec: StudySpec, view: StudyView) -> str:
    about = duration_text(runs, spec, view)
    return f", {about}" if about else ""


def _configuration_text(params: Mapping[str, Value], view: StudyView) -> str:
    """Return a configuration as its differences from the best one, where they are fewer than half of it."""
    best = incumbent(view.trials, view)
    if best is None or set(best.params) != set(params):
        return render_params(params)
    changed = {name: value for name, value in params.items() if not same(best.params[name], value)}
    if not changed:
        return f"the configuration of #{best.number}, the best so far, once more"
    if len(changed) > len(params) / 2:
        return render_params(params)
    moves = [f"{n} {render_parameter(best.params[n])} -> {render_parameter(v)}" for n, v in changed.items()]
    return f"#{best.number}, the best so far, with {', '.join(moves)}"


def _forget_text(numbers: Sequence[int], view: StudyView) -> str:
    best = incumbent(view.trials, view)
    text = f"Let {numbers_text(numbers)} teach nothing and count nowhere"
    if best is None or best.number not in numbers:
        return text
    rest = [t for t in leaderboard(view.trials, view) if t.number not in numbers]
    after = f"then #{rest[0].number} is the best" if rest else "then no trial is left that could be the best"
    return f"{text}; #{best.number}, the best so far, is among them, {after}"


def _take_up_text(numbers: Sequence[int]) -> str:
    return f"Let the forgotten {numbers_text(numbers)} count again"


def _running_text(view: StudyView, verb: str) -> str:
    running = [t.number for t in view.trials if t.state is TrialState.RUNNING]
    return f"; {numbers_text(running)} {verb}" if running else ""


def _end_text(view: StudyView, *, now: bool) -> str:
    if now:
        return f"End the run at once{_running_text(view, 'stop and run again when the study resumes')}"
    return f"End the run: no further trial starts{_running_text(view, 'finish first')}"


def _pin_text(name: str, value: object, view: StudyView) -> str:
    if value is None:
        return f"Let {name} vary again"
    return f"Fix {name} at {render_parameter(value)} in all later trials ({_share(f'{name} == {value!r}', view)})"


def _veto_text(text: str, view: StudyView) -> str:
    return f"No more trials with {_plain(text)} ({_share(text, view)})"


def _forbid_text(rule: str, spec: StudySpec, view: StudyView) -> str:
    found = rule_effect(spec, rule, view.trials)
    ran = sum(not t.is_replicate and t.state.is_finished for t in view.trials)
    left = f"{found.left:.0%} of the space is left"
    return f"Never again run a trial with {rule} ({len(found.ended)} of {ran} so far; {left})"


def _share(condition: str, view: StudyView) -> str:
    """Return how many trials meet a condition, and how many of the best: "78 of 82 so far, all of the best 5"."""
    parsed = conditions.parse(condition)
    own = [t for t in view.trials if not t.is_replicate and t.state is not TrialState.WAITING]
    if not own:
        return "no trial has run yet"
    met = sum(parsed.holds(t.params) for t in own)
    leaders = leaderboard(view.trials, view)[:LEADERS]
    among = sum(parsed.holds(t.params) for t in leaders)
    words = {0: "none", len(leaders): "all"}.get(among, str(among))
    best = f", {words} of the best {len(leaders)}" if len(leaders) > 1 and met else ""
    return f"{met} of {len(own)} so far{best}"


def _plain(condition: str) -> str:
    """Return a condition as people write it: optimizer = sgd."""
    return " ".join(condition.split()).replace("==", "=").replace("'", "").replace('"', "")


def _limit_text(name: str, value: float | str | None, context: ToolContext) -> str:
    spec, record = context.study.spec, context.study.record()
    before = spec.document.get("budget", {}).get(name)
    text = f"{LIMIT_NAMES[name]}: {_limit(before)} -> {_limit(value)}"
    if name != "trials" or not isinstance(value, int | float):
        return text
    done = record.spent.full_runs if record else 0.0
    if value <= done:
        return f"{text}; {render_parameter(round(done, 1))} are done, so no further trial starts"
    more = int(value - max(before or 0, done)) if before is not None else 0
    about = duration_text(more, spec, context.study.view()) if more > 0 else ""
    return f"{text}, {about} more" if about else text


def _limit(value: object) -> str:
    return "no limit" if value is None else render_parameter(value)


def _setting(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return "not set" if value is None else render_parameter(value)


def _bounds_text(command: Bounds, spec: StudySpec) -> str:
    entry = spec.document["space"][command.name]
    if command.choices is not None:
        before, after = ([render_parameter(c) for c in choices] for choices in (entry["choices"], command.choices))
        return f"{command.name}: {', '.join(before)} -> {', '.join(after)}"
    low, high = entry["low"], entry["high"]
    now = [low if command.low is None else command.low, high if command.high is None else command.high]
    return f"{command.name}: {_range(low, high)} -> {_range(*now)}"


def _range(low: object, high: object) -> str:
    return f"{render_parameter(low)} to {render_parameter(high)}"


def _constrain_text(command: Constrain, view: StudyView) -> str:
    if command.min is None and command.max is None:
        return f"Bound {command.metric} no longer"
    low = [f"at least {render_parameter(command.min)}"] if command.min is not None else []
    high = [f"at most {render_parameter(command.max)}"] if command.max is not None else []
    complete = [t for t in view.trials if command.metric in t.values and t.state is TrialState.COMPLETE]
    bound = Constraint(metric=command.metric, min=command.min, max=command.max)
    kept = [t for t in complete if bound.violation(t.values[command.metric]) <= 0]
    best = incumbent(view.trials, view)
    also = f"; #{best.number}, the best so far, does not" if best is not None and best not in kept else ""
    return (
        f"Trials must keep {command.metric} {' and '.join(low + high)} ({len(kept)} of {len(complete)} so far do{also})"
    )
