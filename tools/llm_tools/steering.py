"""Tools that ask something of the loop: queue, confirm, stop, pause, pin, veto, limits, bounds. The loop decides.

What can be told beforehand to be wrong is refused here at once, with every mistake; the loop checks again, since the
study may have changed by the time it reads the order.
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
    JsonScalar,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.errors import ProposalError, ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.context import StudyControl, ToolContext
from tunesmith.tools.llm_tools.learning import complete_configuration
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, Number, find_trial

MOST_AT_ONCE = 20
Why = Annotated[str, Field(max_length=500, description="Why, in a sentence; it is kept with the trial.")]
Name = Annotated[str, Field(max_length=80, description="A parameter's name.")]
A = TypeVar("A", bound=Arguments)


class QueueArguments(Arguments):
    """Configurations to run."""

    configurations: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=MOST_AT_ONCE,
            description='Each as values by parameter, such as {"lr": 0.01}; what is left out is taken from base.',
        ),
    ]
    base: Annotated[str, Field(max_length=20, description="best, default, or a trial's number.")] = "best"
    why: Why = ""


class ConfirmArguments(Arguments):
    """A trial to run again."""

    number: Number
    seeds: Annotated[int, Field(ge=1, le=20, description="How many fresh seeds, 1 to 20.")] = 3
    why: Why = ""


class TrialReasonArguments(Arguments):
    """A trial, and why."""

    number: Number
    why: Why = ""


class EndArguments(Arguments):
    """How to end."""

    now: Annotated[bool, Field(description="End running trials at once.")] = False


class PinArguments(Arguments):
    """A parameter and its value."""

    name: Name
    value: Annotated[JsonScalar, Field(description="The value; null sets the parameter free.")] = None


class VetoArguments(Arguments):
    """A condition that no trial may meet."""

    condition: Annotated[str, Field(min_length=1, max_length=400, description="Such as batch_size == 128.")]
    lift: Annotated[bool, Field(description="Take this veto back.")] = False


class LimitArguments(Arguments):
    """A limit of the budget."""

    name: Literal["trials", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: Annotated[
        float | str | None, Field(description='A number; for until a time of day such as "07:00"; null for no limit.')
    ] = None


class ParallelArguments(Arguments):
    """How many."""

    count: Annotated[int, Field(ge=1, le=1024, description="Trials at once.")]


class BoundsArguments(Arguments):
    """A parameter's new range."""

    name: Name
    low: Annotated[float | None, Field(description="The new lower end; null leaves it.")] = None
    high: Annotated[float | None, Field(description="The new upper end; null leaves it.")] = None
    choices: Annotated[list[JsonScalar] | None, Field(description="The new choices; null leaves them.")] = None


class ConstrainArguments(Arguments):
    """A bound on a metric."""

    metric: Annotated[str, Field(max_length=80, description="A metric that the script reports.")]
    min: Annotated[float | None, Field(description="At least; null for no such bound.")] = None
    max: Annotated[float | None, Field(description="At most; null for no such bound.")] = None


def queue(context: ToolContext, args: QueueArguments) -> str:
    """Queue configurations; all are checked before any is queued."""
    control = _control(context)
    found = _whole(context, args)
    return "\n".join(f"{line}: {control.send(Queue(params=params, why=args.why))}" for params, line in found)


def _planned(context: ToolContext, args: QueueArguments) -> str:
    """Return the whole configurations, and about how long they take."""
    lines = [line for _, line in _whole(context, args)]
    took = [t.outcome.usage.wall_s for t in context.study.view().finished if t.outcome and t.values]
    about = f"{len(lines)} trial{'s' if len(lines) > 1 else ''}"
    if took:
        about += f", about {short_seconds(sum(took) / len(took) * len(lines))} of training"
    return "\n".join([about, *lines])


def _whole(context: ToolContext, args: QueueArguments) -> list[tuple[dict[str, JsonScalar], str]]:
    """Return each configuration with every parameter, and as a line.

    Raises:
        ToolRefused: one is wrong; every mistake of all of them is named.
    """
    view = context.study.view()
    whole, mistakes = [], []
    for index, params in enumerate(args.configurations):
        try:
            whole.append(complete_configuration(view, params, args.base))
        except ProposalError as error:
            mistakes.append(f"configuration {index}: {error}")
    if mistakes:
        raise ToolRefused("nothing was queued: " + "; ".join(mistakes))
    found = []
    for params in whole:
        same = [f"#{t.number}" for t in view.trials if dict(t.params) == params and not t.is_replicate]
        found.append((params, f"{render_params(params)}{f' (the same as {same[0]})' if same else ''}"))
    return found


def confirm(context: ToolContext, args: ConfirmArguments) -> str:
    """Run a trial again on fresh seeds."""
    find_trial(context.study.view(), args.number)
    return _control(context).send(Confirm(number=args.number, seeds=args.seeds, why=args.why))


def stop_trial(context: ToolContext, args: TrialReasonArguments) -> str:
    """End a running trial."""
    find_trial(context.study.view(), args.number)
    return _running(context, "end").send(StopTrial(number=args.number, why=args.why))


def withdraw(context: ToolContext, args: TrialReasonArguments) -> str:
    """Take back a trial that waits."""
    find_trial(context.study.view(), args.number)
    return _control(context).send(Withdraw(number=args.number, why=args.why))


def _order(make: Callable[[A], Command], doing: str = "") -> Callable[[ToolContext, A], str]:
    """Return a tool's function that gives one order; `doing` names what only a running study can be asked."""

    def give(context: ToolContext, args: A) -> str:
        _ = context.study
        return (_running(context, doing) if doing else _control(context)).send(make(args))

    return give


def _control(context: ToolContext) -> StudyControl:
    if context.control is None:
        raise ToolRefused("nothing can be asked of this study here")
    return context.control


def _running(context: ToolContext, doing: str) -> StudyControl:
    control = _control(context)
    if not control.is_running():
        raise ToolRefused(f"the study is not running, so there is nothing to {doing}")
    return control


QUEUE = StudyTool("queue", QueueArguments, queue, Effect.RUN, lambda args: len(args.configurations), _planned)
CONFIRM = StudyTool("confirm", ConfirmArguments, confirm, Effect.RUN, lambda args: args.seeds)
WITHDRAW = StudyTool("withdraw", TrialReasonArguments, withdraw, Effect.STEER)
STOP_TRIAL = StudyTool("stop_trial", TrialReasonArguments, stop_trial, Effect.STEER)
PAUSE = StudyTool("pause", NoArguments, _order(lambda _: Pause(), "pause"), Effect.STEER)
RESUME = StudyTool("resume", NoArguments, _order(lambda _: Resume(), "resume"), Effect.STEER)
END = StudyTool("end", EndArguments, _order(lambda args: End(now=args.now), "end"), Effect.STEER)
PIN = StudyTool("pin", PinArguments, _order(lambda args: Pin(name=args.name, value=args.value)), Effect.STEER)
VETO = StudyTool(
    "veto", VetoArguments, _order(lambda args: Veto(condition=args.condition, lift=args.lift)), Effect.STEER
)
LIMIT = StudyTool("limit", LimitArguments, _order(lambda args: Limit(name=args.name, value=args.value)), Effect.RUN)
PARALLEL = StudyTool("parallel", ParallelArguments, _order(lambda args: Parallel(count=args.count)), Effect.RUN)
BOUNDS = StudyTool("bounds", BoundsArguments, _order(lambda args: Bounds(**args.model_dump())), Effect.STEER)
CONSTRAIN = StudyTool(
    "constrain", ConstrainArguments, _order(lambda args: Constrain(**args.model_dump())), Effect.STEER
)
