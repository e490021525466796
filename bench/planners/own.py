"""Every sampler that Tunesmith knows by name, driven by the public class `Tuner`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.tuner import OpenTrial, Tuner
from tunesmith.bench.task import Task
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure


class TunerPlanner:
    """A `Tuner` in memory; `options` are its further arguments."""

    def __init__(self, sampler: str | Sampler, task: Task, seed: int, **options: Any) -> None:
        self._tuner = Tuner(
            task.space,
            metric=task.objective.metric,
            direction=task.objective.direction.value,
            planner=sampler,
            seed=seed,
            description=task.description,
            **options,
        )
        self._open: OpenTrial | None = None

    def ask(self) -> Mapping[str, Value]:
        """Return the next configuration."""
        self._open = self._tuner.ask()
        return self._open.params

    def tell(self, value: float) -> None:
        """Finish the trial with its value."""
        self._tuner.tell(self._open_trial(), value)

    def fail(self, failure: Failure) -> None:
        """Finish the trial as failed."""
        self._tuner.fail(self._open_trial(), failure.kind.value, failure.reason)

    def _open_trial(self) -> OpenTrial:
        assert self._open is not None, "tell or fail before ask"  # noqa: S101  # the runner's order
        return self._open


MAKERS = {name: partial(TunerPlanner, name) for name in SAMPLERS}
