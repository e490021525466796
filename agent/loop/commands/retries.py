"""Which trials a study forgets, and which failed ones run again. Pure: trials in, a plan or a refusal out."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.numbers import numbers_text
from tunesmith.study.trials.results import present_trials
from tunesmith.study.trials.trial import Proposal, Trial

UNDO = "`/forget N undo` in chat or `tunesmith forget N --undo` takes them up again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """What a study does about failed trials.

    Attributes:
        answer: the text for who asked.
        forget: numbers of the trials that count nowhere from now on.
        take_up: numbers of forgotten trials that count again.
        proposals: trials that run again.
    """

    answer: str
    forget: tuple[int, ...] = ()
    take_up: tuple[int, ...] = ()
    proposals: tuple[Proposal, ...] = ()


def plan_forget(numbers: Sequence[int], trials: Sequence[Trial]) -> RetryPlan:
    """Return the plan to forget finished trials.

    Raises:
        ToolRefused: a number is unknown, or its trial has not finished; nothing is forgotten.
    """
    _refuse_unknown(numbers, trials)
    unfinished = [n for n in numbers if not trials[n].state.is_finished]
    if unfinished:
        listed = numbers_text(unfinished)
        raise ToolRefused(f"{listed} not finished; stop running trials with stop_trial and waiting ones with withdraw")
    new = tuple(n for n in dict.fromkeys(numbers) if not trials[n].forgotten)
    if not new:
        raise ToolRefused("these trials are forgotten already")
    answer = f"{numbers_text(new)} forgotten: no trial learns from them and they count nowhere; {UNDO}"
    return RetryPlan(answer=answer, forget=new)


def plan_take_up(numbers: Sequence[int], trials: Sequence[Trial]) -> RetryPlan:
    """Return the plan to take up forgotten trials again.

    Raises:
        ToolRefused: a number is unknown, or none of the trials is forgotten.
    """
    _refuse_unknown(numbers, trials)
    known = tuple(n for n in dict.fromkeys(numbers) if trials[n].forgotten)
    if not known:
        listed = numbers_text([t.number for t in trials if t.forgotten])
        raise ToolRefused(f"none of these trials is forgotten; forgotten: {listed or 'none'}")
    return RetryPlan(answer=f"{numbers_text(known)} taken up again", take_up=known)


def plan_retry(numbers: Sequence[int], trials: Sequence[Trial], space: SearchSpace) -> RetryPlan:
    """Return the plan to run failed trials again, with the same configurations and seeds, and to forget the failures.

    Equal trials run once. A configuration that has meanwhile succeeded or that waits does not run again.

    Args:
        numbers: the failed trials; none mean every failed trial that is not forgotten.
        trials: every trial, by number.
        space: the present space.

    Raises:
        ToolRefused: a trial is unknown or did not fail, or none did.
    """
    _refuse_unknown(numbers, trials)
    asked = [trials[n] for n in dict.fromkeys(numbers)] or [t for t in trials if _failed(t) and not t.forgotten]
    others = [t.number for t in asked if not _failed(t)]
    if others:
        raise ToolRefused(f"{numbers_text(others)} did not fail; `confirm` runs a complete trial again")
    if not asked:
        raise ToolRefused("no trial has failed, so there is nothing to retry")
    taken = {_key(t) for t in trials if t.counts and not _failed(t)}
    new = {_key(t): t for t in reversed(asked) if _key(t) not in taken and _fits(t, space)}
    proposals = tuple(_again(t) for t in sorted(new.values(), key=lambda t: t.number))
    forget = tuple(t.number for t in asked if not t.forgotten)
    return RetryPlan(answer=_retry_text(asked, proposals, first=len(trials)), forget=forget, proposals=proposals)


def _retry_text(asked: Collection[Trial], proposals: Sequence[Proposal], *, first: int) -> str:
    forgotten = f"the failures of {numbers_text([t.number for t in asked])} are forgotten"
    if not proposals:
        return f"nothing runs again, since the same configurations work or wait, or lie outside the space; {forgotten}"
    queued = numbers_text(range(first, first + len(proposals)))
    return f"queued again as {queued}; {forgotten}"


def _again(trial: Trial) -> Proposal:
    return replace(trial.proposal, rationale=f"trial {trial.number} again, which failed")


def _fits(trial: Trial, space: SearchSpace) -> bool:
    as_own = replace(trial, forgotten=False, outcome=None, proposal=replace(trial.proposal, replicate_of=None))
    return bool(present_trials([as_own], space))


def _failed(trial: Trial) -> bool:
    """Return whether a trial itself failed; the first trial of a configuration that failed elsewhere did not."""
    return trial.has_failed


def _key(trial: Trial) -> tuple[object, ...]:
    proposal = trial.proposal
    params = json.dumps(dict(trial.params), sort_keys=True)
    # A repetition is one because of its seed; other trials of one configuration are the same for any seed.
    seed = proposal.seed if trial.is_replicate else None
    return (params, proposal.code, proposal.fidelity, proposal.replicate_of, seed, proposal.instance)


def _refuse_unknown(numbers: Sequence[int], trials: Sequence[Trial]) -> None:
    unknown = [n for n in numbers if n >= len(trials)]
    if unknown:
        last = f"the last is {len(trials) - 1}" if trials else "no trial exists yet"
        raise ToolRefused(f"there is no trial {unknown[0]}; {last}")
