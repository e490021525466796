"""The learning curves of a study's trials: the values of the first objective while each trial trained, by trial number.

Shown to the LLM and compared between trials. Reads no database, so background threads may use it.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tunesmith.prompts.history_summary import downsample
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.view import StudyView


class LearningCurves:
    """Curves of one metric, kept up to date by the loop.

    Args:
        metric: the first objective's metric.

    Attributes:
        values: the metric's values in the order of reporting, by trial number.
        series: the values of every metric, by trial number and metric.
        last_steps: the largest step that a trial reported for any metric, by trial number.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self.values: dict[int, array[float]] = defaultdict(_no_values)
        self.series: dict[int, dict[str, array[float]]] = defaultdict(dict)
        self._steps: dict[int, dict[str, array[float]]] = defaultdict(dict)
        self.last_steps: dict[int, float] = {}

    def load(self, curves: Mapping[int, Sequence[Observation]]) -> None:
        """Take over the observations of earlier runs, by trial number."""
        for number, observations in curves.items():
            self.values[number] = array("d", self._values_of(observations))
            self._note_series(number, observations)

    def add(self, number: int, observations: Sequence[Observation]) -> None:
        """Append what a running trial reported."""
        self.values[number].extend(self._values_of(observations))
        self._note_series(number, observations)

    def drop(self, number: int) -> None:
        """Forget the curve of a trial that runs again from its beginning."""
        self.values.pop(number, None)
        self.series.pop(number, None)
        self._steps.pop(number, None)
        self.last_steps.pop(number, None)

    def downsampled(self, view: StudyView) -> dict[int, list[float]]:  # noqa: ARG002  # every curve is returned
        """Return every curve as a few numbers, by trial number."""
        return {number: downsample(list(values)) for number, values in list(self.values.items())}

    def observations(self, number: int) -> list[Observation]:
        """Return every value that a trial reported, metric by metric."""
        steps = self._steps.get(number, {})
        return [
            Observation(metric, step, value, 0.0)
            for metric, values in list(self.series.get(number, {}).items())
            for step, value in zip(list(steps[metric]), list(values), strict=False)
        ]

    def _note_series(self, number: int, observations: Sequence[Observation]) -> None:
        for observation in observations:
            self._steps[number].setdefault(observation.metric, _no_values()).append(observation.step)
            self.series[number].setdefault(observation.metric, _no_values()).append(observation.value)
        if observations:
            reached = max(observation.step for observation in observations)
            self.last_steps[number] = max(reached, self.last_steps.get(number, reached))

    def _values_of(self, observations: Sequence[Observation]) -> Iterator[float]:
        return (observation.value for observation in observations if observation.metric == self._metric)


def _no_values() -> array[float]:
    return array("d")
