"""A tool that waits until something has happened in the study, so that one wish may take several steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import count
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.context import StudyControl, ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import find_trial, trial_line

POLL_INTERVAL_S = 0.5
MAX_SHOWN = 20
"""Maximum number of trials in an answer."""


class WaitArguments(Arguments):
    """What to wait for, and for how long at most."""

    until: Annotated[
        Literal["trials", "finished", "best", "end"],
        Field(description="trials: those of `numbers` have finished; finished: `count` more have."),
    ]
    numbers: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=100, description="For trials.")] = []  # noqa: RUF012  # a default of a pydantic model, which is copied
    count: Annotated[int, Field(ge=1, le=10_000, description="For finished.")] = 1
    minutes: Annotated[float, Field(gt=0, le=1440, description="The longest wait, usually 60.")] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How a wait ended.

    Attributes:
        has_happened: whether it was for what was waited for.
        reason: why it is over.
        seconds: how long it took.
        finished: the trials asked for, then those that finished meanwhile.
        view: the study at the end.
    """

    has_happened: bool
    reason: str
    seconds: float
    finished: Sequence[Trial]
    view: StudyView


def wait(context: ToolContext, args: WaitArguments) -> str:
    """Wait; return what happened meanwhile, a line for each trial that finished."""
    return wait_text(waited(context, args))


def wait_text(done: Wait) -> str:
    """Return what happened during a wait."""
    return "\n".join([f"waited {short_seconds(done.seconds)}: {done.reason}", *_news(done)])


def waited(context: ToolContext, args: WaitArguments) -> Wait:
    """Wait; ends early when the run ends, or when the person interrupts.

    Raises:
        ToolRefused: the study is not running, or there are no such trials.
    """
    control, before = _control(context), context.study.view()
    if args.until == "trials" and not args.numbers:
        raise ToolRefused("give the numbers of the trials to wait for")
    for number in args.numbers:
        find_trial(before, number)
    started = time.monotonic()
    while True:
        view = context.study.view()
        over = time.monotonic() - started >= args.minutes * 60
        reason = _reason_to_end(context, control, args, before, view) or (_TOO_LONG if over else "")
        if reason:
            asked = [find_trial(view, number) for number in args.numbers]
            new = [t for t in _finished_since(before, view) if t.number not in args.numbers]
            return Wait(
                has_happened=_has_happened(args, before, view) or reason == _RUN_ENDED,
                reason=reason,
                seconds=time.monotonic() - started,
                finished=[*asked, *new],
                view=view,
            )
        _sleep(context)


_RUN_ENDED = "the run has ended"
_TOO_LONG = "it has not happened yet; wait again, or tell the person"
_INTERRUPTED = "the person has something to say; answer what was asked as far as it is done, and end your turn"


def _reason_to_end(
    context: ToolContext, control: StudyControl, args: WaitArguments, before: StudyView, view: StudyView
) -> str:
    """Return why the wait is over; "" while it is not."""
    if _has_happened(args, before, view):
        return "it has happened"
    if context.interruption is not None and context.interruption.is_set():
        return _INTERRUPTED
    if not control.is_running():
        return _RUN_ENDED if args.until == "end" else "no run is active, so no further trial will finish"
    return ""


def _has_happened(args: WaitArguments, before: StudyView, view: StudyView) -> bool:
    match args.until:
        case "trials":
            return all(find_trial(view, number).state.is_finished for number in args.numbers)
        case "finished":
            return len(_finished_since(before, view)) >= args.count
        case "best":
            best, old = incumbent(view.trials, view), incumbent(before.trials, before)
            return best is not None and (old is None or best.number != old.number)
        case "end":
            return False


def _finished_since(before: StudyView, view: StudyView) -> list[Trial]:
    known = {t.number for t in before.every_trial if t.state.is_finished}
    return [t for t in view.every_trial if t.state.is_finished and t.number not in known]


def _news(done: Wait) -> list[str]:
    view = done.view
    shown = [trial_line(trial, view) for trial in done.finished[-MAX_SHOWN:]]
    hidden = len(done.finished) - len(shown)
    best = incumbent(view.trials, view)
    lines = [*([f"and {count(hidden, 'earlier trial')}"] if hidden else []), *shown]
    return [*lines, *([f"best: {trial_line(best, view)}"] if best is not None else [])]


def _sleep(context: ToolContext) -> None:
    if context.interruption is not None:
        context.interruption.wait(POLL_INTERVAL_S)
    else:
        time.sleep(POLL_INTERVAL_S)


def _control(context: ToolContext) -> StudyControl:
    if context.control is None or not context.control.is_running():
        raise ToolRefused("the study is not running, so there is nothing to wait for; start it first")
    return context.control


WAIT = StudyTool("wait", WaitArguments, wait)
