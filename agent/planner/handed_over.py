"""Decides what becomes of an LLM's request about the study: a command to the study, a question to the person, or no.

A request that narrows the study takes effect once the LLM's results have earned it, and never against the best trial.
What widens the study, needs the script changed, or undoes what a person asked for is for the person to decide.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tunesmith.agent.llm.requests import Request
from tunesmith.study.commands import Bounds, Command, Forbid, Pin
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import same
from tunesmith.study.space.parameters import Bool, Choice
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import own_value
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent

MIN_SHARE, MIN_TRIALS = 0.5, 4
"""Share of the trials that an LLM must have earned, and trials that it must have run, to narrow a study."""

_FOR_THE_PERSON = ("unpin", "permit", "derive", "parameter")
"""Requests that need the script changed, or undo what a person asked for."""

ASKS_PERSON = "the person is asked; nothing changes until they do it"

PERSON_DECIDED = "not taken over: a person has decided about it by a command"
NOT_EARNED = "not taken over: the LLM's results have not earned it yet"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What becomes of a request: a command for the study if it is taken over, and the answer to the LLM."""

    answer: str
    command: Command | None = None


def hand_over(request: Request, view: StudyView, *, share: float, allow: Collection[str]) -> HandedOver:
    """Return what becomes of a request.

    Args:
        request: what the LLM asked for.
        view: the study.
        share: the fraction of the trials that the LLM's results have earned.
        allow: what [planner].allow lets the LLM change unasked.
    """
    if request.action in _FOR_THE_PERSON:
        return HandedOver(ASKS_PERSON)
    unknown = unknown_parameter(request, view.space)
    if unknown:
        return HandedOver(unknown)
    own = sum(t.proposal.source is Source.LLM and t.state.is_finished for t in view.trials)
    is_earned = share >= MIN_SHARE and own >= MIN_TRIALS
    if request.action == "range" and _is_wider(request, view) and not (is_earned and "ranges" in allow):
        return HandedOver(ASKS_PERSON)
    if not is_earned:
        return HandedOver(NOT_EARNED)
    command = _command(request)
    if command is None:
        return HandedOver("not taken over: it says nothing to change")
    best = incumbent(view.trials, view)
    objection = _objection(request, best, view) if best is not None else ""
    return HandedOver(objection) if objection else HandedOver("taken over; a person may undo it", command)


def unknown_parameter(request: Request, space: SearchSpace) -> str:
    """Return the answer to a request about a parameter that the space does not have; "" where it has it."""
    if request.action in (*_FOR_THE_PERSON, "forbid") or request.name in space.parameters:
        return ""
    return f"there is no parameter {request.name!r}{did_you_mean(request.name, space.names)}"


def _is_wider(request: Request, view: StudyView) -> bool:
    parameter = view.space.parameters[request.name]
    if isinstance(parameter, Choice | Bool):
        return True
    is_lower = request.low is not None and request.low < parameter.low
    return is_lower or (request.high is not None and request.high > parameter.high)


def _command(request: Request) -> Command | None:
    why = request.why[:500]
    match request.action:
        case "pin" if request.value is not None:
            return Pin(name=request.name, value=request.value, why=why)
        case "values" if request.values:
            return Bounds(name=request.name, choices=list(request.values), why=why)
        case "range" if request.low is not None or request.high is not None:
            return Bounds(name=request.name, low=request.low, high=request.high, why=why)
        case "forbid" if request.condition:
            return Forbid(rule=request.condition, why=why)
    return None


def _objection(request: Request, best: Trial, view: StudyView) -> str:
    """Return why a request contradicts the best trial; "" if it does not. A rule is checked by the study itself."""
    value = best.params.get(request.name)
    if value is None or request.action == "forbid":
        return ""
    parameter = view.space.parameters[request.name]
    kept = {
        "pin": lambda: same(value, own_value(parameter, request.value)),
        "values": lambda: any(same(value, own_value(parameter, choice)) for choice in request.values),
        "range": lambda: _contains(request, value),
    }[request.action]()
    if kept:
        return ""
    return f"not taken over: the best trial, #{best.number}, has {request.name} = {value}; find a better one first"


def _contains(request: Request, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_above = request.low is None or value >= request.low
    return is_above and (request.high is None or value <= request.high)
