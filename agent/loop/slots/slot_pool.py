"""The slots of a run: the trial in each, its observations that are not written yet, and how trials share GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.agent.loop.judging.judged_trial import JudgedTrial
from tunesmith.agent.loop.slots.gpu_packing import GpuJob, expected_gib, fits
from tunesmith.agent.loop.slots.timed_pair import TimedPair
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.curves import CurveThinning
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import FailureKind, Outcome, Trial


@dataclass(slots=True)
class PoolSlot:
    """A slot of the pool with what runs in it.

    Attributes:
        resources: the GPUs and cores of the slot.
        evaluation: the running trial, or its comparison with the code before it; None for a free slot.
        first_outcome: the suspicious first result of a trial that now runs again on another seed.
        expected_gib: GPU memory that the trial is expected to need, in GiB; None for unknown.
        was_shared: whether another trial ran on the same GPU at any time since this one started.
        reported: observations that the loop has not looked at yet.
        thinning: chooses which of them are kept.
        unwritten: those that are kept and not in the history yet.
    """

    resources: Slot
    evaluation: Evaluation | JudgedTrial | TimedPair | None = None
    first_outcome: Outcome | None = None
    expected_gib: float | None = None
    was_shared: bool = False
    reported: list[Observation] = field(default_factory=list)
    thinning: CurveThinning = field(default_factory=CurveThinning)
    unwritten: list[Observation] = field(default_factory=list)

    @property
    def trial(self) -> Trial | None:
        """The running trial."""
        return self.evaluation.trial if self.evaluation else None

    def clear(self) -> None:
        """Mark the slot as free and drop its observations, which must have been written."""
        self.evaluation, self.first_outcome = None, None
        self.forget_observations()

    def forget_observations(self) -> None:
        """Start without any observation, before a trial starts."""
        self.reported, self.unwritten, self.thinning = [], [], CurveThinning()

    def take_reported(self) -> list[Observation]:
        """Return the observations since the last call."""
        taken = list(self.reported)
        self.reported.clear()
        return taken


class SlotPool:
    """The slots of one run.

    Args:
        slots: the resources of each slot.
        spec: the study.
        memory_gib: memory of each GPU in GiB, by id; None for unknown.
        trials: returns every trial of the study so far.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        spec: StudySpec,
        *,
        memory_gib: Mapping[str, float | None],
        trials: Callable[[], Sequence[Trial]],
    ) -> None:
        self.spec = spec
        self._slots = [PoolSlot(slot) for slot in slots]
        self._size = len(slots)
        self._memory_gib = memory_gib
        self._trials = trials
        self._ended_trials = 0
        self._expected: tuple[tuple[int, int], float | None] = ((-1, 0), None)

    def __iter__(self) -> Iterator[PoolSlot]:
        return iter(self._slots)

    @property
    def size(self) -> int:
        """How many trials may run at once. Just after the pool was made smaller, more still run."""
        return self._size

    def running(self) -> list[PoolSlot]:
        """Return the slots in which a trial runs."""
        return [slot for slot in self._slots if slot.evaluation is not None]

    def free(self) -> list[PoolSlot]:
        """Return the slots that a trial may take."""
        return [slot for slot in self._slots[: self._size] if slot.evaluation is None]

    def reconfigure(self, slots: Sequence[Slot], spec: StudySpec) -> None:
        """Replace the slots' resources and their number; running trials stay where they are."""
        self.spec, self._size = spec, len(slots)
        for slot, resources in zip(self._slots, slots, strict=False):
            slot.resources = resources
        self._slots += [PoolSlot(resources) for resources in slots[len(self._slots) :]]

    def find_slot(self, trial: Trial) -> PoolSlot | None:
        """Return the first free slot whose GPUs have enough free memory for the trial; None if there is none."""
        free, run = self.free(), self.spec.run
        if not self._shares_gpus:
            return free[0] if free else None
        running = [
            GpuJob(slot=slot.resources, expected_gib=slot.expected_gib, is_exclusive=slot.trial.attempt > 1)
            for slot in self._slots
            if slot.trial is not None
        ]
        expected = self._expected_gib(trial) if run.packs else None
        for slot in free:
            new = GpuJob(slot=slot.resources, expected_gib=expected, is_exclusive=trial.attempt > 1)
            if fits(new, running, self._memory_gib if run.packs else None):
                slot.expected_gib = expected
                return slot
        return None

    def note_sharing(self, slot: PoolSlot) -> None:
        """Note, as a trial starts in `slot`, which trials now share a GPU."""
        gpus = set(slot.resources.gpus)
        others = [other for other in self.running() if other is not slot and set(other.resources.gpus) & gpus]
        for other in others:
            other.was_shared = True
        # A cluster may put other jobs on the same GPU without reporting it.
        slot.was_shared = bool(others) or self._shares_gpus and not gpus

    def trial_ended(self) -> None:
        """Note that a trial ended: expected memory is computed anew."""
        self._ended_trials += 1

    def take_unwritten(self) -> list[tuple[Trial, list[Observation]]]:
        """Return the observations of each trial since the last call, and count them as written."""
        observed = [(slot.trial, list(slot.unwritten)) for slot in self._slots if slot.trial and slot.unwritten]
        for slot in self._slots:
            slot.unwritten.clear()
        return observed

    def _expected_gib(self, trial: Trial) -> float | None:
        """Return the expected GPU memory of a trial, computed once until another trial ends."""
        key = (trial.number, self._ended_trials)
        if key != self._expected[0]:
            self._expected = key, expected_gib(trial, self._trials(), self.spec.space)
        return self._expected[1]

    @property
    def _shares_gpus(self) -> bool:
        return self.spec.run.packs or 0 < self.spec.run.gpu_count < 1


def retry_reason(slot: PoolSlot, outcome: Outcome, *, has_free_disk: bool) -> str:
    """Return why a failed trial gets a second attempt; "" when its outcome counts.

    Args:
        slot: where it ran.
        outcome: how it ended.
        has_free_disk: whether the disk has room for another trial.
    """
    failure = outcome.failure
    if failure is None or slot.trial is None or slot.trial.attempt > 1:
        return ""
    if not has_free_disk:
        return f"it failed while the disk was full ({failure.reason})"
    if failure.kind is FailureKind.LOST:
        return failure.reason
    if failure.kind is FailureKind.OOM and slot.was_shared:
        return "it ran out of memory on a GPU shared with another trial; it now has the GPU to itself"
    return ""
