"""Our Gaussian process has the posterior and evidence of scikit-learn's for the same kernel and hyperparameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.encoding import Array
from tunesmith.tools.surrogate.gp_ensemble import GPEnsemble

JITTER = 1e-8
"""What our process adds to the diagonal, relative to the signal variance."""


@dataclass(frozen=True)
class Case:
    """Data, and hyperparameters: a lengthscale per parameter, and the variances of signal and noise."""

    z: Array
    y: Array
    queries: Array
    lengths: tuple[float, ...]
    signal: float
    noise: float
    group: tuple[int, ...]

    @property
    def theta(self) -> Array:
        return np.log([*self.lengths, self.signal, self.noise])

    def ours(self) -> gp.Posterior:
        return gp.condition(self.z, self.y, self.theta, np.array(self.group))

    def theirs(self) -> GaussianProcessRegressor:
        kernel = ConstantKernel(self.signal) * Matern([self.lengths[index] for index in self.group], nu=2.5)
        diagonal = self.noise + JITTER * self.signal
        return GaussianProcessRegressor(kernel, alpha=diagonal, optimizer=None).fit(self.z, self.y)


def case(n: int, lengths: tuple[float, ...], *, signal: float, noise: float, group: tuple[int, ...], seed: int) -> Case:
    """Return `n` values of a smooth function with normal noise, and 30 points at which to predict."""
    rng = np.random.default_rng(seed)
    z = rng.random((n, len(group)))
    y = np.sin(5.0 * z).sum(axis=1) + z[:, 0] ** 2 + math.sqrt(noise) * rng.normal(size=n)
    queries = np.concatenate([rng.random((25, len(group))), rng.uniform(-0.5, 1.5, (5, len(group)))])
    return Case(z, y - y.mean(), queries, lengths, signal, noise, group)


CASES = {
    "one dimension": case(8, (0.3,), signal=1.0, noise=1e-4, group=(0,), seed=0),
    "one dimension with much noise": case(60, (0.25,), signal=2.0, noise=0.5, group=(0,), seed=1),
    "two dimensions": case(25, (0.4, 1.1), signal=1.5, noise=1e-3, group=(0, 1), seed=2),
    "six dimensions with noise": case(
        80, (0.5, 0.9, 1.4, 2.0, 3.0, 0.7), signal=0.8, noise=0.05, group=(0, 1, 2, 3, 4, 5), seed=3
    ),
    "features that share a lengthscale": case(40, (0.6, 1.2), signal=1.0, noise=0.01, group=(0, 0, 0, 1), seed=4),
    "one point": case(1, (0.5,), signal=1.0, noise=0.1, group=(0,), seed=5),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def example(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def test_posterior_means_and_variances_equal_those_of_scikit_learn(example: Case) -> None:
    mean, std = example.ours().predict(example.queries)
    expected_mean, expected_std = example.theirs().predict(example.queries, return_std=True)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(std**2, expected_std**2, rtol=1e-6, atol=1e-9 * example.signal)


def test_the_log_marginal_likelihood_equals_that_of_scikit_learn(example: Case) -> None:
    expected = example.theirs().log_marginal_likelihood_value_
    constant = 0.5 * len(example.y) * math.log(2.0 * math.pi)
    loss = gp.negative_log_likelihood(example.theta, example.z, example.y, np.array(example.group))
    assert -(loss + constant) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_the_log_posterior_of_hyperparameters_is_the_evidence_plus_their_prior(example: Case) -> None:
    d = len(example.lengths)
    prior = gp.HyperPrior()
    centre, spread = prior.centre(d), prior.spread(d)
    loss, _ = gp.negative_log_posterior(example.theta, example.z, example.y, np.array(example.group), centre, spread)
    constant = 0.5 * len(example.y) * math.log(2.0 * math.pi)
    offset = (example.theta - centre) / spread
    expected = -example.theirs().log_marginal_likelihood_value_ - constant + 0.5 * float(offset @ offset)
    assert loss == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_samples_of_functions_have_the_posterior_covariance_of_scikit_learn() -> None:
    example = CASES["two dimensions"]
    ours, rng = example.ours(), np.random.default_rng(0)
    queries = example.queries[:4]
    samples = np.array([ours.sample(queries, rng) for _ in range(20_000)])
    mean, covariance = example.theirs().predict(queries, return_cov=True)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.02)


def test_an_ensemble_of_one_process_predicts_as_scikit_learn_does_with_normalized_targets() -> None:
    example = CASES["two dimensions"]
    centre, scale = 7.0, 3.0
    ensemble = GPEnsemble((example.ours(),), centre, scale)
    mean, std = ensemble.predict(example.queries)
    expected_mean, expected_std = example.theirs().predict(example.queries, return_std=True)
    np.testing.assert_allclose(mean, centre + scale * expected_mean, rtol=1e-7)
    np.testing.assert_allclose(std, scale * expected_std, rtol=1e-5)
