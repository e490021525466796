"""The places of a run: what runs in each, what of it is not written yet, and who may share a GPU with whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.agent.loop.gpu_packing import GpuJob, expected_gib, fits
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import FailureKind, Outcome, Trial


@dataclass(slots=True)
class PoolSlot:
    """A slot with what runs in it and the observations that are not written yet.

    Attributes:
        first: a result too good to be true, of a trial that runs again on another seed.
        expected_gib: the GPU memory that its trial is expected to need, None when that is not known.
        was_shared: whether anything else ran on its GPU at any time since the trial began.
    """

    slot: Slot
    evaluation: Evaluation | None = None
    first: Outcome | None = None
    expected_gib: float | None = None
    was_shared: bool = False
    unwritten: list[Observation] = field(default_factory=list)

    @property
    def trial(self) -> Trial | None:
        """What runs here."""
        return self.evaluation.trial if self.evaluation else None

    def clear(self) -> None:
        """Take it that nothing runs here any more, and that all of it is written."""
        self.evaluation, self.first, self.unwritten = None, None, []


class SlotPool:
    """The places of one run.

    Args:
        slots: one for each place.
        spec: the study.
        memory_gib: how much memory each GPU has, by id; None for unknown.
        trials: every trial of the study so far.
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
        self._all = [PoolSlot(slot) for slot in slots]
        self._wanted = len(slots)
        self._memory_gib = memory_gib
        self._trials = trials
        self._endings = 0
        self._expected: tuple[tuple[int, int], float | None] = ((-1, 0), None)

    def __iter__(self) -> Iterator[PoolSlot]:
        return iter(self._all)

    @property
    def wanted(self) -> int:
        """How many trials may run at once; just after fewer were asked for, more still do."""
        return self._wanted

    def running(self) -> list[PoolSlot]:
        """Return the places in which a trial runs."""
        return [place for place in self._all if place.evaluation is not None]

    def free(self) -> list[PoolSlot]:
        """Return the places that a trial may take."""
        return [place for place in self._all[: self._wanted] if place.evaluation is None]

    def take_over(self, slots: Sequence[Slot], spec: StudySpec) -> None:
        """Go on with other slots; running trials stay where they are."""
        self.spec, self._wanted = spec, len(slots)
        for place, slot in zip(self._all, slots, strict=False):
            place.slot = slot
        self._all += [PoolSlot(slot) for slot in slots[len(self._all) :]]

    def roomy(self, trial: Trial) -> PoolSlot | None:
        """Return the first free place that the trial may take, None when its GPU would be too full."""
        free, run = self.free(), self.spec.run
        if not self._shares_gpus:
            return free[0] if free else None
        running = [
            GpuJob(slot=place.slot, expected_gib=place.expected_gib, is_alone=place.trial.attempt > 1)
            for place in self._all
            if place.trial is not None
        ]
        expected = self._expected_gib(trial) if run.packs else None
        for place in free:
            new = GpuJob(slot=place.slot, expected_gib=expected, is_alone=trial.attempt > 1)
            if fits(new, running, self._memory_gib if run.packs else None):
                place.expected_gib = expected
                return place
        return None

    def note_sharing(self, place: PoolSlot) -> None:
        """Note for a trial that begins, and for those on its GPU, that they are not alone there."""
        beside = [p for p in self.running() if p is not place and set(p.slot.gpus) & set(place.slot.gpus)]
        for other in beside:
            other.was_shared = True
        # A cluster puts others on the same GPU without telling.
        place.was_shared = bool(beside) or self._shares_gpus and not place.slot.gpus

    def ended(self) -> None:
        """Take it that a trial ended: what the others will need is asked anew."""
        self._endings += 1

    def unwritten(self) -> list[tuple[Trial, list[Observation]]]:
        """Return what each trial observed since the last call; it is taken as written."""
        observed = [(place.trial, list(place.unwritten)) for place in self._all if place.trial and place.unwritten]
        for place in self._all:
            place.unwritten.clear()
        return observed

    def _expected_gib(self, trial: Trial) -> float | None:
        """Return the GPU memory that a trial will need; asked anew whenever a trial ended in between."""
        key = (trial.number, self._endings)
        if key != self._expected[0]:
            self._expected = key, expected_gib(trial, self._trials(), self.spec.space)
        return self._expected[1]

    @property
    def _shares_gpus(self) -> bool:
        return self.spec.run.packs or 0 < self.spec.run.gpu_count < 1


def retry_reason(place: PoolSlot, outcome: Outcome, *, fits: bool) -> str:
    """Return why a trial that failed gets a second attempt, "" when its failure stands.

    Args:
        place: where it ran.
        outcome: what came of it.
        fits: whether the disk has room for another trial.
    """
    failure = outcome.failure
    if failure is None or place.trial is None or place.trial.attempt > 1:
        return ""
    if not fits:
        return f"it failed while the disk was full ({failure.reason})"
    if failure.kind is FailureKind.LOST:
        return failure.reason
    if failure.kind is FailureKind.OOM and place.was_shared:
        return "it ran out of memory beside another trial on its GPU; it now has the GPU for itself"
    return ""
