"""Tools that send commands to the loop: queue, confirm, stop, pause, pin, veto, limits, bounds. The loop decides.

Commands that are clearly wrong are refused here at once, with every mistake. The loop checks again, since the study may
have changed before it reads the command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from tunesmith.study.commands import (
    Bounds,
    Command,
    Confirm,
    Constrain,
    End,
    Forget,
    JsonScalar,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    Retry,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.errors import ProposalError, ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.trials.reported import unreported_reason
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.context import StudyControl, ToolContext
from tunesmith.tools.llm_tools.learning import complete_configuration
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, Number, find_trial

MAX_NUMBERS = 10_000
"""Maximum number of trials that one call names."""
MAX_CONFIGURATIONS = 20
"""Maximum number of configurations that one call queues."""

Why = Annotated[str, Field(max_length=500, description="The reason, in a sentence; it is stored with the trial.")]
Name = Annotated[str, Field(max_length=80, description="A parameter's name.")]
A = TypeVar("A", bound=Arguments)


class QueueArguments(Arguments):
    """Configurations to run."""

    configurations: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=MAX_CONFIGURATIONS,
            description='Each as values by parameter, such as {"lr": 0.01}; omitted ones are taken from base.',
        ),
    ]
    base: Annotated[str, Field(max_length=20, description="best, default, or a trial's number.")] = "best"
    why: Why = ""


class ConfirmArguments(Arguments):
    """A trial to replicate."""

    number: Number
    seeds: Annotated[int, Field(ge=1, le=20, description="Number of fresh seeds, 1 to 20.")] = 3
    why: Why = ""


class TrialReasonArguments(Arguments):
    """A trial and the reason."""

    number: Number
    why: Why = ""


class ForgetArguments(Arguments):
    """Trials to forget."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(min_length=1, max_length=MAX_NUMBERS, description="Numbers of finished trials."),
    ]
    again: Annotated[bool, Field(description="Take these forgotten trials up again.")] = False
    why: Why = ""


class RetryArguments(Arguments):
    """Failed trials to run again."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(max_length=MAX_NUMBERS, description="Numbers of failed trials; [] for every failed trial."),
    ] = []  # noqa: RUF012  # a default of a pydantic model, which is copied
    why: Why = ""


class EndArguments(Arguments):
    """How the study ends."""

    now: Annotated[bool, Field(description="Also stop running trials at once.")] = False


class PinArguments(Arguments):
    """A parameter and its value."""

    name: Name
    value: Annotated[JsonScalar, Field(description="The value; null unpins the parameter.")] = None


class VetoArguments(Arguments):
    """A condition that excludes configurations."""

    condition: Annotated[str, Field(min_length=1, max_length=400, description="Such as batch_size == 128.")]
    lift: Annotated[bool, Field(description="Remove this veto.")] = False


class LimitArguments(Arguments):
    """A new limit of the budget."""

    name: Literal["trials", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: Annotated[
        float | str | None, Field(description='A number; for until a time of day such as "07:00"; null for no limit.')
    ] = None


class ParallelArguments(Arguments):
    """Number of parallel trials."""

    count: Annotated[int, Field(ge=1, le=1024, description="Number of trials that run at the same time.")]


class BoundsArguments(Arguments):
    """A parameter's new range."""

    name: Name
    low: Annotated[int | float | None, Field(description="The new lower end; null keeps it.")] = None
    high: Annotated[int | float | None, Field(description="The new upper end; null keeps it.")] = None
    choices: Annotated[list[JsonScalar] | None, Field(description="The new choices; null keeps them.")] = None


class ConstrainArguments(Arguments):
    """A bound on a metric."""

    metric: Annotated[str, Field(max_length=80, description="A metric that the script reports.")]
    min: Annotated[float | None, Field(description="Lower bound; null for none.")] = None
    max: Annotated[float | None, Field(description="Upper bound; null for none.")] = None


def queue(context: ToolContext, args: QueueArguments) -> str:
    """Queue configurations; none is queued unless all are valid."""
    control = _control(context)
    found = _complete_configurations(context, args)
    return "\n".join(f"{line}: {control.send(Queue(params=params, why=args.why))}" for params, line in found)


def _queue_preview(context: ToolContext, args: QueueArguments) -> str:
    """Return the complete configurations and about how long they take."""
    lines = [line for _, line in _complete_configurations(context, args)]
    took = [t.outcome.usage.wall_s for t in context.study.view().finished if t.outcome and t.values]
    about = f"{len(lines)} trial{'s' if len(lines) > 1 else ''}"
    if took:
        about += f", about {short_seconds(sum(took) / len(took) * len(lines))} of training"
    return "\n".join([about, *lines])


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


def confirm(context: ToolContext, args: ConfirmArguments) -> str:
    """Replicate a trial on fresh seeds."""
    find_trial(context.study.view(), args.number)
    return _control(context).send(Confirm(number=args.number, seeds=args.seeds, why=args.why))


def forget(context: ToolContext, args: ForgetArguments) -> str:
    """Let trials count nowhere, or take them up again."""
    for number in args.numbers:
        find_trial(context.study.view(), number)
    return _control(context).send(Forget(numbers=tuple(args.numbers), again=args.again, why=args.why))


def retry(context: ToolContext, args: RetryArguments) -> str:
    """Run failed trials again."""
    view = context.study.view()
    for number in args.numbers:
        if find_trial(view, number).state is not TrialState.FAILED:
            raise ToolRefused(f"trial {number} did not fail; only failed trials can be retried")
    if not any(t.state is TrialState.FAILED for t in view.every_trial):
        raise ToolRefused("no trial has failed, so there is nothing to retry")
    return _control(context).send(Retry(numbers=tuple(args.numbers), why=args.why))


def _retried(args: RetryArguments) -> int:
    """Return how many trials a call may start; every failed trial counts as many."""
    return len(args.numbers) or MAX_CONFIGURATIONS


def stop_trial(context: ToolContext, args: TrialReasonArguments) -> str:
    """Stop a running trial."""
    find_trial(context.study.view(), args.number)
    return _running_control(context, "stop").send(StopTrial(number=args.number, why=args.why))


def withdraw(context: ToolContext, args: TrialReasonArguments) -> str:
    """Remove a waiting trial from the queue."""
    find_trial(context.study.view(), args.number)
    return _control(context).send(Withdraw(number=args.number, why=args.why))


def constrain(context: ToolContext, args: ConstrainArguments) -> str:
    """Bound a metric that some trial reported, or remove its bounds."""
    is_bound = args.min is not None or args.max is not None
    if is_bound and (reason := unreported_reason(args.metric, context.study.view().trials)):
        raise ToolRefused(reason)
    return _control(context).send(Constrain(**args.model_dump()))


def _send(make: Callable[[A], Command], verb: str = "") -> Callable[[ToolContext, A], str]:
    """Return a tool's function that sends one command; `verb` names what only a running study can do, for refusals."""

    def send(context: ToolContext, args: A) -> str:
        _ = context.study
        return (_running_control(context, verb) if verb else _control(context)).send(make(args))

    return send


def _control(context: ToolContext) -> StudyControl:
    if context.control is None:
        raise ToolRefused("this study cannot be controlled from here")
    return context.control


def _running_control(context: ToolContext, verb: str) -> StudyControl:
    control = _control(context)
    if not control.is_running():
        raise ToolRefused(f"the study is not running, so there is nothing to {verb}")
    return control


QUEUE = StudyTool("queue", QueueArguments, queue, Effect.RUN, lambda args: len(args.configurations), _queue_preview)
CONFIRM = StudyTool("confirm", ConfirmArguments, confirm, Effect.RUN, lambda args: args.seeds)
WITHDRAW = StudyTool("withdraw", TrialReasonArguments, withdraw, Effect.STEER)
STOP_TRIAL = StudyTool("stop_trial", TrialReasonArguments, stop_trial, Effect.STEER)
FORGET = StudyTool("forget", ForgetArguments, forget, Effect.STEER)
RETRY = StudyTool("retry", RetryArguments, retry, Effect.RUN, _retried)
PAUSE = StudyTool("pause", NoArguments, _send(lambda _: Pause(), "pause"), Effect.STEER)
RESUME = StudyTool("resume", NoArguments, _send(lambda _: Resume(), "resume"), Effect.STEER)
END = StudyTool("end", EndArguments, _send(lambda args: End(now=args.now), "end"), Effect.STEER)
PIN = StudyTool("pin", PinArguments, _send(lambda args: Pin(name=args.name, value=args.value)), Effect.STEER)
VETO = StudyTool(
    "veto", VetoArguments, _send(lambda args: Veto(condition=args.condition, lift=args.lift)), Effect.STEER
)
LIMIT = StudyTool("limit", LimitArguments, _send(lambda args: Limit(name=args.name, value=args.value)), Effect.RUN)
PARALLEL = StudyTool("parallel", ParallelArguments, _send(lambda args: Parallel(count=args.count)), Effect.RUN)
BOUNDS = StudyTool("bounds", BoundsArguments, _send(lambda args: Bounds(**args.model_dump())), Effect.STEER)
CONSTRAIN = StudyTool("constrain", ConstrainArguments, constrain, Effect.STEER)
