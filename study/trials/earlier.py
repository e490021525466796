"""An earlier study that the current one learns from, and its trials in the current search space. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierStudy:
    """A study that the current one learns from.

    Attributes:
        name: its name in the study file.
        trials: every trial.
        scale: what made its runs small and was fixed in it, such as {"width": 128}; see [scale] in study.toml.
    """

    name: str
    trials: Sequence[Trial]
    scale: Mapping[str, float] = field(default_factory=dict)

    def trials_in(self, space: SearchSpace) -> Iterator[Trial]:
        """Yield the trials that are valid in a space, with parameters of that space; none counts as a replicate.

        Runs on further instances are left out: the first trial of their configuration has the value of all.
        """
        for trial in self.trials:
            if trial.is_replicate and trial.proposal.instance:
                continue
            params = project_to_space(trial.params, space)
            if params is not None:
                yield replace(trial, proposal=replace(trial.proposal, params=params, replicate_of=None))


def project_to_space(params: Mapping[str, Value], space: SearchSpace) -> dict[str, Value] | None:
    """Return a configuration of another space in this one; None if a value is not valid here.

    A parameter that it does not have is imputed; one that this space does not have is left out. Of a mixture that it
    has in part, the other sources have no share.
    """
    own = space.own_values(params)
    for mixture in space.mixtures:
        names = space.shares_of(mixture)
        own |= dict.fromkeys((n for n in names if n not in own), 0.0) if any(n in own for n in names) else {}
    known = {name: own.get(name, imputed_value(parameter)) for name, parameter in space.parameters.items()}
    fitting = {name: known[name] for name in space.active(known)}
    return fitting if space.contains(fitting) else None
