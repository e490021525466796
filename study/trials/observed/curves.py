"""Learning curves within limits: observations packed in a few bytes each, and long curves with ever fewer points."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from tunesmith.study.trials.observed.observation import Observation

FULL_POINTS = 5_000
"""Number of a metric's first values that are all kept; after that, half as many of each doubling of their number."""


class PackedObservations(Sequence[Observation]):
    """Observations in order, in 28 bytes each instead of 200: a study may have millions.

    Args:
        observations: the first ones.
    """

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        self._names: dict[str, int] = {}
        self._metrics = array("I")
        self._numbers = array("d")
        self.extend(observations)

    def extend(self, observations: Iterable[Observation]) -> None:
        """Add observations at the end."""
        for o in observations:
            self.append(o.metric, o.step, o.value, o.at)

    def append(self, metric: str, step: float, value: float, at: float) -> None:
        """Add one observation at the end."""
        self._metrics.append(self._names.setdefault(metric, len(self._names)))
        self._numbers.extend((step, value, at))

    def __len__(self) -> int:
        return len(self._metrics)

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Observation]: ...
    def __getitem__(self, index: int | slice) -> Observation | list[Observation]:
        names = list(self._names)
        if isinstance(index, slice):
            return [self._at(position, names) for position in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index], names)

    def __iter__(self) -> Iterator[Observation]:
        names = list(self._names)
        return (self._at(position, names) for position in range(len(self)))

    def _at(self, position: int, names: Sequence[str]) -> Observation:
        step, value, at = self._numbers[3 * position : 3 * position + 3]
        return Observation(names[self._metrics[position]], step, value, at)


class CurveThinning:
    """Chooses the points of one trial's curves that are kept: all at first, then every second, every fourth, ...

    Of n values of a metric about FULL_POINTS / 2 * log2(n) stay, so that no trial's curve outgrows the others. What is
    left out depends on the number of values only: equal curves stay equal. Values that are not finite all stay.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._left_out: dict[str, Observation] = {}

    def kept(self, observations: Iterable[Observation]) -> list[Observation]:
        """Return those of the next observations that are kept."""
        return [o for o in observations if self._keeps(o)]

    def last_points(self) -> list[Observation]:
        """Return the last observation of each metric for which it was left out: the end of a curve."""
        last, self._left_out = list(self._left_out.values()), {}
        return last

    def _keeps(self, observation: Observation) -> bool:
        count = self._counts.get(observation.metric, 0)
        self._counts[observation.metric] = count + 1
        stride = 1 << max((2 * count // FULL_POINTS).bit_length() - 1, 0)
        if count % stride == 0 or not math.isfinite(observation.value):
            self._left_out.pop(observation.metric, None)
            return True
        self._left_out[observation.metric] = observation
        return False
