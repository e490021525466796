"""Decides what an order means for a running study, and answers it. Pure: a situation in, a decision out; the loop acts.

Nothing is done by halves: an order that has a mistake is refused as a whole, with the reason in words for whoever gave
it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.study.commands import (
    Bounds,
    Command,
    Confirm,
    Constrain,
    EditCode,
    End,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.config.budget import ENDING
from tunesmith.study.config.changes import Change, Steering, change_of, changed, standing
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, ProposalError, SpecError, ToolRefused
from tunesmith.study.formatting import render_parameter, render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import ConditionError, Value
from tunesmith.study.space.parameters import typed
from tunesmith.study.trials.seeds import choosing_seed, tuning_seed
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.variant import Variant, short_id
from tunesmith.tools.variants.user_edit import NO_EDITS, EditContext, build_user_edit

COMMAND_EVENT = "order"
"""The kind of event under which an order and its answer are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What an order is judged by.

    Attributes:
        trials: every trial, by number.
        running: the numbers of those that run.
        paused: no trials are started at present.
        code: the versions of the code; None where it may not be edited.
        refuses_edits: why edited code cannot run here, "" when it can.
    """

    spec: StudySpec
    trials: Sequence[Trial]
    running: frozenset[int]
    steering: Steering
    paused: bool
    code: EditContext | None = None
    refuses_edits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDecision:
    """What the loop is to do, and what it answers. What is None or empty is left as it is.

    Attributes:
        interrupts: 1 to end the run when running trials are done, 2 to end it now.
        version: edited code to run, and `params`, what it is to be run with beside the best configuration.
    """

    answer: str
    proposals: tuple[Proposal, ...] = ()
    stop: int | None = None
    withdraw: int | None = None
    paused: bool | None = None
    interrupts: int = 0
    steering: Steering | None = None
    change: Change | None = None
    spec: StudySpec | None = None
    version: Variant | None = None
    params: Mapping[str, Value] = field(default_factory=dict)


def decide(order: Command, now: RunState) -> CommandDecision:  # noqa: C901  # one line for each of a closed list
    """Return what an order comes to.

    Raises:
        ToolRefused: it cannot be done; the message says why and what can.
    """
    match order:
        case Queue():
            return _queue(order, now)
        case Confirm():
            return _confirm(order, now)
        case Withdraw() | StopTrial():
            return _end_trial(order, now)
        case Pause():
            running = f"; {len(now.running)} running go on" if now.running else ""
            return CommandDecision(answer=f"paused: no more trials start until resume{running}", paused=True)
        case Resume():
            return CommandDecision(
                answer="trials start again" if now.paused else "the study was not paused", paused=False
            )
        case End(now=at_once):
            how = "running trials are ended and run again later" if at_once else "running trials finish first"
            return CommandDecision(answer=f"the run ends: {how}", interrupts=2 if at_once else 1)
        case EditCode():
            return _edit(order, now)
        case Pin():
            return _pin(order, now)
        case Veto():
            return _veto(order, now)
        case Limit() | Parallel() | Bounds() | Constrain():
            return _change(order, now)


def _edit(order: EditCode, now: RunState) -> CommandDecision:
    if now.code is None:
        raise ToolRefused(now.refuses_edits or NO_EDITS)
    version = replace(build_user_edit(order, now.code, now.spec), created_at=time.time())
    told = [f"{short_id(version.id)} runs next, with the configuration that was best before it", *version.warnings]
    return CommandDecision(answer="; ".join(told), version=version, params=order.params)


@dataclass(frozen=True, slots=True)
class EarlierCommands:
    """What earlier orders left behind, read from the history.

    Attributes:
        spec: the study file with the changes that still hold.
        names: the letters that were answered, so that none is done twice.
        words: the changes that still hold, a sentence each.
    """

    spec: StudySpec
    steering: Steering = field(default_factory=lambda: Steering({}))
    names: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


def read_earlier_commands(spec: StudySpec, events: Sequence[Event]) -> EarlierCommands:
    """Return what earlier orders left behind.

    Args:
        spec: the study as its file has it now.
        events: those of the kind COMMAND_EVENT, in order.
    """
    done = [event.detail for event in events if event.detail.get("done")]
    changes = [Change(**detail["change"]) for detail in done if detail.get("change")]
    document, held = standing(spec.document, changes)
    try:
        made = parse_spec(document) if held else spec
    except SpecError:
        # The file was edited so that they do not fit together any more: the file has the last word.
        made, held = spec, []
    steering = Steering({})
    for detail in done:
        if "steering" in detail:
            steering = Steering(detail["steering"]["pins"], tuple(detail["steering"]["vetoes"]))
    known = {name: value for name, value in steering.pins.items() if name in made.space.parameters}
    steering = replace(steering, pins={n: v for n, v in known.items() if not made.space.parameters[n].refuse(v)})
    words = [f"{change.key} = {_spelled(change.after)}, as asked earlier" for change in held]
    return EarlierCommands(
        spec=made,
        steering=steering,
        names=frozenset(str(event.detail.get("name")) for event in events),
        words=tuple([*words, *([f"as asked earlier: {steering.words}"] if steering else [])]),
    )


def event_detail(name: str, by: str, order: object, answer: str, decision: CommandDecision | None) -> dict[str, Any]:
    """Return what is kept of an order in the history."""
    detail: dict[str, Any] = {"name": name, "by": by, "order": order, "answer": answer, "done": decision is not None}
    if decision is not None and decision.change is not None:
        change = decision.change
        detail["change"] = {"key": change.key, "before": change.before, "after": change.after}
    if decision is not None and decision.steering is not None:
        detail["steering"] = {"pins": dict(decision.steering.pins), "vetoes": list(decision.steering.vetoes)}
    return detail


def _queue(order: Queue, now: RunState) -> CommandDecision:
    try:
        params = now.spec.space.parse(order.params)
    except ProposalError as error:
        raise ToolRefused(str(error)) from None
    number = len(now.trials)
    fidelity = now.spec.fidelity.max if now.spec.fidelity else None
    seed = tuning_seed(now.spec.study.seed, number)
    why = order.why or "asked for by a person"
    proposal = Proposal(params=params, source=Source.USER, seed=seed, rationale=why, fidelity=fidelity)
    return CommandDecision(answer=f"queued as trial {number}", proposals=(proposal,))


def _confirm(order: Confirm, now: RunState) -> CommandDecision:
    trial = _known(order.number, now)
    if trial.state is not TrialState.COMPLETE:
        raise ToolRefused(f"trial {order.number} is {trial.state.value}; only a complete one can be confirmed")
    original = trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of
    used = {t.proposal.seed for t in now.trials if t.proposal.replicate_of == original}
    # The same seeds for every configuration, in the same order, so that what is confirmed can be compared.
    pool = (choosing_seed(now.spec.study.seed, index) for index in range(order.seeds + len(used) + 1000))
    seeds = [seed for seed in dict.fromkeys(pool) if seed not in used][: order.seeds]
    again = replace(
        now.trials[original].proposal,
        source=Source.CONFIRM,
        rationale=order.why or f"trial {original} again on a fresh seed",
        prediction=None,
        rival=None,
        fallback_reason="",
        considered=(),
        replicate_of=original,
    )
    proposals = tuple(replace(again, seed=seed) for seed in seeds)
    first = len(now.trials)
    numbers = f"{first}" if len(seeds) == 1 else f"{first} to {first + len(seeds) - 1}"
    return CommandDecision(answer=f"trial {original} runs again on fresh seeds, as {numbers}", proposals=proposals)


def _end_trial(order: Withdraw | StopTrial, now: RunState) -> CommandDecision:
    trial = _known(order.number, now)
    if isinstance(order, StopTrial):
        if order.number not in now.running:
            listed = ", ".join(str(n) for n in sorted(now.running)) or "none"
            raise ToolRefused(f"trial {order.number} is {trial.state.value}, not running; running: {listed}")
        return CommandDecision(
            answer=f"trial {order.number} is being ended; its values so far stand", stop=order.number
        )
    if trial.state is not TrialState.WAITING:
        raise ToolRefused(f"trial {order.number} is {trial.state.value}; only one that waits can be taken back")
    return CommandDecision(answer=f"trial {order.number} will not run", withdraw=order.number)


def _pin(order: Pin, now: RunState) -> CommandDecision:
    parameters = now.spec.space.parameters
    if order.name not in parameters:
        raise ToolRefused(f"there is no parameter {order.name!r}{did_you_mean(order.name, parameters)}")
    pins = {name: value for name, value in now.steering.pins.items() if name != order.name}
    if order.value is None:
        said = "is free again" if order.name in now.steering.pins else "was not pinned"
        return CommandDecision(answer=f"{order.name} {said}", steering=replace(now.steering, pins=pins))
    value = typed(parameters[order.name], order.value)
    refused = parameters[order.name].refuse(value)
    if refused:
        raise ToolRefused(f"{order.name}: {refused}")
    steering = replace(now.steering, pins={**pins, order.name: value})
    return CommandDecision(
        answer=f"{order.name} is held at {render_parameter(value)} in all trials to come", steering=steering
    )


def _veto(order: Veto, now: RunState) -> CommandDecision:
    text = " ".join(order.condition.split())
    rest = tuple(veto for veto in now.steering.vetoes if veto != text)
    if order.lift:
        if text not in now.steering.vetoes:
            listed = "; ".join(now.steering.vetoes) or "none"
            raise ToolRefused(f"there is no veto {text!r}; there are: {listed}")
        return CommandDecision(answer=f"no longer vetoed: {text}", steering=replace(now.steering, vetoes=rest))
    try:
        parsed = conditions.parse(text)
    except ConditionError as error:
        raise ToolRefused(str(error)) from None
    names = [c.name for c in conditions.comparisons(parsed)]
    unknown = [Mistake(n, f"is no parameter{did_you_mean(n, now.spec.space.names)}") for n in names]
    unknown = [m for m in unknown if m.key not in now.spec.space.parameters]
    if unknown:
        raise ToolRefused("; ".join(f"{m.key} {m.message}" for m in unknown))
    hit = [t.number for t in now.trials if not t.state.is_finished and parsed.holds(t.params)]
    also = f"; it holds for {', '.join(f'#{n}' for n in hit)}, which stop_trial or withdraw can end" if hit else ""
    steering = replace(now.steering, vetoes=(*rest, text))
    return CommandDecision(answer=f"nothing more is proposed for which {text} holds{also}", steering=steering)


def _change(order: Limit | Parallel | Bounds | Constrain, now: RunState) -> CommandDecision:
    change = change_of(now.spec.document, order)
    if change.before == change.after:
        raise ToolRefused(f"{change.key} is {_spelled(change.after)} already")
    try:
        spec = parse_spec(changed(now.spec.document, change), where="the study with this change")
    except SpecError as error:
        raise ToolRefused(str(error)) from None
    if not spec.budget.ends:
        raise ToolRefused(f"then nothing would end the study; leave one of {', '.join(ENDING)}")
    answer = f"{change.key}: {_spelled(change.before)} -> {_spelled(change.after)}"
    if isinstance(order, Constrain) and change.after is not None:
        missing = sum(order.metric not in t.values for t in now.trials if t.state is TrialState.COMPLETE)
        if missing:
            answer += f"; {missing} complete trials did not report {order.metric} and no longer count as usable"
    steering = None
    if isinstance(order, Bounds) and order.name in now.steering.pins:
        pins = dict(now.steering.pins)
        if spec.space.parameters[order.name].refuse(pins[order.name]):
            del pins[order.name]
            steering = replace(now.steering, pins=pins)
            answer += f"; {order.name} was pinned outside of that, and is free again"
    return CommandDecision(answer=answer, change=change, spec=spec, steering=steering)


def _known(number: int, now: RunState) -> Trial:
    if number < len(now.trials):
        return now.trials[number]
    last = f"the last is {len(now.trials) - 1}" if now.trials else "there is none yet"
    raise ToolRefused(f"there is no trial {number}; {last}")


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return render_params({k: v for k, v in value.items() if k not in ("metric", "type", "help", "when")})
    return render_parameter(value) if isinstance(value, str | int | float | None) else str(value)
