"""The slash commands of a chat. They need no LLM; those that change the study send commands to the loop.

A person who types a slash command has decided, so no approval is asked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.cli.display.format import front_line, front_rows
from tunesmith.cli.display.status_text import status_text
from tunesmith.cli.display.trial_story import trial_story
from tunesmith.cli.session.locate import OpenStudy, find_trial, open_study
from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import count, render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.numbers import parse_numbers
from tunesmith.study.trials.results import left_out_text
from tunesmith.study.trials.winner import leaderboard, winner, winner_text
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.llm_tools.edits import EDIT, EDITS
from tunesmith.tools.llm_tools.report import REPORT
from tunesmith.tools.llm_tools.results.comparison import COMPARE
from tunesmith.tools.llm_tools.results.plot import plot_points
from tunesmith.tools.llm_tools.script.check import CHECK, check_text
from tunesmith.tools.llm_tools.script.files import LOG, log_text
from tunesmith.tools.llm_tools.steering import (
    BOUNDS,
    CONFIRM,
    CONSTRAIN,
    END,
    FORBID,
    FORGET,
    LIMIT,
    PAUSE,
    PIN,
    QUEUE,
    RESUME,
    RETRY,
    STOP_TRIAL,
    VETO,
)
from tunesmith.tools.llm_tools.tool import AnyTool
from tunesmith.tools.report.plots.ascii_plot import plot_lines
from tunesmith.tools.variants.run_command import code_needed, run_line

BEST_LISTED = 5
PLOT_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Slash:
    """One command: its arguments, a short description, and its function."""

    usage: str
    about: str
    run: Callable[[StudySession, str], str]


def run_slash(text: str, session: StudySession) -> str:
    """Run a line such as `/trial 12`; return the text to print.

    Raises:
        ToolRefused: the command is unknown or cannot be done.
        InputError: the study, or its history, is missing or wrong.
    """
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        hint = did_you_mean(name, [*COMMANDS, *CHAT_COMMANDS]) or "; /help lists all commands"
        raise ToolRefused(f"unknown command /{name}{hint}")
    return COMMANDS[name].run(session, rest.strip())


def help_text() -> str:
    """Return every command, one per line."""
    rows = [(f"/{name} {c.usage}".strip(), c.about) for name, c in COMMANDS.items()]
    rows += [(f"/{name} {usage}".strip(), about) for name, (usage, about) in CHAT_COMMANDS.items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {about}" for left, about in rows)


# -- reading ----------------------------------------------------------------------------------------------------


def _status(session: StudySession, _: str) -> str:
    return _with_study(session, status_text)


def _best(session: StudySession, _: str) -> str:
    def text(opened: OpenStudy) -> str:
        record = opened.record
        trials = opened.history.trials(record.id)
        best, ranked = winner(trials, record.spec), leaderboard(trials, record.spec)[:BEST_LISTED]
        outside = left_out_text(opened.history.left_out(record))
        if best is None:
            return "\n".join(["no trial is complete yet", *([outside] if outside else [])])
        metric = record.spec.objectives[0].metric
        rows = [f"#{t.number}  {metric} {short_number(t.values[metric])}  {render_params(t.params)}" for t in ranked]
        front = opened.history.front(record)
        if front:
            # The study's choice comes first, also where it is only expected to be the best and not measured so.
            listed = [best.trial, *(t for t in front if t.number != best.trial.number)]
            rows = [front_line(front, record.spec.objectives), *front_rows(listed, record.spec.objectives)]
        code, seed = best.trial.proposal.code, best.trial.proposal.seed
        line = run_line(record.spec, best.trial.params, code, opened.history.variants(record.id), seed=seed)
        head = [f"best: {metric} {winner_text(best)}", *([outside] if outside else [])]
        needed = code_needed(record.spec, best.trial.proposal.code)
        return "\n".join([*head, *rows, "", f"  {line}", *([f"  {needed}"] if needed else [])])

    return _with_study(session, text)


def _trial(session: StudySession, rest: str) -> str:
    return _with_study(session, lambda opened: trial_story(opened, find_trial(opened, _number(rest, "/trial 12"))))


def _why(session: StudySession, rest: str) -> str:
    number = _number(rest, "/why 12")

    def text(opened: OpenStudy) -> str:
        trial = find_trial(opened, number)
        proposal = trial.proposal
        lines = [f"trial {number} came from {proposal.source.value}: {proposal.rationale or 'no reason was given'}"]
        lines += [f"  the sampler replaced the LLM: {proposal.fallback_reason}"] if proposal.fallback_reason else []
        lines += [f"  considered: {words}" for words in proposal.considered]
        metric = opened.record.spec.objectives[0].metric
        if proposal.prediction:
            got = short_number(trial.values[metric]) if metric in trial.values else trial.state.value
            lines.append(f"  expected {short_number(proposal.prediction.mean)}, got {got}")
        return "\n".join(lines)

    return _with_study(session, text)


def _plot(session: StudySession, rest: str) -> str:
    """Draw value over trials, the curve of one (`/plot 12`), or a slice over a parameter (`/plot lr`)."""
    loaded = _loaded(session)
    width = min(shutil.get_terminal_size((PLOT_WIDTH, 24)).columns, PLOT_WIDTH)
    return "\n".join(plot_lines(plot_points(loaded.reader, rest), width=width))


def _edits(session: StudySession, rest: str) -> str:
    return _call(session, EDIT, {"name": rest}) if rest else _call(session, EDITS, {})


def _log(session: StudySession, rest: str) -> str:
    """Show the end of a trial's output: `/log 12`, `/log 12 100`."""
    words = [word.lstrip("#") for word in rest.split()]
    if len(words) not in (1, 2) or not all(word.isdigit() for word in words):
        raise ToolRefused("give a trial's number, and how many lines if you like, for example /log 12 100")
    _loaded(session)
    return log_text(session.context(), LOG.parse(dict(zip(("number", "lines"), map(int, words), strict=False))))


def _compare(session: StudySession, rest: str) -> str:
    words = [word.lstrip("#") for word in rest.replace(",", " ").split()]
    if len(words) < 2 or not all(word.isdigit() for word in words):  # noqa: PLR2004  # one cannot be compared
        raise ToolRefused("give two trials or more, for example /compare 3 12")
    return _call(session, COMPARE, {"numbers": [int(word) for word in words]})


def _report(session: StudySession, _: str) -> str:
    """Write the report and return its path, which the text for models begins with."""
    return _call(session, REPORT, {}).splitlines()[0]


# -- changing ------------------------------------------------------------------------------------------------------


def _run(session: StudySession, _: str) -> str:
    loaded = _loaded(session)
    if loaded.context.control is not None and loaded.context.control.is_running():
        raise ToolRefused("the study is already running; /status shows it")
    return loaded.runs.start()


def _stop(session: StudySession, rest: str) -> str:
    if rest.lstrip("#").isdigit():
        return _call(session, STOP_TRIAL, {"number": int(rest.lstrip("#"))})
    return _call(session, END, {"now": rest == "now"})


def _budget(session: StudySession, rest: str) -> str:
    """Show the limits, or change one: `/budget trials 60`, `/budget hours none`."""
    if not rest:
        loaded = _loaded(session)
        limits = loaded.reader.spec.budget.model_dump(exclude_none=True)
        record = loaded.reader.record()
        used = ""
        if record:
            used = f"; used: {count(record.spent.trials, 'trial')}, {short_seconds(record.spent.hours * 3600)}"
        return ", ".join(f"{name} {value}" for name, value in limits.items()) + used
    name, _, text = (part.strip() for part in rest.partition(" "))
    value = None if text == "none" else _value(text)
    if name != "until" and not isinstance(value, int | float | None):
        raise ToolRefused(f"{text!r} is not valid here; expected a number, or none for no limit")
    return _call(session, LIMIT, {"name": name, "value": value})


def _queue(session: StudySession, rest: str) -> str:
    words = rest.split()
    bases = [word.removeprefix("base=") for word in words if word.startswith("base=")]
    pairs = _pairs(" ".join(w for w in words if not w.startswith("base=")), "/queue lr=0.01 hidden=64 base=default")
    base = {"base": bases[-1]} if bases else {}
    return _call(session, QUEUE, {"configurations": [pairs], "why": "typed in the chat", **base})


def _pin(session: StudySession, rest: str) -> str:
    pairs = _pairs(rest, "/pin lr=0.01") if "=" in rest else dict.fromkeys(rest.split())
    if len(pairs) != 1:
        raise ToolRefused("give one parameter: /pin lr=0.01 fixes it, /pin lr frees it")
    ((name, value),) = pairs.items()
    return _call(session, PIN, {"name": name, "value": value})


def _retry(session: StudySession, rest: str) -> str:
    return _call(session, RETRY, {"numbers": list(parse_numbers(rest)) if rest else []})


def _forget(session: StudySession, rest: str) -> str:
    words = rest.removesuffix("undo").strip()
    if not words:
        raise ToolRefused("give numbers of trials, for example /forget 3-9")
    return _call(session, FORGET, {"numbers": list(parse_numbers(words)), "again": rest.endswith("undo")})


def _check(session: StudySession, rest: str) -> str:
    _loaded(session)
    return check_text(session.context(), CHECK.parse({"seconds": _value(rest)} if rest else {}))


def _bounds(session: StudySession, rest: str) -> str:
    words = rest.split()
    if len(words) != 3:  # noqa: PLR2004  # a name and two ends
        raise ToolRefused("give a parameter, its low end and its high end, for example /bounds lr 1e-4 1e-2")
    name, low, high = words
    return _call(session, BOUNDS, {"name": name, "low": _value(low), "high": _value(high)})


def _unconstrain(session: StudySession, rest: str) -> str:
    if not rest:
        raise ToolRefused("give a metric, for example /unconstrain gpu_mem_gb")
    return _call(session, CONSTRAIN, {"metric": rest})


def _tool(
    tool: AnyTool, given: Callable[[str], Mapping[str, Any]] = lambda _: {}
) -> Callable[[StudySession, str], str]:
    return lambda session, rest: _call(session, tool, given(rest))


def _call(session: StudySession, tool: AnyTool, given: Mapping[str, Any]) -> str:
    _loaded(session)
    return tool.call(session.context(), given)


# -- parsing -------------------------------------------------------------------------------------


def _with_study(session: StudySession, text: Callable[[OpenStudy], str]) -> str:
    _loaded(session)
    opened = open_study(session.file, session.history)
    with opened.history:
        return text(opened)


def _loaded(session: StudySession) -> LoadedStudy:
    loaded = session.loaded()
    if loaded is None:
        raise ToolRefused(f"{session.file} does not exist yet; `tunesmith init SCRIPT` writes one")
    return loaded


def _number(text: str, example: str) -> int:
    if not text.lstrip("#").isdigit():
        raise ToolRefused(f"give a trial's number, for example {example}")
    return int(text.lstrip("#"))


def _pairs(text: str, example: str) -> dict[str, Any]:
    words = [word.partition("=") for word in text.split()]
    if not words or any(not sign or not name for name, sign, _ in words):
        raise ToolRefused(f"give values by name, for example {example}")
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
    raise ToolRefused("give a bound, for example /constrain gpu_mem_gb <= 70")


COMMANDS: Mapping[str, Slash] = {
    "status": Slash("", "the state of the study", _status),
    "best": Slash("", "the best trials, and the command line of the best", _best),
    "trial": Slash("N", "everything about a trial", _trial),
    "why": Slash("N", "who proposed a trial, and why", _why),
    "log": Slash("N [LINES]", "the end of a trial's output", _log),
    "compare": Slash("N M ...", "what differs between trials, and which is better against noise", _compare),
    "report": Slash("", "write report.html and report.md", _report),
    "plot": Slash("[N | PARAMETER]", "values over trials, a trial's curve, or values over a parameter", _plot),
    "run": Slash("", "start or resume the study in the background", _run),
    "stop": Slash("[now | N]", "stop after the running trials, at once with now, or stop trial N", _stop),
    "pause": Slash("", "start no new trials", _tool(PAUSE)),
    "resume": Slash("", "start new trials again", _tool(RESUME)),
    "queue": Slash("lr=0.01 ...", "run these values next; the others are the best trial's, or base=default", _queue),
    "confirm": Slash("N", "run a trial again on 3 fresh seeds", _tool(CONFIRM, lambda t: {"number": _value(t)})),
    "check": Slash("[SECONDS]", "run the default for some seconds and say which metrics are seen", _check),
    "retry": Slash("[N-M]", "run failed trials again, all or these, and forget their failures", _retry),
    "forget": Slash("N-M [undo]", "let trials teach nothing and count nowhere; undo takes them up again", _forget),
    "pin": Slash("NAME[=VALUE]", "fix a parameter at a value, or free it", _pin),
    "veto": Slash(
        "CONDITION", "propose nothing that meets it, for example lr > 0.1", _tool(VETO, lambda t: {"condition": t})
    ),
    "unveto": Slash("CONDITION", "remove a veto", _tool(VETO, lambda t: {"condition": t, "lift": True})),
    "forbid": Slash(
        "RULE", "add a rule that no trial breaks, for example heads > width / 16", _tool(FORBID, lambda t: {"rule": t})
    ),
    "unforbid": Slash("RULE", "remove a rule", _tool(FORBID, lambda t: {"rule": t, "lift": True})),
    "bounds": Slash("NAME LOW HIGH", "change the range of a parameter", _bounds),
    "constrain": Slash("METRIC <= X", "add a bound on a metric", _tool(CONSTRAIN, _bound)),
    "unconstrain": Slash("METRIC", "remove the bounds on a metric", _unconstrain),
    "budget": Slash("[NAME VALUE]", "show the limits, or change one, for example /budget trials 60", _budget),
    "edits": Slash("[NAME]", "edits of the code with their results, or the diff of one", _edits),
}
CHAT_COMMANDS: Mapping[str, tuple[str, str]] = {
    "new": ("", "start a new conversation; the model forgets this one"),
    "allow": ("N", "let the LLM queue up to N trials without approval"),
    "cost": ("", "the cost of this conversation"),
    "model": ("[NAME]", "show the LLM that answers, or change it"),
    "help": ("", "show this list"),
    "quit": ("", "leave the chat; a running study continues"),
}
"""Commands about the chat itself, which app.py runs: their arguments and descriptions."""
