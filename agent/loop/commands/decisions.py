"""Decides what a command changes in a running study and how it is answered. Pure: service.py acts on the decision.

A command with a mistake is refused as a whole; the answer tells its sender why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.agent.loop.commands.retries import RetryPlan, plan_forget, plan_retry, plan_take_up
from tunesmith.study.commands import (
    Bounds,
    Charge,
    Command,
    Confirm,
    Constrain,
    EditCode,
    End,
    FitConstants,
    Forbid,
    Forget,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    Retry,
    Setting,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.config.budget import ENDING_LIMITS
from tunesmith.study.config.changes import SpecChange, Steering, requested_change, with_change
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, ProposalError, SpaceExhausted, SpecError, ToolRefused
from tunesmith.study.formatting import render_parameter
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import ConditionError, Value, same
from tunesmith.study.space.values import own_value
from tunesmith.study.trials.observed.reported import unreported_reason
from tunesmith.study.trials.replicates.seeds import choosing_seed, is_fresh, tuning_seed
from tunesmith.study.trials.results import is_present
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.variant import Variant, short_id
from tunesmith.tools.analysis.rule_effect import rule_effect
from tunesmith.tools.control.earlier_commands import changed_value_text
from tunesmith.tools.variants.user_edit import (
    NO_EDITS,
    EditContext,
    build_user_edit,
    chosen_constants,
    find_known_variant,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The state of a run that decisions depend on.

    Attributes:
        spec: the study.
        trials: every trial, by number.
        running: the numbers of the running trials.
        steering: the pins and vetoes that hold now.
        paused: whether no trial may start.
        code: the versions of the code; None if it may not be edited.
        refuses_edits: why edited code cannot run here, "" if it can.
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
    """What a command changes, and its answer. A field that is None or empty changes nothing.

    Attributes:
        answer: the text for the sender.
        proposals: trials to queue.
        stop: number of the running trial to stop.
        withdraw: number of the waiting trial to remove.
        forget: numbers of trials that count nowhere from now on.
        take_up: numbers of forgotten trials that count again.
        paused: whether trials may start.
        interrupts: 1 ends the run once running trials are done, 2 ends it now.
        steering: the new pins and vetoes.
        change: the changed key of the study file.
        spec: the study with that change.
        version: edited code to run.
        params: values for the first trial of `version`, on top of the best configuration.
        charge: calls of a language model to count against the budget.
        fitted: the version whose `constants` become parameters.
    """

    answer: str
    proposals: tuple[Proposal, ...] = ()
    stop: int | None = None
    withdraw: int | None = None
    forget: tuple[int, ...] = ()
    take_up: tuple[int, ...] = ()
    paused: bool | None = None
    interrupts: int = 0
    steering: Steering | None = None
    change: SpecChange | None = None
    spec: StudySpec | None = None
    charge: Charge | None = None
    version: Variant | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    fitted: str | None = None
    constants: tuple[str, ...] = ()


def decide(command: Command, state: RunState) -> CommandDecision:  # noqa: C901  # one case per kind of command
    """Return what a command changes.

    Raises:
        ToolRefused: the command cannot be executed; the message says why and what is possible instead.
    """
    match command:
        case Queue():
            return _queue(command, state)
        case Confirm():
            return _confirm(command, state)
        case Withdraw() | StopTrial():
            return _end_trial(command, state)
        case Forget():
            plan = plan_take_up if command.again else plan_forget
            return _planned(plan(command.numbers, state.trials))
        case Retry():
            return _planned(plan_retry(command.numbers, state.trials, state.spec.space))
        case Pause():
            running = f"; {len(state.running)} running continue" if state.running else ""
            return CommandDecision(answer=f"paused: no more trials start until resume{running}", paused=True)
        case Resume():
            return CommandDecision(
                answer="trials start again" if state.paused else "the study was not paused", paused=False
            )
        case End(now=at_once):
            how = "running trials are ended and run again later" if at_once else "running trials finish first"
            return CommandDecision(answer=f"the run ends: {how}", interrupts=2 if at_once else 1)
        case Charge():
            return CommandDecision(answer=f"counted for {command.purpose}", charge=command)
        case EditCode():
            return _edit(command, state)
        case FitConstants():
            return _fit(command, state)
        case Pin():
            return _pin(command, state)
        case Veto():
            return _veto(command, state)
        case Forbid():
            return _forbid(command, state)
        case Limit() | Parallel() | Setting() | Bounds() | Constrain():
            return _change(command, state)


def _planned(plan: RetryPlan) -> CommandDecision:
    return CommandDecision(answer=plan.answer, proposals=plan.proposals, forget=plan.forget, take_up=plan.take_up)


def _edit(command: EditCode, state: RunState) -> CommandDecision:
    if state.code is None:
        raise ToolRefused(state.refuses_edits or NO_EDITS)
    version = replace(build_user_edit(command, state.code, state.spec), created_at=time.time())
    lines = [f"{short_id(version.id)} runs next, with the best configuration so far", *version.warnings]
    return CommandDecision(answer="; ".join(lines), version=version, params=command.params)


def _fit(command: FitConstants, state: RunState) -> CommandDecision:
    if state.code is None:
        raise ToolRefused(state.refuses_edits or NO_EDITS)
    known = state.code.known
    version = find_known_variant(command.version, known)
    chosen = chosen_constants(version, known, state.spec.space.names, command.names)
    answer = f"{short_id(version.id)} is tuned with {'; '.join(constant.text for constant in chosen)}"
    return CommandDecision(answer=answer, fitted=version.id, constants=tuple(constant.name for constant in chosen))


def event_detail(name: str, by: str, command: object, answer: str, decision: CommandDecision | None) -> dict[str, Any]:
    """Return what the history keeps of a command."""
    detail: dict[str, Any] = {"name": name, "by": by, "order": command, "answer": answer, "done": decision is not None}
    if decision is not None and decision.change is not None:
        change = decision.change
        detail["change"] = {"key": change.key, "before": change.before, "after": change.after}
    if decision is not None and decision.steering is not None:
        detail["steering"] = {"pins": dict(decision.steering.pins), "vetoes": list(decision.steering.vetoes)}
    return detail


def _queue(command: Queue, state: RunState) -> CommandDecision:
    try:
        params = state.spec.space.parse(command.params)
    except ProposalError as error:
        raise ToolRefused(str(error)) from None
    if veto := state.steering.veto_of(params):
        raise ToolRefused(f"not queued: {veto}; remove that veto first")
    number = len(state.trials)
    fidelity = state.spec.fidelity.max if state.spec.fidelity else None
    seed = tuning_seed(state.spec.study.seed, number)
    why = command.why or "requested by a person"
    proposal = Proposal(params=params, source=Source.USER, seed=seed, rationale=why, fidelity=fidelity)
    return CommandDecision(answer=f"queued as trial {number}", proposals=(proposal,))


def _confirm(command: Confirm, state: RunState) -> CommandDecision:
    trial = _find_trial(command.number, state)
    if trial.state is not TrialState.COMPLETE:
        raise ToolRefused(f"trial {command.number} is {trial.state.value}; only a complete one can be confirmed")
    original = trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of
    if not is_present(trial, state.trials, state.spec.space):
        raise ToolRefused(
            f"trial {command.number} lies outside the present space, so the command cannot repeat it; confirm another "
            "one, or queue its values that still exist"
        )
    if veto := state.steering.veto_of(trial.params):
        raise ToolRefused(f"trial {command.number} does not run again: {veto}; remove that veto first")
    used = {t.proposal.seed for t in state.trials if t.proposal.replicate_of == original and is_fresh(t.proposal.seed)}
    # The same seeds for every configuration, in the same command, so that what is confirmed can be compared.
    pool = (choosing_seed(state.spec.study.seed, index) for index in range(command.seeds + len(used) + 1000))
    seeds = [seed for seed in dict.fromkeys(pool) if seed not in used][: command.seeds]
    replicate = replace(
        state.trials[original].proposal,
        source=Source.CONFIRM,
        rationale=command.why or f"trial {original} on another seed",
        prediction=None,
        rival=None,
        fallback_reason="",
        considered=(),
        replicate_of=original,
        parent=None,
    )
    instances = state.spec.instance_set
    proposals = tuple(
        replace(replicate, seed=seed, instance="" if instances is None else instances.fresh(len(used) + index))
        for index, seed in enumerate(seeds)
    )
    first = len(state.trials)
    numbers = f"{first}" if len(seeds) == 1 else f"{first} to {first + len(seeds) - 1}"
    return CommandDecision(answer=f"trial {original} runs again on other seeds, as {numbers}", proposals=proposals)


def _end_trial(command: Withdraw | StopTrial, state: RunState) -> CommandDecision:
    trial = _find_trial(command.number, state)
    if isinstance(command, StopTrial):
        if command.number not in state.running:
            listed = ", ".join(str(n) for n in sorted(state.running)) or "none"
            raise ToolRefused(f"trial {command.number} is {trial.state.value}, not running; running: {listed}")
        return CommandDecision(
            answer=f"trial {command.number} is being stopped; its values so far are kept", stop=command.number
        )
    if trial.state is not TrialState.WAITING:
        raise ToolRefused(f"trial {command.number} is {trial.state.value}; only a waiting trial can be withdrawn")
    return CommandDecision(answer=f"trial {command.number} will not run", withdraw=command.number)


def _pin(command: Pin, state: RunState) -> CommandDecision:
    parameters = state.spec.space.parameters
    if command.name in state.spec.space.mixtures:
        shares = ", ".join(state.spec.space.shares_of(command.name))
        raise ToolRefused(f"{command.name} is a mixture; pin one of its shares: {shares}")
    if command.name not in parameters:
        raise ToolRefused(f"there is no parameter {command.name!r}{did_you_mean(command.name, parameters)}")
    pins = {name: value for name, value in state.steering.pins.items() if name != command.name}
    if command.value is None:
        outcome = "is no longer pinned" if command.name in state.steering.pins else "was not pinned"
        return CommandDecision(answer=f"{command.name} {outcome}", steering=replace(state.steering, pins=pins))
    value = own_value(parameters[command.name], command.value)
    refused = parameters[command.name].invalid_reason(value)
    if refused:
        raise ToolRefused(f"{command.name}: {refused}")
    pins[command.name] = value
    fixed = f"{command.name} cannot be fixed at {render_parameter(value)}"
    try:
        clipped = state.spec.space.clip(pins, keep=pins)
    except SpaceExhausted as nothing:
        raise ToolRefused(f"{fixed}: {nothing}") from None
    if moved := [name for name in pins if name in clipped and not same(clipped[name], pins[name])]:
        others = ", ".join(f"{name} = {render_parameter(pins[name])}" for name in pins if name != command.name)
        raise ToolRefused(f"{fixed}: the shares of {moved[0].rpartition('.')[0]} would not sum to 1 with {others}")
    steering = replace(state.steering, pins=pins)
    return CommandDecision(
        answer=f"{command.name} is fixed at {render_parameter(value)} in all later trials", steering=steering
    )


def _veto(command: Veto, state: RunState) -> CommandDecision:
    text = " ".join(command.condition.split())
    rest = tuple(veto for veto in state.steering.vetoes if veto != text)
    if command.lift:
        if text not in state.steering.vetoes:
            listed = "; ".join(state.steering.vetoes) or "none"
            raise ToolRefused(f"there is no veto {text!r}; current vetoes: {listed}")
        return CommandDecision(answer=f"no longer vetoed: {text}", steering=replace(state.steering, vetoes=rest))
    try:
        parsed = conditions.parse(text)
    except ConditionError as error:
        raise ToolRefused(str(error)) from None
    names = [c.name for c in conditions.comparisons(parsed)]
    if derived := [name for name in names if name in state.spec.space.relations.derived]:
        raise ToolRefused(f"{derived[0]} is a derived value, which a veto cannot compare; use forbid instead")
    unknown = [Mistake(n, f"is not a parameter{did_you_mean(n, state.spec.space.names)}") for n in names]
    unknown = [m for m in unknown if m.key not in state.spec.space.parameters]
    if unknown:
        raise ToolRefused("; ".join(f"{m.key} {m.message}" for m in unknown))
    matching = [t.number for t in state.trials if not t.state.is_finished and parsed.holds(t.params)]
    listed = ", ".join(f"#{number}" for number in matching)
    also = f"; it matches {listed}; stop them with stop_trial or withdraw" if matching else ""
    steering = replace(state.steering, vetoes=(*rest, text))
    return CommandDecision(answer=f"vetoed: {text}; no later proposal will match it{also}", steering=steering)


def _change(command: Limit | Parallel | Setting | Bounds | Constrain, state: RunState) -> CommandDecision:
    change = requested_change(state.spec.document, command)
    if isinstance(command, Constrain) and change.after is not None:
        _require_reported(command.metric, state.trials)
    if isinstance(command, Constrain) and change.before is None and change.after is None:
        bounded = ", ".join(c.metric for c in state.spec.metric_constraints) or "none"
        raise ToolRefused(f"{command.metric} has no bound; bounded metrics: {bounded}")
    if change.before == change.after:
        raise ToolRefused(f"{change.key} is already {changed_value_text(change.after)}")
    try:
        spec = parse_spec(with_change(state.spec.document, change), where="the changed study")
    except SpecError as error:
        raise ToolRefused(str(error)) from None
    if not spec.budget.ends:
        raise ToolRefused(f"nothing would end the study; keep one of {', '.join(ENDING_LIMITS)}")
    answer = f"{change.key}: {changed_value_text(change.before)} -> {changed_value_text(change.after)}"
    if isinstance(command, Constrain) and change.after is not None:
        missing = sum(command.metric not in t.values for t in state.trials if t.state is TrialState.COMPLETE)
        if missing:
            answer += f"; {missing} complete trials did not report {command.metric} and no longer count as usable"
    steering = None
    if isinstance(command, Bounds) and command.name in state.steering.pins:
        pins = dict(state.steering.pins)
        if spec.space.parameters[command.name].invalid_reason(pins[command.name]):
            del pins[command.name]
            steering = replace(state.steering, pins=pins)
            answer += f"; {command.name} was pinned outside the new range and is no longer pinned"
    return CommandDecision(answer=answer, change=change, spec=spec, steering=steering)


def _forbid(command: Forbid, state: RunState) -> CommandDecision:
    if command.lift:
        change = requested_change(state.spec.document, command)
        spec = parse_spec(with_change(state.spec.document, change), where="the changed study")
        return CommandDecision(answer=f"no longer forbidden: {command.rule}", change=change, spec=spec)
    found = rule_effect(state.spec, command.rule, state.trials)
    answer = f"forbidden: {command.rule}; no later trial breaks it, and {found.left:.0%} of the space is left"
    if found.unfinished:
        listed = ", ".join(f"#{number}" for number in found.unfinished)
        answer += f"; {listed} breaks it and has not ended: stop it with stop_trial or withdraw"
    return CommandDecision(answer=answer, change=found.change, spec=found.spec)


def _require_reported(metric: str, trials: Sequence[Trial]) -> None:
    if reason := unreported_reason(metric, trials):
        raise ToolRefused(reason)


def _find_trial(number: int, state: RunState) -> Trial:
    if number < len(state.trials):
        return state.trials[number]
    last = f"the last is {len(state.trials) - 1}" if state.trials else "no trial exists yet"
    raise ToolRefused(f"there is no trial {number}; {last}")
