"""Tools that ask something of the loop: queue, confirm, stop, pause, pin, veto, limits, bounds. The loop decides.

What can be told beforehand to be wrong is refused here at once, with every mistake; the loop checks again, since the
study may have changed by the time it reads the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from tunesmith.prompts.compact import params_line
from tunesmith.study.commands import (
    Bounds,
    Confirm,
    Constrain,
    End,
    Limit,
    Order,
    Parallel,
    Pause,
    Pin,
    Plain,
    Queue,
    Resume,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.errors import ProposalError, ToolRefused
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.context import StudyControl, ToolContext
from tunesmith.tools.llm_tools.learning import filled
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import Nothing, Number, trial_of

MOST_AT_ONCE = 20
Why = Annotated[str, Field(max_length=500, description="Why, in a sentence; it is kept with the trial.")]
Name = Annotated[str, Field(max_length=80, description="A parameter's name.")]
A = TypeVar("A", bound=Arguments)


class Configurations(Arguments):
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


class Again(Arguments):
    """A trial to run again."""

    number: Number
    seeds: Annotated[int, Field(ge=1, le=20, description="How many fresh seeds, 1 to 20.")] = 3
    why: Why = ""


class OneTrialWhy(Arguments):
    """A trial, and why."""

    number: Number
    why: Why = ""


class Ending(Arguments):
    """How to end."""

    now: Annotated[bool, Field(description="End running trials at once.")] = False


class Pinned(Arguments):
    """A parameter and its value."""

    name: Name
    value: Annotated[Plain, Field(description="The value; null sets the parameter free.")] = None


class Vetoed(Arguments):
    """A condition that no trial may meet."""

    condition: Annotated[str, Field(min_length=1, max_length=400, description="Such as batch_size == 128.")]
    lift: Annotated[bool, Field(description="Take this veto back.")] = False


class Limited(Arguments):
    """A limit of the budget."""

    name: Literal["trials", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: Annotated[
        float | str | None, Field(description='A number; for until a time of day such as "07:00"; null for no limit.')
    ] = None


class AtOnce(Arguments):
    """How many."""

    count: Annotated[int, Field(ge=1, le=1024, description="Trials at once.")]


class Bounded(Arguments):
    """A parameter's new range."""

    name: Name
    low: Annotated[float | None, Field(description="The new lower end; null leaves it.")] = None
    high: Annotated[float | None, Field(description="The new upper end; null leaves it.")] = None
    choices: Annotated[list[Plain] | None, Field(description="The new choices; null leaves them.")] = None


class Constrained(Arguments):
    """A bound on a metric."""

    metric: Annotated[str, Field(max_length=80, description="A metric that the script reports.")]
    min: Annotated[float | None, Field(description="At least; null for no such bound.")] = None
    max: Annotated[float | None, Field(description="At most; null for no such bound.")] = None


def queue(context: ToolContext, given: Configurations) -> str:
    """Queue configurations; all are checked before any is queued."""
    control = _control(context)
    found = _whole(context, given)
    return "\n".join(f"{line}: {control.give(Queue(params=params, why=given.why))}" for params, line in found)


def _planned(context: ToolContext, given: Configurations) -> str:
    """Return the whole configurations, and about how long they take."""
    lines = [line for _, line in _whole(context, given)]
    took = [t.outcome.usage.wall_s for t in context.study.view().finished if t.outcome and t.values]
    about = f"{len(lines)} trial{'s' if len(lines) > 1 else ''}"
    if took:
        about += f", about {short_seconds(sum(took) / len(took) * len(lines))} of training"
    return "\n".join([about, *lines])


def _whole(context: ToolContext, given: Configurations) -> list[tuple[dict[str, Plain], str]]:
    """Return each configuration with every parameter, and as a line.

    Raises:
        ToolRefused: one is wrong; every mistake of all of them is named.
    """
    view = context.study.view()
    whole, mistakes = [], []
    for index, params in enumerate(given.configurations):
        try:
            whole.append(filled(view, params, given.base))
        except ProposalError as error:
            mistakes.append(f"configuration {index}: {error}")
    if mistakes:
        raise ToolRefused("nothing was queued: " + "; ".join(mistakes))
    found = []
    for params in whole:
        same = [f"#{t.number}" for t in view.trials if dict(t.params) == params and not t.is_replicate]
        found.append((params, f"{params_line(params)}{f' (the same as {same[0]})' if same else ''}"))
    return found


def confirm(context: ToolContext, given: Again) -> str:
    """Run a trial again on fresh seeds."""
    trial_of(context.study.view(), given.number)
    return _control(context).give(Confirm(number=given.number, seeds=given.seeds, why=given.why))


def stop_trial(context: ToolContext, given: OneTrialWhy) -> str:
    """End a running trial."""
    trial_of(context.study.view(), given.number)
    return _running(context, "end").give(StopTrial(number=given.number, why=given.why))


def withdraw(context: ToolContext, given: OneTrialWhy) -> str:
    """Take back a trial that waits."""
    trial_of(context.study.view(), given.number)
    return _control(context).give(Withdraw(number=given.number, why=given.why))


def _order(make: Callable[[A], Order], doing: str = "") -> Callable[[ToolContext, A], str]:
    """Return a tool's function that gives one order; `doing` names what only a running study can be asked."""

    def give(context: ToolContext, given: A) -> str:
        _ = context.study
        return (_running(context, doing) if doing else _control(context)).give(make(given))

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


QUEUE = StudyTool("queue", Configurations, queue, Effect.RUN, lambda given: len(given.configurations), _planned)
CONFIRM = StudyTool("confirm", Again, confirm, Effect.RUN, lambda given: given.seeds)
WITHDRAW = StudyTool("withdraw", OneTrialWhy, withdraw, Effect.STEER)
STOP_TRIAL = StudyTool("stop_trial", OneTrialWhy, stop_trial, Effect.STEER)
PAUSE = StudyTool("pause", Nothing, _order(lambda _: Pause(), "pause"), Effect.STEER)
RESUME = StudyTool("resume", Nothing, _order(lambda _: Resume(), "resume"), Effect.STEER)
END = StudyTool("end", Ending, _order(lambda given: End(now=given.now), "end"), Effect.STEER)
PIN = StudyTool("pin", Pinned, _order(lambda given: Pin(name=given.name, value=given.value)), Effect.STEER)
VETO = StudyTool("veto", Vetoed, _order(lambda given: Veto(condition=given.condition, lift=given.lift)), Effect.STEER)
LIMIT = StudyTool("limit", Limited, _order(lambda given: Limit(name=given.name, value=given.value)), Effect.RUN)
PARALLEL = StudyTool("parallel", AtOnce, _order(lambda given: Parallel(count=given.count)), Effect.RUN)
BOUNDS = StudyTool("bounds", Bounded, _order(lambda given: Bounds(**given.model_dump())), Effect.STEER)
CONSTRAIN = StudyTool("constrain", Constrained, _order(lambda given: Constrain(**given.model_dump())), Effect.STEER)
