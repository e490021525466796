"""What a suggestion is computed from: a view as arrays, its arms, and the prior from earlier studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tunesmith.agent.sampler.candidates.arms import Arms, arms_of
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.sampler.surrogate.transfer import TransferPrior, fit_transfer_prior
from tunesmith.agent.sampler.surrogate_model import FeatureMap, fit_earlier_models
from tunesmith.agent.sampler.training_data import TrainingData, build_training_data
from tunesmith.agent.sampler.warm_start.scale_transfer import earlier_data_at_scale
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding


@dataclass(frozen=True, slots=True)
class StudyInputs:
    """A view as arrays.

    Attributes:
        earlier_units: (r, d) coordinates of the complete trials of earlier studies.
        earlier_names: the study of each of them.
        rng: the source of randomness of this suggestion.
        arms: the values of an algorithm choice; None where there is none.
    """

    feature_map: FeatureMap
    data: TrainingData
    earlier_units: Array
    earlier_names: Sequence[str]
    transfer_prior: TransferPrior | None
    rng: np.random.Generator
    arms: Arms | None

    @property
    def encoding(self) -> SpaceEncoding:
        """The columns of the space."""
        return self.feature_map.encoding

    @property
    def arm_count(self) -> int:
        """The number of arms that have or may get trials; 1 without an algorithm choice."""
        return 1 if self.arms is None else self.arms.count

    def within(self, units: Array) -> Array:
        """(k, d) -> those of arms that pins and vetoes allow, in order; all without an algorithm choice."""
        return units if self.arms is None else self.arms.within(units)

    def of_arm(self, arms: Arms, arm: int) -> StudyInputs:
        """Return what an arm's own model is fitted to; the same inputs while it has too few trials for one."""
        if not arms.has_own_model(arm):
            return self
        feature_map = replace(self.feature_map, columns=arms.features_of(arm))
        return replace(self, feature_map=feature_map, data=arms.data_of(arm), transfer_prior=None)


def study_inputs(view: StudyView, settings: SamplerSettings) -> StudyInputs:
    """Return the arrays of a view, and the prior from earlier studies."""
    encoding, data = _encoding_of(view.space), build_training_data(view)
    earlier = earlier_data_at_scale(view) if len(view.objectives) == 1 else []
    with_fidelity = any((study.fidelity < 1.0).any() for study in [data, *earlier])
    feature_map = FeatureMap(encoding, with_fidelity)
    models = fit_earlier_models(earlier, feature_map, settings)
    ran = np.concatenate([np.empty((0, len(encoding))), *(study.units[study.complete] for study in earlier)])
    ran = encoding.project_to_valid(ran)
    names = [s.name for s, found in zip(view.earlier, earlier, strict=False) for _ in found.units[found.complete]]
    z = feature_map.features(data.units[data.complete], data.fidelity[data.complete])
    values = data.values[data.complete][:, 0]
    prior = fit_transfer_prior(models, feature_map.features(ran), z, values) if models else None
    rng = np.random.default_rng(derived_seed(view.seed, "bayes", view.number))
    arms = arms_of(encoding, data, view.excluded_arms) if settings.arms else None
    return StudyInputs(feature_map, data, ran, names, prior, rng, arms)


@lru_cache(maxsize=8)
def _encoding_of(space: SearchSpace) -> SpaceEncoding:
    """Return the columns of a space; those of the last few spaces are kept, and with them what names say of them."""
    return SpaceEncoding(space)
