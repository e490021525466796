"""The state of a study: running, ended by what, or left behind by a process that died. Pure functions, for people."""

from __future__ import annotations

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.formatting import count
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.broken_environment import FAILURES

_JUDGE_UNPAID = "LLM budget reached, which the judge needs"
_ENDINGS = {
    "trials": "trial budget reached",
    "hours": "time budget reached",
    "until": "end time reached",
    "gpu_hours": "GPU-hour budget reached",
    "runs": "budget of runs used up",
    "kwh": "energy budget reached",
    "llm_usd": _JUDGE_UNPAID,
    "llm_tokens": _JUDGE_UNPAID,
    "llm_calls": _JUDGE_UNPAID,
    "no_gain": "nothing better was likely",
    "exhausted": "every configuration was tried",
    "interrupted": "interrupted",
    FAILURES: "paused: trials failed regardless of their parameters",
}


def ending_text(ended_by: str) -> str:
    """Return what ended a run, for people: "trial budget reached"."""
    return _ENDINGS.get(ended_by, ended_by)


def state_text(record: StudyRecord, *, has_process: bool, running: int) -> str:
    """Return the state of a study: running, ended by what, or without a process.

    Args:
        record: the study.
        has_process: whether a process runs it now.
        running: number of its running trials in the history.
    """
    if has_process and not record.ended_by:
        return f"running {count(running, 'trial')}, {short_seconds(record.spent.hours * 3600)} of work so far"
    if not record.ended_by and record.project:
        lost = f", with {count(running, 'trial')} unfinished" if running else ""
        return f"not running: its process died{lost}; `tunesmith run` resumes it"
    if not record.ended_by:
        return f"used from Python, {count(running, 'trial')} open"
    if record.ended_by == "interrupted":
        return "interrupted; `tunesmith run` resumes it"
    if record.ended_by == FAILURES:
        return f"{ending_text(FAILURES)}; `tunesmith run` starts again with the default"
    if record.ended_by == "imported":
        return "imported"
    return f"ended: {ending_text(record.ended_by)}"


def nothing_started_text(by: str, budget: Budget, spent: Spent) -> str:
    """Return why a run ended without a trial, and how to go on; "" where no limit explains it.

    Args:
        by: what ended the run.
        budget: the limits of the run.
        spent: what the study has used.
    """
    if by == "exhausted":
        return "Nothing was started: every configuration of the space was tried. Widen a range in [space] for more."
    if by == "no_gain":
        return "Nothing was started: nothing better is likely by [stop].no_gain. For more, raise or remove it."
    if by == "until":
        return "Nothing was started: it is past the end time of [budget]. Give another one, such as --until 07:00."
    usage = next((one for one in budget.limit_usage(spent) if one.name == by), None)
    if usage is None:
        return ""
    used, limit = (f"{value:.4g}" for value in (usage.used, usage.limit))
    more = max(usage.limit, usage.used) * 1.5
    if by == "trials":
        more = float(max(round(more), int(usage.limit) + 1))
        return f"Nothing was started: {used} of {limit} trials are used. For more: tunesmith run --trials {more:.0f}"
    if by == "hours":
        return f"Nothing was started: {used} of {limit} hours are used. For more: tunesmith run --hours {more:g}"
    return f"Nothing was started: {used} of {limit} {by} are used. For more, raise {by} in [budget]."
