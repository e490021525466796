"""Brings a job's output to the thread that reads it, and what that finds to the loop: a bounded part per turn."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.evaluator.executors.base import Job
from tunesmith.evaluator.output.output_line import MAX_LINES
from tunesmith.evaluator.readers.metric_collector import MetricCollector
from tunesmith.evaluator.readers.metric_reading import MetricReading, ObservationQueue
from tunesmith.study.trials.observed.observation import Observation

READING_WAIT_S = 0.01
"""Longest time that a turn of the loop waits for the reading thread."""


class JobReading:
    """The reading of one job's output.

    Args:
        job: the running command.
        metrics: what is read; it puts observations into `observations`.
        observations: what was read and not yet passed on.
        on_observation: called from the loop's thread with each observation.
    """

    def __init__(
        self,
        job: Job,
        metrics: MetricCollector,
        observations: ObservationQueue,
        on_observation: Callable[[Observation], None],
    ) -> None:
        self._job = job
        self._observations = observations
        self._on_observation = on_observation
        self._thread = MetricReading(metrics)
        self._skipped = 0
        self._is_drained = False

    @property
    def problem(self) -> str:
        """The fault that ended the reading early; "" for none."""
        return self._thread.problem

    @property
    def lines_left_out(self) -> int:
        """Number of lines with metrics that were not read."""
        return self._skipped + self._job.lines_left_out

    def advance(self, *, is_hurried: bool) -> None:
        """Hand over new lines and pass on new observations; never waits.

        Args:
            is_hurried: whether the command was ended for a limit: its slot counts more than a flood of its lines.
        """
        self._is_drained = False
        if is_hurried:
            self._skip_lines()
        if self._thread.has_room:
            lines = self._job.lines()
            self._thread.put(lines)
            self._is_drained = len(lines) < MAX_LINES
        for observation in self._observations.take():
            self._on_observation(observation)

    def is_over(self, *, is_hurried: bool) -> bool:
        """Return whether the output of a job that has ended was read to its end and passed on; called after `advance`.

        Everything that was written counts; a flood takes several turns.
        """
        if not self._is_drained:
            return False
        self._thread.finish(is_hurried=is_hurried)
        # Most have nothing left, and the next turn of the loop may be 50 ms away.
        return self._thread.is_done(READING_WAIT_S) and not len(self._observations)

    def _skip_lines(self) -> None:
        while not self._thread.has_room:
            lines = len(self._job.lines())
            self._skipped += lines
            if lines < MAX_LINES:
                return
