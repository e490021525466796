"""All tools, and the tools of the planner."""

from __future__ import annotations

from tunesmith.tools.llm_tools.edits import APPLY_EDIT, EDIT, EDITS, FIT, PROPOSE_EDIT
from tunesmith.tools.llm_tools.learning import IMPORTANCE, LESSONS, POINTS, PREDICT, RULE
from tunesmith.tools.llm_tools.machine import MACHINE
from tunesmith.tools.llm_tools.offered import MORE_TOOLS
from tunesmith.tools.llm_tools.report import REPORT
from tunesmith.tools.llm_tools.results.cheaper import CHEAPER
from tunesmith.tools.llm_tools.results.comparison import COMPARE
from tunesmith.tools.llm_tools.results.plot import PLOT
from tunesmith.tools.llm_tools.results.study import STUDY
from tunesmith.tools.llm_tools.script.change import CHANGE_FILES
from tunesmith.tools.llm_tools.script.check import CHECK
from tunesmith.tools.llm_tools.script.files import LOG, SOURCE
from tunesmith.tools.llm_tools.steering import (
    BOUNDS,
    CONFIRM,
    CONSTRAIN,
    END,
    FORBID,
    FORGET,
    LIMIT,
    PARALLEL,
    PAUSE,
    PIN,
    QUEUE,
    RESUME,
    RETRY,
    SETTING,
    STOP_TRIAL,
    VETO,
    WITHDRAW,
)
from tunesmith.tools.llm_tools.studies.branching import BRANCH
from tunesmith.tools.llm_tools.studies.export import EXPORT
from tunesmith.tools.llm_tools.studies.import_results import IMPORT
from tunesmith.tools.llm_tools.studies.listing import STUDIES
from tunesmith.tools.llm_tools.studies.starting import START
from tunesmith.tools.llm_tools.studies.study_files import READ_SCRIPT, SCRIPTS, WRITE_STUDY
from tunesmith.tools.llm_tools.studies.switching import SWITCH
from tunesmith.tools.llm_tools.tool import AnyTool, Effect
from tunesmith.tools.llm_tools.trials import CURVE, TRIAL, TRIALS
from tunesmith.tools.llm_tools.waiting import WAIT

PLANNER: tuple[AnyTool, ...] = (TRIAL, TRIALS, COMPARE, RULE, SOURCE)
"""Tools of the LLM planner. Its prompt already contains what the other reading tools return."""

ALL: tuple[AnyTool, ...] = (
    STUDY,
    TRIALS,
    TRIAL,
    CURVE,
    LOG,
    COMPARE,
    CHEAPER,
    PLOT,
    IMPORTANCE,
    LESSONS,
    PREDICT,
    POINTS,
    RULE,
    SOURCE,
    SCRIPTS,
    READ_SCRIPT,
    MACHINE,
    WAIT,
    REPORT,
    STUDIES,
    EDITS,
    EDIT,
    QUEUE,
    CONFIRM,
    WITHDRAW,
    STOP_TRIAL,
    FORGET,
    RETRY,
    PAUSE,
    RESUME,
    END,
    PIN,
    VETO,
    FORBID,
    LIMIT,
    PARALLEL,
    SETTING,
    BOUNDS,
    CONSTRAIN,
    WRITE_STUDY,
    BRANCH,
    EXPORT,
    IMPORT,
    CHECK,
    START,
    FIT,
    PROPOSE_EDIT,
    APPLY_EDIT,
)


CHAT: tuple[AnyTool, ...] = (*ALL, SWITCH, CHANGE_FILES, MORE_TOOLS)
"""Tools of the chat, where a person approves each change of their own files, and sees those that are of use now."""


def tools_up_to(effect: Effect) -> tuple[AnyTool, ...]:
    """Return the tools with at most this effect."""
    return tuple(tool for tool in ALL if tool.effect <= effect)
