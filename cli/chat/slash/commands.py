"""The slash commands of a chat. They need no LLM; those that change the study send commands to the loop.

A person who types a slash command has decided, so no approval is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunesmith.cli.chat.slash import changing, reading
from tunesmith.cli.chat.slash.calling import through
from tunesmith.cli.chat.slash.parsing import bound, json_value
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.study.names import did_you_mean
from tunesmith.tools.llm_tools.steering import CONFIRM, CONSTRAIN, FORBID, PAUSE, RESUME, VETO


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


COMMANDS: Mapping[str, Slash] = {
    "status": Slash("", "the state of the study", reading.status),
    "best": Slash("", "the best trials, and the command line of the best", reading.best),
    "trial": Slash("N", "everything about a trial", reading.trial),
    "why": Slash("N", "who proposed a trial, and why", reading.why),
    "log": Slash("N [LINES]", "the end of a trial's output", reading.log),
    "compare": Slash("N M ...", "what differs between trials, and which is better against noise", reading.compare),
    "report": Slash("", "write report.html and report.md", reading.report),
    "plot": Slash("[N | PARAMETER]", "values over trials, a trial's curve, or values over a parameter", reading.plot),
    "run": Slash("[N]", "start or resume the study in the background; with N that many further trials", changing.run),
    "stop": Slash("[now | N]", "stop after the running trials, at once with now, or stop trial N", changing.stop),
    "pause": Slash("", "start no new trials", through(PAUSE)),
    "resume": Slash("", "start new trials again", through(RESUME)),
    "queue": Slash("lr=0.01 ...", "run these values next; others as in the best, or base=default", changing.queue),
    "confirm": Slash("N", "run a trial again on 3 fresh seeds", through(CONFIRM, lambda t: {"number": json_value(t)})),
    "check": Slash("[SECONDS]", "run the default for some seconds and say which metrics are seen", changing.check),
    "retry": Slash("[N-M]", "run failed trials again, all or these, and forget their failures", changing.retry),
    "forget": Slash("N-M [undo]", "let trials count nowhere; undo takes them up again", changing.forget),
    "pin": Slash("NAME[=VALUE]", "fix a parameter at a value, or free it", changing.pin),
    "veto": Slash(
        "CONDITION", "propose nothing that meets it, for example lr > 0.1", through(VETO, lambda t: {"condition": t})
    ),
    "unveto": Slash("CONDITION", "remove a veto", through(VETO, lambda t: {"condition": t, "lift": True})),
    "forbid": Slash(
        "RULE",
        "add a rule that no trial breaks, such as heads > width / 16",
        through(FORBID, lambda t: {"rule": t}),
    ),
    "unforbid": Slash("RULE", "remove a rule", through(FORBID, lambda t: {"rule": t, "lift": True})),
    "bounds": Slash("NAME LOW HIGH", "change the range of a parameter", changing.bounds),
    "constrain": Slash("METRIC <= X", "add a bound on a metric", through(CONSTRAIN, bound)),
    "unconstrain": Slash("METRIC", "remove the bounds on a metric", changing.unconstrain),
    "budget": Slash("[NAME VALUE]", "show the limits, or change one, for example /budget trials 60", changing.budget),
    "set": Slash("KEY VALUE", "change another key of study.toml, for example /set run.timeout 30m", changing.set_key),
    "switch": Slash("[NAME]", "list the studies of this folder, or turn to another one", changing.switch),
    "edits": Slash("[NAME]", "edits of the code with their results, or the diff of one", reading.edits),
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
