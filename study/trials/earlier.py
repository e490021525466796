"""An earlier study as the present one sees it: what ran, as far as it fits the present space. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierStudy:
    """A study that the present one learns from.

    Attributes:
        name: as the study file names it.
        trials: every trial.
        scale: what was fixed in it and made its runs cheap, such as {"width": 128}; see [scale] in study.toml.
    """

    name: str
    trials: Sequence[Trial]
    scale: Mapping[str, float] = field(default_factory=dict)

    def trials_in(self, space: SearchSpace) -> Iterator[Trial]:
        """Give the trials whose configurations are valid in a space, as they read there, none of them a replicate."""
        for trial in self.trials:
            params = project_to_space(trial.params, space)
            if params is not None:
                yield replace(trial, proposal=replace(trial.proposal, params=params, replicate_of=None))


def project_to_space(params: Mapping[str, Value], space: SearchSpace) -> dict[str, Value] | None:
    """Return a configuration of another space in this one; None when a value lies outside of it.

    A parameter that it does not have takes its default, or its middle; one that is gone is left out.
    """
    known = {name: params.get(name, imputed_value(parameter)) for name, parameter in space.parameters.items()}
    fitting = {name: known[name] for name in space.active(known)}
    return fitting if space.contains(fitting) else None
