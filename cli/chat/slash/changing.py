"""Slash commands that change something: they start and steer the run, through the tools that models call too."""

from __future__ import annotations

import time

from tunesmith.cli.chat.slash.calling import call_tool, loaded_study
from tunesmith.cli.chat.slash.parsing import json_value, named_values
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.config.changes import LIVE_KEYS
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import count
from tunesmith.study.trials.numbers import parse_numbers
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.run_state import used_up
from tunesmith.tools.llm_tools.script.check import CHECK, check_text
from tunesmith.tools.llm_tools.steering import (
    BOUNDS,
    CONSTRAIN,
    END,
    FORGET,
    LIMIT,
    PIN,
    QUEUE,
    RETRY,
    SETTING,
    STOP_TRIAL,
)
from tunesmith.tools.llm_tools.studies.listing import STUDIES, THIS_ONE


def run(session: StudySession, rest: str) -> str:
    """Start or resume the study: `/run`; or run that many trials beyond its budget: `/run 5`."""
    further = json_value(rest.removeprefix("+")) if rest else None
    if further is not None and (not isinstance(further, int) or isinstance(further, bool) or further < 1):
        raise ToolRefused(f"{rest!r} is not valid here; give a number of further trials, for example /run 5")
    loaded = loaded_study(session)
    if loaded.context.control is not None and loaded.context.control.is_running():
        raise ToolRefused("the study is already running; /status shows it, and /budget trials 60 lets it run to 60")
    if loaded.runs is None:
        raise ToolRefused(f"{loaded.spec.study.name} has no study file in this folder, so it cannot run")
    record = loaded.reader.record()
    # Asked before it starts: what it has left to do, such as a confirmation, may be over at once.
    name, used = used_up(loaded.spec.budget.starting_at(time.time()), record.spent) if record else ("", "")
    state = loaded.runs.start(further=further)
    if not used or (name == "trials" and further is not None):
        return state
    more = "/run 5 runs five more" if name == "trials" else f"/budget {name} NUMBER raises that limit"
    return f"{state}; {used}, so it tries nothing new: {more}"


def switch(session: StudySession, rest: str) -> str:
    """Turn to another study of the folder: `/switch NAME`; without a name list them."""
    if not rest:
        return STUDIES.call(session.context(), {})
    session.select(rest)
    lines = STUDIES.call(session.context(), {}).splitlines()
    return next((f"now about {line.replace(THIS_ONE, '')}" for line in lines if THIS_ONE in line), "")


def stop(session: StudySession, rest: str) -> str:
    """End the run, or one trial: `/stop`, `/stop now`, `/stop 12`."""
    if rest.lstrip("#").isdigit():
        return call_tool(session, STOP_TRIAL, {"number": int(rest.lstrip("#"))})
    return call_tool(session, END, {"now": rest == "now"})


def budget(session: StudySession, rest: str) -> str:
    """Show the limits, or change one: `/budget trials 60`, `/budget hours none`."""
    if not rest:
        loaded = loaded_study(session)
        limits = loaded.reader.spec.budget.model_dump(exclude_none=True)
        record = loaded.reader.record()
        used = ""
        if record:
            used = f"; used: {count(record.spent.trials, 'trial')}, {short_seconds(record.spent.hours * 3600)}"
        return ", ".join(f"{name} {value}" for name, value in limits.items()) + used
    name, _, text = (part.strip() for part in rest.partition(" "))
    value = None if text == "none" else json_value(text)
    if name != "until" and not isinstance(value, int | float | None):
        raise ToolRefused(f"{text!r} is not valid here; expected a number, or none for no limit")
    return call_tool(session, LIMIT, {"name": name, "value": value})


def set_key(session: StudySession, rest: str) -> str:
    """Change a key of the study file that the run takes over: `/set run.timeout 30m`, `/set run.timeout none`."""
    key, _, text = (part.strip() for part in rest.partition(" "))
    if not text:
        raise ToolRefused(f"give a key and its value, for example /set run.timeout 30m; keys: {', '.join(LIVE_KEYS)}")
    return call_tool(session, SETTING, {"key": key, "value": None if text == "none" else json_value(text)})


def queue(session: StudySession, rest: str) -> str:
    """Run a configuration next: `/queue lr=0.01 base=default`."""
    words = rest.split()
    bases = [word.removeprefix("base=") for word in words if word.startswith("base=")]
    pairs = named_values(
        " ".join(w for w in words if not w.startswith("base=")), "/queue lr=0.01 hidden=64 base=default"
    )
    base = {"base": bases[-1]} if bases else {}
    return call_tool(session, QUEUE, {"configurations": [pairs], "why": "typed in the chat", **base})


def pin(session: StudySession, rest: str) -> str:
    """Fix a parameter, or free it: `/pin lr=0.01`, `/pin lr`."""
    pairs = named_values(rest, "/pin lr=0.01") if "=" in rest else dict.fromkeys(rest.split())
    if len(pairs) != 1:
        raise ToolRefused("give one parameter: /pin lr=0.01 fixes it, /pin lr frees it")
    ((name, value),) = pairs.items()
    return call_tool(session, PIN, {"name": name, "value": value})


def retry(session: StudySession, rest: str) -> str:
    """Run failed trials again: `/retry`, `/retry 3-9`."""
    return call_tool(session, RETRY, {"numbers": list(parse_numbers(rest)) if rest else []})


def forget(session: StudySession, rest: str) -> str:
    """Let trials count nowhere: `/forget 3-9`, `/forget 3-9 undo`."""
    words = rest.removesuffix("undo").strip()
    if not words:
        raise ToolRefused("give numbers of trials, for example /forget 3-9")
    return call_tool(session, FORGET, {"numbers": list(parse_numbers(words)), "again": rest.endswith("undo")})


def check(session: StudySession, rest: str) -> str:
    """Run the default for some seconds: `/check`, `/check 60`."""
    loaded_study(session)
    return check_text(session.context(), CHECK.parse({"seconds": json_value(rest)} if rest else {}))


def bounds(session: StudySession, rest: str) -> str:
    """Change a range: `/bounds lr 1e-4 1e-2`."""
    words = rest.split()
    if len(words) != 3:  # noqa: PLR2004  # a name and two ends
        raise ToolRefused("give a parameter, its low end and its high end, for example /bounds lr 1e-4 1e-2")
    name, low, high = words
    return call_tool(session, BOUNDS, {"name": name, "low": json_value(low), "high": json_value(high)})


def unconstrain(session: StudySession, rest: str) -> str:
    """Remove the bounds on a metric."""
    if not rest:
        raise ToolRefused("give a metric, for example /unconstrain gpu_mem_gb")
    return call_tool(session, CONSTRAIN, {"metric": rest})
