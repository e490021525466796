"""Settings of the Bayesian sampler. Knows no model and no trial."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.sampler.candidates.regions import Turn
from tunesmith.tools.surrogate import gp


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """Settings of the Bayesian sampler; docs/decisions/002 and 016 have the measurements behind the defaults.

    Attributes:
        n_initial: number of trials in the initial design.
        centre_first: whether the initial design starts with the most plausible point, or the middle of the space, where
            the user gave no default.
        hyperpriors: priors of the objective model's hyperparameters. Proposals use them in turn, so that a model that
            is too rough or too smooth for a problem cannot stall the whole search.
        softness: see `fit_warp`.
        softness_of_earlier: softness for earlier studies, where the shape of the whole counts and small differences
            near the best do not, because the present best may lie elsewhere.
        softness_of_several: softness with several objectives, where the middle of a front counts as its ends do.
        average_hyperparameters: whether hyperparameters are sampled while there are few trials.
        model_failures: whether the probability of failure is modelled.
        feasibility_exponent: exponent on P(feasible) in the acquisition.
        min_feasibility: points with a lower P(feasible) are proposed only when there are no others.
        name_prior_strength: exponent on prior plausibility, times the number of known configurations; 0 ignores the
            priors.
        turns: where proposals are sought, in turn (regions.py).
        turns_with_default: the same in a study with a default.
        margin_with_default: how far below the best mean a proposal's improvement begins in a study with a default, in
            standard deviations of the targets; without it, many trials repeat the best point but for tiny steps.
        margin_from: number of trials from which that margin is used.
        untried_every: every n-th proposal in a study with a default tries a value of a choice that no trial had.
        default_spread: standard deviation of the opening's steps from the default, as a part of each range.
        arms: whether the values of an algorithm choice are arms (arms.py).
    """

    n_initial: int = 5
    centre_first: bool = True
    hyperpriors: tuple[gp.HyperPrior, ...] = (gp.HyperPrior(),) * 3 + (gp.HyperPrior(length_centre=1.2),)
    softness: float = 0.5
    softness_of_earlier: float = 3.0
    softness_of_several: float = 3.0
    average_hyperparameters: bool = True
    model_failures: bool = True
    feasibility_exponent: float = 4.0
    min_feasibility: float = 0.5
    name_prior_strength: float = 4.0
    turns: tuple[Turn, ...] = ("box", "space", "space")
    turns_with_default: tuple[Turn, ...] = ("box",)
    margin_with_default: float = 0.3
    margin_from: int = 10
    untried_every: int = 5
    default_spread: float = 0.25
    arms: bool = True
