"""TuRBO: Thompson samples of a Gaussian process in a trust region that grows and shrinks (Eriksson et al. 2019).

With BoTorch's model and sampling, after its tutorial. The region is a box about the best point in the unit cube, in
which choices are coordinates like any other. With several objectives it follows the first.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.alternatives.replay import results_of
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

Array = NDArray[np.float64]

_FIRST = 10
"""Largest number of points of a Sobol design, at the start and after each restart."""

_LENGTH, _SHORTEST, _LONGEST = 0.8, 0.5**7, 1.6
"""Side of the first region, of the one at which the search restarts, and of the largest."""

_SUCCESSES = 3
"""Number of improvements in a row that double the region."""

_RELATIVE_GAIN = 1e-3
_VIOLATION = 1e6
_CANDIDATES = 2000
_CHANGED = 20
"""Expected number of coordinates of a candidate that differ from the best point's."""


class TurboSampler:
    """One trust region; each suggestion derives it from the trials.

    Raises:
        ProjectError: botorch is not installed.
    """

    def __init__(self) -> None:
        require("botorch", purpose="the sampler turbo", extra="botorch")

    def suggest(self, view: StudyView) -> Suggestion:
        """Return the best candidate of a Thompson sample, or a random one when that was tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "turbo", view.number))
        with warnings.catch_warnings():
            # GPyTorch warns of matrices that it repairs itself.
            warnings.simplefilter("ignore")
            params = draw_new_params(view, lambda: _next_params(view), rng)
        return Suggestion(params=params, rationale="next point of TuRBO")


@dataclass(frozen=True, slots=True)
class _Region:
    """The trust region after some trials.

    Attributes:
        first_row: the trial since which it learns: after a restart the search forgets what was before.
    """

    first_row: int = 0
    length: float = _LENGTH
    successes: int = 0
    failures: int = 0

    def after(self, loss: float, earlier: Sequence[float], d: int) -> _Region:
        """Return the region after a trial; `earlier` are the losses before it since the restart."""
        if len(earlier) < design_size(d):
            return self
        best = min(earlier)
        is_better = loss < best - _RELATIVE_GAIN * abs(best)
        moved = replace(
            self, successes=self.successes + 1 if is_better else 0, failures=0 if is_better else self.failures + 1
        )
        if moved.successes == _SUCCESSES:
            return replace(moved, length=min(2.0 * self.length, _LONGEST), successes=0)
        if moved.failures == max(4, d):
            shorter = replace(moved, length=self.length / 2.0, failures=0)
            return _Region(self.first_row + len(earlier) + 1) if shorter.length < _SHORTEST else shorter
        return moved


def design_size(d: int) -> int:
    """Return the number of points before the first model."""
    return min(2 * d, _FIRST)


def _next_params(view: StudyView) -> Mapping[str, Value]:
    import torch  # 2 s

    trials = results_of(view)
    losses = [result.losses[0] + _VIOLATION * sum(result.violations) for _, result in trials]
    d, region = len(view.space), _Region()
    for row, loss in enumerate(losses):
        region = region.after(loss, losses[region.first_row : row], d)
    known = np.array(losses[region.first_row :])
    seed = derived_seed(view.seed, "turbo", view.number)
    if len(known) < design_size(d):
        return view.space.from_unit(_sobol(d, 1, seed)[0].tolist())
    units = np.array([view.space.to_unit(trial.params) for trial, _ in trials[region.first_row :]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return view.space.from_unit(_thompson(units, known, region.length, seed))


def _sobol(d: int, count: int, seed: int) -> Any:
    """Return (count, d) points of a scrambled Sobol sequence."""
    import torch

    engine: Any = torch.quasirandom.SobolEngine
    return engine(d, scramble=True, seed=seed).draw(count, dtype=torch.double)


def _thompson(units: Array, losses: Array, length: float, seed: int) -> list[float]:
    """(n, d), (n,) -> (d,) the candidate in the region with the highest value of a sample from the model."""
    import torch

    sampling: Any = import_module("botorch.generation").MaxPosteriorSampling

    x, best = torch.tensor(units), torch.tensor(units[losses.argmin()])
    model = _fitted(x, losses)
    weights = model.covar_module.lengthscale.squeeze().detach().reshape(-1)
    weights = weights / weights.mean()
    weights = weights / torch.prod(weights.pow(1.0 / len(weights)))
    low, high = ((best + side * weights * length / 2.0).clamp(0.0, 1.0) for side in (-1.0, 1.0))
    d = len(best)
    points = low + (high - low) * _sobol(d, _CANDIDATES, seed)
    changed = torch.rand(_CANDIDATES, d) <= min(_CHANGED / d, 1.0)
    changed[torch.arange(_CANDIDATES), torch.randint(d, (_CANDIDATES,))] = True
    candidates = torch.where(changed, points, best)
    with torch.no_grad():
        chosen = sampling(model=model, replacement=False)(candidates, num_samples=1)
    return [float(u) for u in chosen[0]]


def _fitted(x: Any, losses: Array) -> Any:
    """Return BoTorch's process of the negative losses, by rank: TuRBO's copula transform bears outliers."""
    import torch
    from scipy.special import ndtri

    gpytorch: Any = import_module("gpytorch")
    botorch: Any = import_module("botorch")
    interval = gpytorch.constraints.Interval

    ranks = losses.argsort(kind="stable").argsort(kind="stable")
    targets = torch.tensor(-ndtri((ranks + 0.5) / len(losses))).unsqueeze(-1)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=interval(1e-8, 1e-1))
    kernel = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=x.shape[1], lengthscale_constraint=interval(0.005, 4.0))
    model = botorch.models.SingleTaskGP(x, targets, likelihood=likelihood, covar_module=kernel)
    try:
        botorch.fit_gpytorch_mll(gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model))
    except botorch.exceptions.ModelFittingError:
        model.eval()
    return model
