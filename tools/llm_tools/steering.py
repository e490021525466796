"""Tools that send commands to the loop: queue, confirm, stop, pause, pin, veto, limits, bounds. The loop decides.

Commands that are clearly wrong are refused here at once, with every mistake. The loop checks again, since the study may
have changed before it reads the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from tunesmith.study.commands import (
    Bounds,
    Command,
    Confirm,
    Constrain,
    End,
    Forbid,
    Forget,
    JsonScalar,
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
from tunesmith.study.config.changes import LIVE_KEYS
from tunesmith.study.errors import ProposalError, ToolRefused
from tunesmith.study.formatting import count, render_params
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.llm_tools.approvals.consequences import consequence, duration_text
from tunesmith.tools.llm_tools.context import StudyControl, ToolContext
from tunesmith.tools.llm_tools.learning import complete_configuration
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, Number

MAX_NUMBERS = 10_000
"""Maximum number of trials that one call names."""
MAX_CONFIGURATIONS = 20
"""Maximum number of configurations that one call queues."""

Why = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(max_length=80)]
A = TypeVar("A", bound=Arguments)


class QueueArguments(Arguments):
    """Configurations to run."""

    configurations: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=MAX_CONFIGURATIONS,
            description='Each such as {"lr": 0.01}; omitted ones are taken from base.',
        ),
    ]
    base: Annotated[str, Field(max_length=20, description="best, default, or a trial's number.")] = "best"
    why: Why = ""


class ConfirmArguments(Arguments):
    """A trial to replicate."""

    number: Number
    seeds: Annotated[int, Field(ge=1, le=20, description="1 to 20, usually 3.")] = 3
    why: Why = ""


class TrialReasonArguments(Arguments):
    """A trial and the reason."""

    number: Number
    why: Why = ""


class ForgetArguments(Arguments):
    """Trials to forget."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(min_length=1, max_length=MAX_NUMBERS),
    ]
    again: bool = False
    why: Why = ""


class RetryArguments(Arguments):
    """Failed trials to run again."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(max_length=MAX_NUMBERS, description="[] for every failed trial."),
    ] = []  # noqa: RUF012  # a default of a pydantic model, which is copied
    why: Why = ""


class EndArguments(Arguments):
    """How the study ends."""

    now: bool = False


class PinArguments(Arguments):
    """A parameter and its value."""

    name: Name
    value: Annotated[JsonScalar, Field(description="Null frees it.")] = None


class VetoArguments(Arguments):
    """A condition that excludes configurations."""

    condition: Annotated[str, Field(min_length=1, max_length=400)]
    lift: bool = False


class ForbidArguments(Arguments):
    """A rule between parameters."""

    rule: Annotated[str, Field(min_length=1, max_length=500)]
    lift: bool = False


class LimitArguments(Arguments):
    """A new limit of the budget."""

    name: Literal["trials", "runs", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: Annotated[float | str | None, Field(description='For until a time of day such as "07:00".')] = None


class SettingArguments(Arguments):
    """A key of study.toml."""

    key: Annotated[str, Field(max_length=120, description=f"{', '.join(LIVE_KEYS)}.")]
    value: Annotated[JsonScalar | list[JsonScalar], Field(description="Null removes it.")] = None


class ParallelArguments(Arguments):
    """Number of parallel trials."""

    count: Annotated[int, Field(ge=1, le=1024)]


class BoundsArguments(Arguments):
    """A parameter's new range."""

    name: Name
    low: int | float | None = None
    high: int | float | None = None
    choices: list[JsonScalar] | None = None


class ConstrainArguments(Arguments):
    """A bound on a metric."""

    metric: Annotated[str, Field(max_length=80)]
    min: float | None = None
    max: float | None = None


def queue(context: ToolContext, args: QueueArguments) -> str:
    """Queue configurations; none is queued unless all are valid and allowed."""
    control, found = _checked_queue(context, args)
    return "\n".join(f"{line}: {control.send(Queue(params=params, why=args.why))}" for params, line in found)


def _queue_preview(context: ToolContext, args: QueueArguments) -> str:
    """Return the complete configurations and about how long they take."""
    _, found = _checked_queue(context, args)
    about = duration_text(len(found), context.study.spec, context.study.view())
    head = f"Run {count(len(found), 'trial')} next{f', {about}' if about else ''}:"
    return "\n".join([head, *(f"  {line}" for _, line in found)])


def _checked_queue(
    context: ToolContext, args: QueueArguments
) -> tuple[StudyControl, list[tuple[dict[str, JsonScalar], str]]]:
    control, found = context.required_control, _complete_configurations(context, args)
    for params, _ in found:
        control.check(Queue(params=params, why=args.why))
    return control, found


def _frozen_queue(context: ToolContext, args: QueueArguments) -> QueueArguments:
    """Return the arguments with a value for every parameter, since the best may be another trial later."""
    found = [params for params, _ in _complete_configurations(context, args)]
    return args.model_copy(update={"configurations": found, "base": "default"})


def _complete_configurations(context: ToolContext, args: QueueArguments) -> list[tuple[dict[str, JsonScalar], str]]:
    """Return each configuration with a value for every parameter, and as a line.

    Raises:
        ToolRefused: a configuration is not valid; the message names every mistake of all of them.
    """
    view = context.study.view()
    complete, mistakes = [], []
    for index, params in enumerate(args.configurations):
        try:
            complete.append(complete_configuration(view, params, args.base))
        except ProposalError as error:
            mistakes.append(f"configuration {index}: {error}")
    if mistakes:
        raise ToolRefused("nothing was queued: " + "; ".join(mistakes))
    found = []
    for params in complete:
        same = [f"#{t.number}" for t in view.trials if dict(t.params) == params and not t.is_replicate]
        found.append((params, f"{render_params(params)}{f' (the same as {same[0]})' if same else ''}"))
    return found


def _frozen_retry(context: ToolContext, args: RetryArguments) -> RetryArguments:
    """Return the arguments with the numbers of every trial that has failed by now, if they name none."""
    failed = [t.number for t in context.study.view().every_trial if t.state is TrialState.FAILED]
    return args.model_copy(update={"numbers": args.numbers or failed[:MAX_NUMBERS]})


def _retried(args: RetryArguments) -> int:
    """Return how many trials a call may start; every failed trial counts as many."""
    return len(args.numbers) or MAX_CONFIGURATIONS


def _running_control(context: ToolContext, verb: str) -> StudyControl:
    control = context.required_control
    if not control.is_running():
        raise ToolRefused(f"the study is not running, so there is nothing to {verb}")
    return control


def _steering(
    name: str,
    arguments: type[A],
    command: Callable[[A], Command],
    effect: Effect = Effect.STEER,
    *,
    running: str = "",
    trial_cost: Callable[[A], int] = lambda _: 0,
) -> StudyTool[A]:
    """Return a tool that sends one command; a person approves it as a sentence, after the command has been checked.

    Args:
        name: the tool's name.
        arguments: its arguments.
        command: makes the command of them.
        effect: what a call may do.
        running: what only a running study can do, as a verb; "" if the command may wait for the next run.
        trial_cost: the number of trials that a call may start.
    """

    def checked(context: ToolContext, args: A) -> tuple[StudyControl, Command]:
        _ = context.study
        control = _running_control(context, running) if running else context.required_control
        made = command(args)
        control.check(made)
        return control, made

    def run(context: ToolContext, args: A) -> str:
        control, made = checked(context, args)
        return control.send(made)

    def preview(context: ToolContext, args: A) -> str:
        _, made = checked(context, args)
        return consequence(context, made)

    said = frozenset(arguments.model_fields) - {"why"}
    return StudyTool(name, arguments, run, effect, trial_cost, preview, said)


def _idempotent(
    name: str,
    arguments: type[A],
    command: Callable[[A], Command],
    effect: Effect = Effect.STEER,
    *,
    running: str = "",
) -> StudyTool[A]:
    """Return a tool whose call a second time changes nothing more: it sets a value or a state."""
    return replace(_steering(name, arguments, command, effect, running=running), is_idempotent=True)


QUEUE = StudyTool(
    "queue",
    QueueArguments,
    queue,
    Effect.RUN,
    lambda args: len(args.configurations),
    _queue_preview,
    previewed=frozenset({"configurations", "base"}),
    freeze=_frozen_queue,
    runs_code=True,
)
CONFIRM = replace(
    _steering(
        "confirm",
        ConfirmArguments,
        lambda args: Confirm(**args.model_dump()),
        Effect.RUN,
        trial_cost=lambda args: args.seeds,
    ),
    runs_code=True,
)
WITHDRAW = replace(_steering("withdraw", TrialReasonArguments, lambda args: Withdraw(**args.model_dump())), loses=True)
STOP_TRIAL = replace(
    _steering("stop_trial", TrialReasonArguments, lambda args: StopTrial(**args.model_dump()), running="stop"),
    loses=True,
)
FORGET = _idempotent("forget", ForgetArguments, lambda args: Forget(**args.model_dump()))
RETRY = replace(
    _steering("retry", RetryArguments, lambda args: Retry(**args.model_dump()), Effect.RUN, trial_cost=_retried),
    freeze=_frozen_retry,
    runs_code=True,
)
PAUSE = _idempotent("pause", NoArguments, lambda _: Pause(), running="pause")
RESUME = replace(_idempotent("resume", NoArguments, lambda _: Resume(), running="resume"), runs_code=True)
END = replace(_idempotent("end", EndArguments, lambda args: End(now=args.now), running="end"), loses=True)
PIN = _idempotent("pin", PinArguments, lambda args: Pin(**args.model_dump()))
VETO = _idempotent("veto", VetoArguments, lambda args: Veto(**args.model_dump()))
FORBID = _idempotent("forbid", ForbidArguments, lambda args: Forbid(**args.model_dump()))
LIMIT = _idempotent("limit", LimitArguments, lambda args: Limit(**args.model_dump()), Effect.RUN)
PARALLEL = _idempotent("parallel", ParallelArguments, lambda args: Parallel(count=args.count), Effect.RUN)
SETTING = _idempotent("setting", SettingArguments, lambda args: Setting(**args.model_dump()), Effect.RUN)
BOUNDS = _idempotent("bounds", BoundsArguments, lambda args: Bounds(**args.model_dump()))
CONSTRAIN = _idempotent("constrain", ConstrainArguments, lambda args: Constrain(**args.model_dump()))
