"""The state of a study: running, ended by what, or left behind by a process that died. Pure functions, for people."""

from __future__ import annotations

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import count
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.broken_environment import FAILURES

EXHAUSTED = "exhausted"
"""`ended_by` of a run that had no configuration left to try."""
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
    "interrupted": "interrupted",
    FAILURES: "paused: trials failed regardless of their parameters",
}


def ending_text(ended_by: str, spec: StudySpec) -> str:
    """Return what ended a run, for people: "trial budget reached"."""
    return _exhausted(spec)[0] if ended_by == EXHAUSTED else _ENDINGS.get(ended_by, ended_by)


def exhausted_text(spec: StudySpec) -> str:
    """Return what was tried in a study that nothing is left of, and how to get more, as sentences."""
    what, more = _exhausted(spec)
    return f"{what[:1].upper()}{what[1:]}. {more}"


def _exhausted(spec: StudySpec) -> tuple[str, str]:
    """Return what was tried, and how to get more. Texts and code have no end: there, nobody wrote further ones."""
    if spec.edits is None:
        return "every configuration was tried", "For more, widen a range in [space]."
    texts = spec.texts
    one, other = ("text", "other text") if texts else ("version of the code", "edit")
    are_all_texts = set(spec.space.names) == {text.name for text in texts}
    what = f"every {one}" if are_all_texts else f"every configuration of every {one}"
    listed = f", or list further files in [space].{texts[0].name}.file" if texts else ", or widen a range in [space]"
    if spec.planner.model:
        more = f"For more, run the same command, which asks it again{listed}."
        return f"{what} was tried, and the model wrote no {other}", more
    return f"{what} was tried, and without a model nobody writes others", f"For more, set [planner].model{listed}."


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
        return f"{_ENDINGS[FAILURES]}; `tunesmith run` starts again with the default"
    if record.ended_by == "imported":
        return "imported"
    return f"ended: {ending_text(record.ended_by, record.spec)}"


def used_up(budget: Budget, spent: Spent) -> tuple[str, str]:
    """Return the name of a limit that a study has reached, with "8 of 8 trials are used"; "" twice while none is."""
    usage = next((one for one in budget.limit_usage(spent) if one.used >= one.limit), None)
    return ("", "") if usage is None else (usage.name, f"{usage.used:.4g} of {usage.limit:.4g} {usage.name} are used")


def nothing_started_text(by: str, spec: StudySpec, budget: Budget, spent: Spent) -> str:
    """Return why a run ended without a trial, and how to go on; "" where no limit explains it.

    Args:
        by: what ended the run.
        spec: the study.
        budget: the limits of the run.
        spent: what the study has used.
    """
    if by == EXHAUSTED:
        return f"Nothing was started. {exhausted_text(spec)}"
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
