"""The slot pool: free slots, slots on shared GPUs, changes of their number, and second attempts."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.agent.loop.slots.slot_pool import PoolSlot, SlotPool, retry_reason
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState


def trial(number: int = 0, *, attempt: int = 1) -> Trial:
    return Trial(number=number, proposal=proposal(), state=TrialState.RUNNING, attempt=attempt)


def occupy(slot: PoolSlot, running: Trial) -> None:
    slot.evaluation = cast(Evaluation, SimpleNamespace(trial=running))


def pool(count: int = 2, *, gpus: Sequence[str] = (), run: dict[str, Any] | None = None) -> SlotPool:
    slots = [Slot(index=index, gpus=(gpus[index],) if gpus else ()) for index in range(count)]
    return SlotPool(slots, make_spec(run=run or {}), memory_gib=dict.fromkeys(gpus, 24.0), trials=list)


def test_a_trial_takes_the_first_free_slot() -> None:
    slots = pool()
    first = slots.find_slot(trial(0))
    assert first is not None
    assert first.resources.index == 0
    occupy(first, trial(0))
    second = slots.find_slot(trial(1))
    assert second is not None
    assert second.resources.index == 1
    occupy(second, trial(1))
    assert slots.find_slot(trial(2)) is None
    first.clear()
    assert slots.find_slot(trial(2)) is first


def test_trials_share_a_gpu_by_fraction_but_a_second_attempt_waits_for_the_whole_gpu() -> None:
    slots = pool(2, gpus=("0", "0"), run={"gpus": 0.5})
    occupy(next(iter(slots)), trial(0))
    assert slots.find_slot(trial(1)) is not None
    assert slots.find_slot(trial(1, attempt=2)) is None


def test_packed_trials_wait_while_their_memory_is_unknown() -> None:
    slots = pool(2, gpus=("0", "0"), run={"gpus": "auto"})
    assert slots.find_slot(trial(0)) is not None
    occupy(next(iter(slots)), trial(0))
    assert slots.find_slot(trial(1)) is None


def test_sharing_is_noted_for_the_new_trial_and_for_its_neighbours() -> None:
    slots = pool(3, gpus=("0", "0", "1"), run={"gpus": 0.5})
    first, second, third = slots
    for index, slot in enumerate((first, second, third)):
        occupy(slot, trial(index))
        slots.note_sharing(slot)
    assert [slot.was_shared for slot in (first, second, third)] == [True, True, False]


def test_a_smaller_pool_keeps_running_trials_and_starts_no_more() -> None:
    slots = pool(3)
    for index, slot in enumerate(slots):
        occupy(slot, trial(index))
    slots.reconfigure([Slot(index=0)], make_spec())
    assert (slots.size, len(slots.running())) == (1, 3)
    for slot in list(slots)[1:]:
        slot.clear()
    assert slots.free() == []
    slots.reconfigure([Slot(index=index) for index in range(4)], make_spec())
    assert len(slots.free()) == 3


def test_unwritten_observations_are_handed_out_once() -> None:
    slots = pool()
    slot = next(iter(slots))
    occupy(slot, trial(5))
    slot.unwritten.append(Observation("loss", 1.0, 0.5, 0.0))
    ((observed, observations),) = slots.take_unwritten()
    assert (observed.number, [o.value for o in observations]) == (5, [0.5])
    assert slots.take_unwritten() == []


def outcome(kind: FailureKind) -> Outcome:
    return Outcome(state=TrialState.FAILED, failure=Failure(kind=kind, reason="because"))


@pytest.mark.parametrize(
    ("result", "attempt", "shared", "has_free_disk", "reason"),
    [
        (complete(0.1), 1, True, True, ""),
        (failed(FailureKind.CRASH), 1, True, True, ""),
        (outcome(FailureKind.LOST), 1, False, True, "because"),
        (outcome(FailureKind.LOST), 2, False, True, ""),
        (outcome(FailureKind.OOM), 1, False, True, ""),
        (outcome(FailureKind.OOM), 1, True, True, "shared with another trial"),
        (outcome(FailureKind.CRASH), 1, False, False, "while the disk was full (because)"),
    ],
    ids=["complete", "crash", "lost", "lost twice", "oom", "oom on a shared GPU", "full disk"],
)
def test_only_failures_that_the_trial_did_not_cause_get_a_second_attempt(
    result: Outcome, attempt: int, shared: bool, has_free_disk: bool, reason: str
) -> None:
    slot = PoolSlot(Slot(index=0), was_shared=shared)
    occupy(slot, trial(attempt=attempt))
    found = retry_reason(slot, result, has_free_disk=has_free_disk)
    assert reason in found
    assert bool(found) is bool(reason)
