"""Which tools a model is shown: those that the study's state allows. Each shown tool costs tokens in every call.

Tools that are seldom needed are shown once the model has asked for them by name. A tool that is not shown can still be
called and then says why it cannot do what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tunesmith.study.errors import InputError, ToolRefused
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.results.study import is_paused
from tunesmith.tools.llm_tools.studies.finding import listed_names
from tunesmith.tools.llm_tools.tool import AnyTool, Arguments, StudyTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the choice of tools depends on.

    Attributes:
        has_others: whether the folder has other studies.
        has_edits: whether the study allows edits of the code.
        has_variants: whether there are edits already.
        states: the number of trials in each state.
    """

    has_study: bool = False
    is_running: bool = False
    is_paused: bool = False
    has_others: bool = False
    has_edits: bool = False
    has_variants: bool = False
    has_lessons: bool = False
    states: Mapping[TrialState, int]

    @property
    def trials(self) -> int:
        """The number of trials."""
        return sum(self.states.values())


def offered(context: ToolContext, tools: Sequence[AnyTool], *, asked_for: Collection[str] = ()) -> list[AnyTool]:
    """Return those of some tools that the study's state allows, in their order.

    Args:
        context: the study.
        tools: every tool of the conversation.
        asked_for: the names of seldom needed tools that the model has asked for.
    """
    try:
        now = situation(context)
    except InputError:
        # The study cannot be read at this moment; a tool that is called will say why.
        return list(tools)
    return tools_of_use(tools, now, asked_for=asked_for)


def tools_of_use(tools: Sequence[AnyTool], now: Situation, *, asked_for: Collection[str] = ()) -> list[AnyTool]:
    """Return those of some tools that are of use in a situation."""
    hidden = {name for name in SELDOM_NEEDED if name not in asked_for} if now.has_study else set()
    return [tool for tool in tools if tool.name not in hidden and _is_of_use(tool.name, now)]


def situation(context: ToolContext) -> Situation:
    """Return the state of the study.

    Raises:
        InputError: the history cannot be read.
    """
    has_others = context.select is not None and _others(context)
    if context.reader is None:
        return Situation(states={}, has_others=has_others)
    trials = context.reader.view().every_trial
    return Situation(
        has_study=True,
        is_running=context.control is not None and context.control.is_running(),
        is_paused=is_paused(context),
        has_others=has_others,
        has_edits=context.reader.spec.edits is not None,
        has_variants=any(variant.is_edited for variant in context.reader.variants()),
        has_lessons=bool(context.reader.lessons()),
        states={state: sum(t.state is state for t in trials) for state in TrialState},
    )


def _others(context: ToolContext) -> bool:
    """Return whether a folder has a study other than this one."""
    names = listed_names(context.project, context.history) if context.project is not None else []
    current = context.reader.spec.study.name if context.reader is not None else ""
    return any(name != current for name in names)


def _is_of_use(name: str, now: Situation) -> bool:
    if name in ("studies", "switch") and now.has_others:
        return True
    if not now.has_study:
        return name in _WITHOUT_STUDY
    condition = _CONDITIONS.get(name)
    return condition is None or condition(now)


SELDOM_NEEDED = (
    "apply_edit", "branch", "cheaper", "export", "fit", "forget", "import_results", "lessons", "machine", "points",
    "report", "rule", "setting", "studies", "withdraw",
)  # fmt: skip
"""Tools that are shown when the model has asked for them."""


class MoreToolsArguments(Arguments):
    """Names of tools."""

    names: Annotated[list[str], Field(min_length=1, max_length=len(SELDOM_NEEDED))]


def more_tools(context: ToolContext, args: MoreToolsArguments) -> str:  # noqa: ARG001  # `offered` reads the arguments
    """Return which tools the model sees from its next step on.

    Raises:
        ToolRefused: a name is not one of a seldom needed tool.
    """
    for name in args.names:
        if name not in SELDOM_NEEDED:
            raise ToolRefused(f"there is no further tool {name!r}{did_you_mean(name, SELDOM_NEEDED)}")
    return f"you can call {', '.join(args.names)} now"


MORE_TOOLS = StudyTool("more_tools", MoreToolsArguments, more_tools)

_WITHOUT_STUDY = frozenset({"scripts", "read_script", "source", "machine", "write_study"})


def _has_trials(now: Situation) -> bool:
    return now.trials > 0


def _has_results(now: Situation) -> bool:
    return now.states[TrialState.COMPLETE] > 0


def _is_running(now: Situation) -> bool:
    return now.is_running


def _is_at_rest(now: Situation) -> bool:
    return not now.is_running


def _has_variants(now: Situation) -> bool:
    return now.has_variants


_CONDITIONS: Mapping[str, Callable[[Situation], bool]] = {
    **dict.fromkeys(("trials", "trial", "curve", "log", "compare", "plot", "report", "forget"), _has_trials),
    **dict.fromkeys(("importance", "predict", "points", "confirm", "branch", "cheaper", "export"), _has_results),
    **dict.fromkeys(("wait", "end"), _is_running),
    **dict.fromkeys(("start", "check", "change_files"), _is_at_rest),
    **dict.fromkeys(("edits", "edit", "fit", "apply_edit"), _has_variants),
    **dict.fromkeys(("scripts", "read_script"), lambda now: not now.is_running and not now.trials),
    "switch": lambda now: now.has_others,
    "lessons": lambda now: now.has_lessons,
    "pause": lambda now: now.is_running and not now.is_paused,
    "resume": lambda now: now.is_running and now.is_paused,
    "stop_trial": lambda now: now.is_running and now.states[TrialState.RUNNING] > 0,
    "withdraw": lambda now: now.states[TrialState.WAITING] > 0,
    "retry": lambda now: now.states[TrialState.FAILED] > 0,
    "propose_edit": lambda now: now.has_edits and now.trials > 0,
}
"""When a tool is of use; tools that are not named here are of use for every study."""
