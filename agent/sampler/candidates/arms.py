"""Which value of an algorithm choice, an arm, the next trial goes to.

Each arm runs once at its most plausible configuration. Then one model of the whole space proposes; while it finds
nothing better, every third trial goes to the arm with the best bound (tools/analysis/arms.py). Arms that a person
excluded by pins or vetoes get no trials. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.agent.sampler.priors import name_priors_of
from tunesmith.agent.sampler.surrogate.acquisition_optimizer import Region, box
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.parameters import Choice
from tunesmith.tools.analysis.arms import EVERY, arm_by_bound, records_of
from tunesmith.tools.surrogate.encoding import Array, Mask, SpaceEncoding
from tunesmith.tools.surrogate.gp_ensemble import Index

_OWN_MODEL_FROM = 4
"""Number of complete trials from which an arm is modelled by its own trials and parameters only."""

_ROWS = 256
"""Number of random configurations by which the parameters of an arm are found."""


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a space, and the arm of each trial.

    Attributes:
        name: of the algorithm choice.
        values: of that choice, in order.
        rows: (n,) arm of each row of the data.
        pending: (p,) arm of each pending trial.
        allowed: the arms that pins and vetoes allow, in order; at least one.
    """

    encoding: SpaceEncoding
    data: TrainingData
    name: str
    values: tuple[Value, ...]
    rows: Index
    pending: Index
    allowed: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of arms that have or may get trials."""
        return len({*self.rows.tolist(), *self.pending.tolist(), *self.allowed})

    @property
    def is_restricted(self) -> bool:
        """Whether some arm is excluded."""
        return len(self.allowed) < len(self.values)

    @property
    def only(self) -> int | None:
        """The arm that every trial goes to, since all others are excluded; None for several."""
        return self.allowed[0] if self.is_restricted and len(self.allowed) == 1 else None

    def first_untried(self) -> Array | None:
        """Return the (d,) most plausible configuration of the first arm that no trial had; None if each had one.

        An arm whose configuration a rule forbids waits for the model.
        """
        tried = {*self.rows.tolist(), *self.pending.tolist()}
        modes = (self._mode(arm) for arm in self.allowed if arm not in tried)
        return next((mode for mode in modes if int(self._arm_of(mode[None, :])[0]) not in tried), None)

    def by_bound(self, number: int) -> int | None:
        """Return the allowed arm with the best bound when the search has stalled, in every third trial; else None."""
        data = self.data
        if number % EVERY or data.values.shape[1] > 1:
            return None
        own = slice(data.own_count)
        values = np.where(data.feasible, data.values[:, 0], np.nan)
        records, stalled = records_of(self.rows[own].tolist(), values[own].tolist(), len(self.values))
        if not stalled or not np.isfinite(values[own]).any():
            return None
        records = [r.with_pending(int((self.pending == arm).sum())) for arm, r in enumerate(records)]
        return self.allowed[arm_by_bound([records[arm] for arm in self.allowed])]

    def has_own_model(self, arm: int) -> bool:
        """Tell whether an arm has enough trials to be modelled without the others."""
        return int((self.data.complete & (self.rows == arm)).sum()) >= _OWN_MODEL_FROM

    def data_of(self, arm: int) -> TrainingData:
        """Return the rows of an arm."""
        return self.data.of_rows(self.rows == arm, self.pending == arm)

    def features_of(self, arm: int) -> Index:
        """Return the features that can differ between trials of an arm: of its own and of unconditional parameters."""
        encoding = self.encoding
        units = np.random.default_rng(0).random((_ROWS, len(encoding)))
        units[:, self._column] = self._coordinate(arm)
        varies = encoding.active(encoding.project_to_valid(units)).any(axis=0) & ~self._is_arm
        is_derived = encoding.group >= len(encoding)
        return np.flatnonzero(is_derived | varies[np.where(is_derived, 0, encoding.group)])

    def within(self, units: Array) -> Array:
        """(k, d) -> those of allowed arms, in order; where there are none, the units moved to the first such arm."""
        kept = units[self._is_allowed(self._arm_of(units))]
        if len(kept) or not len(units):
            return kept
        moved = np.where(self._is_arm, self._coordinate(self.allowed[0]), units)
        return np.asarray(self.encoding.project_to_valid(moved))

    def random(self, rng: np.random.Generator) -> Array:
        """(d,) a random configuration of an allowed arm."""
        arm = self.allowed[int(rng.integers(len(self.allowed)))]
        point = np.where(self._is_arm, self._coordinate(arm), rng.random(len(self.encoding)))
        return np.asarray(self.encoding.project_to_valid(point[None, :])[0])

    def centre(self) -> Array:
        """(d,) the best configuration so far of an allowed arm; without any the default, or the first one's mode."""
        able = self.data.complete & self._is_allowed(self.rows)
        if not able.any():
            default = self.encoding.imputed
            is_allowed = int(self._arm_of(default[None, :])[0]) in self.allowed
            return default if is_allowed else self._mode(self.allowed[0])
        return np.asarray(self.data.units[np.nanargmin(np.where(able, self.data.values[:, 0], np.nan))])

    def _is_allowed(self, arms: Index) -> Mask:
        return np.isin(arms, self.allowed)

    def of_arm(self, units: Array, arm: int) -> Array:
        """(k, d) -> those of an arm, in order; its most plausible configuration where there are none."""
        found = units[self._arm_of(units) == arm]
        return found if len(found) else self._mode(arm)[None, :]

    def confined(self, region: Region, arm: int, good: Array) -> Region:
        """Return the region within an arm; all of the arm where only one of its configurations is known."""
        wide = region if len(good) > 1 else box(good[0], 0.5, self.encoding)
        frozen = self._is_arm if wide.frozen is None else self._is_arm | wide.frozen
        return replace(wide, centre=np.where(self._is_arm, self._coordinate(arm), wide.centre), frozen=frozen)

    @property
    def _column(self) -> int:
        return self.encoding.space.names.index(self.name)

    @property
    def _is_arm(self) -> Mask:
        return np.asarray(np.arange(len(self.encoding)) == self._column)

    def _coordinate(self, arm: int) -> float:
        return (arm + 0.5) / len(self.values)

    def _mode(self, arm: int) -> Array:
        """(d,) defaults where the user gave any, else what names say."""
        encoding = self.encoding
        point = np.where(self._is_arm, self._coordinate(arm), encoding.imputed)
        point = np.where(self._is_arm, self._coordinate(arm), name_priors_of(encoding).mode(point))
        return np.asarray(encoding.project_to_valid(point[None, :])[0])

    def _arm_of(self, units: Array) -> Index:
        return arms_at(units, self._column, len(self.values))


def arms_of(encoding: SpaceEncoding, data: TrainingData, excluded: Sequence[Value] = ()) -> Arms | None:
    """Return the arms of a space; None where it has no algorithm choice.

    Args:
        encoding: the space.
        data: its trials.
        excluded: values of the choice that no trial may have.
    """
    name = encoding.space.arms
    choice = encoding.space.parameters[name] if name is not None else None
    if name is None or not isinstance(choice, Choice):
        return None
    column, count = encoding.space.names.index(name), len(choice.choices)
    rows, pending = arms_at(data.units, column, count), arms_at(data.pending, column, count)
    left = [arm for arm, value in enumerate(choice.choices) if not any(same(value, other) for other in excluded)]
    return Arms(encoding, data, name, tuple(choice.choices), rows, pending, tuple(left or range(count)))


def arms_at(units: Array, column: int, count: int) -> Index:
    """(m, d) coordinates -> (m,) index of the choice's value in each row."""
    return np.minimum((units[:, column] * count).astype(np.intp), count - 1)
