"""The slash commands of a chat: they need no LLM, and what they change is asked of the loop like everything else.

A person who types one has decided, so nothing is asked again.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.cli.display.ascii_plot import PlotPoints, plot_lines
from tunesmith.cli.display.status_text import status_text
from tunesmith.cli.display.trial_story import trial_story
from tunesmith.cli.session.locate import OpenStudy, find_trial, open_study
from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.config.command import command_line
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.edits import EDIT, EDITS
from tunesmith.tools.llm_tools.steering import (
    BOUNDS,
    CONFIRM,
    CONSTRAIN,
    END,
    LIMIT,
    PAUSE,
    PIN,
    QUEUE,
    RESUME,
    STOP_TRIAL,
    VETO,
)
from tunesmith.tools.llm_tools.tool import AnyTool

FEW = 5
WIDEST = 80


@dataclass(frozen=True, slots=True)
class Slash:
    """One command: what it takes, what it does in a few words, and the function that does it."""

    usage: str
    about: str
    run: Callable[[StudySession, str], str]


def run_slash(text: str, wiring: StudySession) -> str:
    """Do what a line such as `/trial 12` says and return what to print.

    Raises:
        ToolRefused: it cannot be done, or there is no such command.
        InputError: the study, or its history, is missing or wrong.
    """
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        raise ToolRefused(f"there is no /{name}{did_you_mean(name, [*COMMANDS, *OUTSIDE])}; /help lists all")
    return COMMANDS[name].run(wiring, rest.strip())


def help_text() -> str:
    """Return every command, a line each."""
    rows = [(f"/{name} {c.usage}".strip(), c.about) for name, c in COMMANDS.items()]
    rows += [(f"/{name} {usage}".strip(), about) for name, (usage, about) in OUTSIDE.items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {about}" for left, about in rows)


# -- looking ----------------------------------------------------------------------------------------------------


def _status(wiring: StudySession, _: str) -> str:
    return _located(wiring, status_text)


def _best(wiring: StudySession, _: str) -> str:
    def text(located: OpenStudy) -> str:
        record = located.record
        ranked = candidates(located.history.trials(record.id), record.spec.objectives, record.spec.metric_constraints)[
            :FEW
        ]
        if not ranked:
            return "no trial is complete yet"
        metric = record.spec.objectives[0].metric
        rows = [f"#{t.number}  {metric} {short_number(t.values[metric])}  {render_params(t.params)}" for t in ranked]
        return "\n".join([*rows, "", f"  {command_line(record.spec, ranked[0].params)}"])

    return _located(wiring, text)


def _trial(wiring: StudySession, rest: str) -> str:
    return _located(wiring, lambda located: trial_story(located, find_trial(located, _number(rest, "/trial 12"))))


def _why(wiring: StudySession, rest: str) -> str:
    number = _number(rest, "/why 12")

    def text(located: OpenStudy) -> str:
        trial = find_trial(located, number)
        proposal = trial.proposal
        lines = [f"trial {number} came from {proposal.source.value}: {proposal.rationale or 'no reason was given'}"]
        lines += [f"  it stood in for the LLM: {proposal.fallback_reason}"] if proposal.fallback_reason else []
        lines += [f"  considered: {words}" for words in proposal.considered]
        metric = located.record.spec.objectives[0].metric
        if proposal.prediction:
            got = short_number(trial.values[metric]) if metric in trial.values else trial.state.value
            lines.append(f"  expected {short_number(proposal.prediction.mean)}, got {got}")
        return "\n".join(lines)

    return _located(wiring, text)


def _plot(wiring: StudySession, rest: str) -> str:
    """Draw value over trials, the curve of one (`/plot 12`), or a slice over a parameter (`/plot lr`)."""

    def text(located: OpenStudy) -> str:
        record, trials = located.record, located.history.trials(located.record.id)
        metric = record.spec.objectives[0].metric
        if rest.lstrip("#").isdigit():
            curve = [o for o in located.history.curve(record.id, int(rest.lstrip("#"))) if o.metric == metric]
            points = PlotPoints(x=[o.step for o in curve], y=[o.value for o in curve], x_name="step", y_name=metric)
        elif rest:
            points = _slice(rest, located, trials)
        else:
            able = [t for t in trials if not t.is_replicate]
            values = [t.values.get(metric, math.nan) for t in able]
            points = PlotPoints(x=[t.number for t in able], y=values, x_name="trial", y_name=metric)
        return "\n".join(plot_lines(points, width=min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)))

    return _located(wiring, text)


def _slice(name: str, located: OpenStudy, trials: Sequence[Trial]) -> PlotPoints:
    space, metric = located.record.spec.space, located.record.spec.objectives[0].metric
    if name not in space.parameters:
        raise ToolRefused(f"there is no parameter {name!r}{did_you_mean(name, space.names)}")
    parameter = space.parameters[name]
    able = [t for t in trials if name in t.params and metric in t.values]
    if parameter.kind in ("choice", "bool"):
        known = list(dict.fromkeys(str(t.params[name]) for t in able))
        x, label = [float(known.index(str(t.params[name]))) for t in able], f"{name}: {', '.join(known)}"
        return PlotPoints(x=x, y=[t.values[metric] for t in able], x_name=label, y_name=metric)
    x = [float(str(t.params[name])) for t in able]
    log_x = bool(getattr(parameter, "log", False))
    return PlotPoints(x=x, y=[t.values[metric] for t in able], x_name=name, y_name=metric, log_x=log_x)


def _edits(wiring: StudySession, rest: str) -> str:
    return _do(wiring, EDIT, {"name": rest}) if rest else _do(wiring, EDITS, {})


# -- doing ------------------------------------------------------------------------------------------------------


def _run(wiring: StudySession, _: str) -> str:
    wired = _wired(wiring)
    if wired.context.control is not None and wired.context.control.is_running():
        raise ToolRefused("the study is running already; /status shows it")
    return wired.runs.start()


def _stop(wiring: StudySession, rest: str) -> str:
    if rest.lstrip("#").isdigit():
        return _do(wiring, STOP_TRIAL, {"number": int(rest.lstrip("#"))})
    return _do(wiring, END, {"now": rest == "now"})


def _budget(wiring: StudySession, rest: str) -> str:
    """Show the limits, or change one: `/budget trials 60`, `/budget hours none`."""
    if not rest:
        wired = _wired(wiring)
        limits = wired.facts.spec.budget.model_dump(exclude_none=True)
        record = wired.facts.record()
        used = f"; used: {record.spent.trials} trials, {record.spent.hours:.2f} hours" if record else ""
        return ", ".join(f"{name} {value}" for name, value in limits.items()) + used
    name, _, value = rest.partition(" ")
    return _do(wiring, LIMIT, {"name": name, "value": None if value.strip() == "none" else _value(value.strip())})


def _queue(wiring: StudySession, rest: str) -> str:
    return _do(
        wiring, QUEUE, {"configurations": [_pairs(rest, "/queue lr=0.01 hidden=64")], "why": "typed in the chat"}
    )


def _pin(wiring: StudySession, rest: str) -> str:
    ((name, value),) = (_pairs(rest, "/pin lr=0.01") if "=" in rest else {rest: None}).items()
    return _do(wiring, PIN, {"name": name, "value": value})


def _bounds(wiring: StudySession, rest: str) -> str:
    name, *ends = rest.split()
    if len(ends) != 2:  # noqa: PLR2004  # two ends
        raise ToolRefused("give the parameter and both ends, such as /bounds lr 1e-4 1e-2")
    return _do(wiring, BOUNDS, {"name": name, "low": _value(ends[0]), "high": _value(ends[1])})


def _tool(
    tool: AnyTool, given: Callable[[str], Mapping[str, Any]] = lambda _: {}
) -> Callable[[StudySession, str], str]:
    return lambda wiring, rest: _do(wiring, tool, given(rest))


def _do(wiring: StudySession, tool: AnyTool, given: Mapping[str, Any]) -> str:
    _wired(wiring)
    return tool.call(wiring.context(), given)


# -- reading what was typed -------------------------------------------------------------------------------------


def _located(wiring: StudySession, text: Callable[[OpenStudy], str]) -> str:
    _wired(wiring)
    located = open_study(wiring.file, wiring.history)
    with located.history:
        return text(located)


def _wired(wiring: StudySession) -> LoadedStudy:
    wired = wiring.wired()
    if wired is None:
        raise ToolRefused(f"there is no {wiring.file.name} here yet; `tunesmith init SCRIPT` writes one")
    return wired


def _number(text: str, example: str) -> int:
    if not text.lstrip("#").isdigit():
        raise ToolRefused(f"give a trial's number, such as {example}")
    return int(text.lstrip("#"))


def _pairs(text: str, example: str) -> dict[str, Any]:
    words = [word.partition("=") for word in text.split()]
    if not words or any(not sign or not name for name, sign, _ in words):
        raise ToolRefused(f"give values by name, such as {example}")
    return {name: _value(value) for name, _, value in words}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _bound(text: str) -> Mapping[str, Any]:
    for sign, side in (("<=", "max"), (">=", "min")):
        metric, found, value = text.partition(sign)
        if found:
            return {"metric": metric.strip(), side: _value(value.strip())}
    raise ToolRefused("give a bound, such as /constrain gpu_mem_gb <= 70")


COMMANDS: Mapping[str, Slash] = {
    "status": Slash("", "where the study stands", _status),
    "best": Slash("", "the best trials, and the best as a command line", _best),
    "trial": Slash("N", "the story of a trial", _trial),
    "why": Slash("N", "who proposed a trial, and why", _why),
    "plot": Slash("[N | PARAMETER]", "values over trials, a trial's curve, or values over a parameter", _plot),
    "run": Slash("", "start or resume the study in the background", _run),
    "stop": Slash("[now | N]", "end the run (now: at once), or one trial", _stop),
    "pause": Slash("", "start no more trials", _tool(PAUSE)),
    "resume": Slash("", "start trials again", _tool(RESUME)),
    "queue": Slash("lr=0.01 ...", "run a configuration next; the rest is taken from the best", _queue),
    "confirm": Slash("N", "run a trial again on 3 fresh seeds", _tool(CONFIRM, lambda t: {"number": _value(t)})),
    "pin": Slash("NAME[=VALUE]", "hold a parameter at a value, or set it free", _pin),
    "veto": Slash(
        "CONDITION", "run nothing for which it holds, such as lr > 0.1", _tool(VETO, lambda t: {"condition": t})
    ),
    "unveto": Slash("CONDITION", "take a veto back", _tool(VETO, lambda t: {"condition": t, "lift": True})),
    "bounds": Slash("NAME LOW HIGH", "change a range", _bounds),
    "constrain": Slash("METRIC <= X", "bound another metric", _tool(CONSTRAIN, _bound)),
    "budget": Slash("[NAME VALUE]", "the limits; or change one, such as /budget trials 60", _budget),
    "edits": Slash("[NAME]", "edits of the code and what came of them, or what one changed", _edits),
}
OUTSIDE: Mapping[str, tuple[str, str]] = {
    "allow": ("N", "let the model queue up to N trials without asking"),
    "cost": ("", "what this conversation has cost"),
    "model": ("[NAME]", "the model that answers, or another one"),
    "help": ("", "this list"),
    "quit": ("", "leave; a study that runs goes on"),
}
"""Commands that are about the chat itself; app.py does them."""
