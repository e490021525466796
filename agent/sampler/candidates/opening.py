"""The first points of a study, before there is enough to fit a model to.

With a default they stay about it: each changes a part of the parameters, so that together they change every one once.
Without one they are spread over the space. Everybody's trials count: a study that was handed results needs no opening.
Knows no model of the objective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.candidates.arms import Arms
from tunesmith.agent.sampler.priors import name_priors_of
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.sampler.surrogate.acquisition_optimizer import farthest_first, latin_hypercube, spread_around
from tunesmith.agent.sampler.surrogate.failure_classifier import fit_failure_model
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Source, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding

ENOUGH = 4
"""Number of complete trials that end an opening, whoever proposed them."""

_SPARE_POINTS = 64


@dataclass(frozen=True, slots=True)
class Opening:
    """What the next point of an opening is chosen from.

    Attributes:
        pool: (m, d) coordinates, the preferred one first.
        rationale: one line for the user.
    """

    pool: Array
    rationale: str


def is_open(view: StudyView, data: TrainingData, count: int, arms: int = 1) -> bool:
    """Tell whether the next point belongs to the opening, which has `count` points when the sampler makes them all.

    It has one more for each further arm of an algorithm choice: their first trials say little of anything else. From
    `ENOUGH` trials on an LLM's candidates are judged, so that no unjudged point may take the place of one.
    """
    if _has_default(view):
        # With an LLM the view has its gains only (beside_llm.py): small steps about the best end no opening.
        return data.exploratory_count + _complete_llm_count(view) - (arms - 1) < ENOUGH
    enough = ENOUGH if data.llm_count else count
    known = int(data.complete[: data.own_count].sum()) + len(data.pending) - (arms - 1)
    return data.exploratory_count - (arms - 1) < count and known < enough


def next_opening(  # noqa: PLR0913  # the study, and how it opens
    view: StudyView, encoding: SpaceEncoding, data: TrainingData, settings: SamplerSettings, rng: np.random.Generator,
    *, arms: Arms | None = None,
) -> Opening:  # fmt: skip
    """Return the next points of the opening; `arms` are the values of an algorithm choice."""
    if _has_default(view) and data.count:
        return _about_default(view, encoding, data, settings, rng, arms)
    number = data.exploratory_count + 1
    design = _spread_design(view, encoding, settings)
    spare = _spread(view, encoding, settings)(rng.random((_SPARE_POINTS, len(encoding))))
    region = "all over the space" if view.space.default is None else "about the default"
    rationale = f"first points {region}: {number} of {max(settings.n_initial, number)}"
    if data.failed.any() and settings.model_failures:
        pool = least_likely_to_fail(encoding, data, np.concatenate([design, spare]))
        return Opening(pool, f"{rationale}, where failure is least likely")
    turn = max(data.exploratory_count - 1, 0) if view.earlier else data.exploratory_count
    return Opening(np.concatenate([design[turn:], design, spare]), rationale)


def least_likely_to_fail(encoding: SpaceEncoding, data: TrainingData, points: Array) -> Array:
    """(m, d) -> (k, d) the quarter of the points least likely to fail, the one farthest from all trials first."""
    known, kept = encoding.features(data.units), points
    if data.failed.any():
        log_p = fit_failure_model(known, data.failed).log_p_success(encoding.features(points))
        kept = points[np.argsort(-log_p, kind="stable")[: max(len(points) // 4, 1)]]
    known = np.concatenate([known, encoding.features(data.pending)])
    return kept[farthest_first(encoding.features(kept), known)]


def _complete_llm_count(view: StudyView) -> int:
    return sum(
        t.proposal.source is Source.LLM and t.state is TrialState.COMPLETE and not t.is_replicate for t in view.trials
    )


def _has_default(view: StudyView) -> bool:
    return view.space.default is not None and not view.earlier


def _about_default(  # noqa: PLR0913  # the same
    view: StudyView, encoding: SpaceEncoding, data: TrainingData, settings: SamplerSettings, rng: np.random.Generator,
    arms: Arms | None,
) -> Opening:  # fmt: skip
    """Return points that differ from the best so far in a third of the parameters, by less after each failure."""
    centre = encoding.imputed
    if arms is not None:
        centre = arms.centre()
    elif data.complete.any():
        centre = data.units[np.nanargmin(np.where(data.complete, data.values[:, 0], np.nan))]
    parts = ENOUGH - 1
    turn = max(data.exploratory_count - 1, 0)
    order = np.random.default_rng(derived_seed(view.seed, "bayes", "first")).permutation(len(encoding))
    changed = np.zeros(len(encoding), dtype=bool)
    changed[order[turn % parts :: parts]] = True
    if encoding.space.arms is not None:
        # Each arm had its first trial; these points are about the best of them.
        changed[encoding.space.names.index(encoding.space.arms)] = False
    levels = rng.random((_SPARE_POINTS, len(encoding)))
    # Not near the centre, where nothing would be learned: quantiles below a quarter or above three quarters.
    levels = 0.5 + np.sign(levels - 0.5) * (0.25 + 0.25 * np.abs(2.0 * levels - 1.0))
    spread = settings.default_spread * 0.5 ** int(data.failed.sum())
    pool = np.where(changed, spread_around(levels, centre, encoding, spread=spread), centre)
    pool = encoding.project_to_valid(pool)
    number = data.exploratory_count + 1
    count = 1 if arms is None else arms.count
    rationale = f"first points about the default: {number} of {max(ENOUGH + count - 1, number)}"
    if not (data.failed.any() and settings.model_failures):
        return Opening(pool, rationale)
    log_p = fit_failure_model(encoding.features(data.units), data.failed).log_p_success(encoding.features(pool))
    return Opening(pool[np.argsort(-log_p, kind="stable")], f"{rationale}, nearer to what worked after a failure")


def _spread_design(view: StudyView, encoding: SpaceEncoding, settings: SamplerSettings) -> Array:
    """Return (n_initial, d) points: the default or the most plausible point, then a Latin hypercube."""
    rng = np.random.default_rng(derived_seed(view.seed, "bayes", "first"))
    points = _spread(view, encoding, settings)(latin_hypercube(settings.n_initial, len(encoding), rng))
    if view.space.default is not None or settings.centre_first:
        centre = encoding.imputed
        if settings.name_prior_strength and view.space.default is None:
            centre = name_priors_of(encoding).mode(centre)
        points[0] = encoding.project_to_valid(centre[None, :])[0]
    return points


def _spread(view: StudyView, encoding: SpaceEncoding, settings: SamplerSettings) -> Callable[[Array], Array]:
    """Return the map from (m, d) levels in [0, 1] to valid points of the initial design."""
    if view.space.default is not None:
        return lambda levels: spread_around(levels, encoding.imputed, encoding)
    if settings.name_prior_strength:
        priors = name_priors_of(encoding)
        return lambda levels: encoding.project_to_valid(priors.quantiles(levels))
    return encoding.project_to_valid
