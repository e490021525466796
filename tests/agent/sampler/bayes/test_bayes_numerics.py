"""The surrogate's numbers against direct formulas, finite differences and integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fakes.views import Params
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tunesmith.agent.sampler.candidates.deduplication import every_configuration
from tunesmith.agent.sampler.surrogate import acquisition_optimizer
from tunesmith.study.space.parameters import Bool, Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.acquisition import log_expected_improvement, log_mean_exp, log_probability_below
from tunesmith.tools.surrogate.encoding import SpaceEncoding
from tunesmith.tools.surrogate.gp_ensemble import fit_ensemble, fit_single, subsample_by_value
from tunesmith.tools.surrogate.output_transform import fit_warp

RNG = np.random.default_rng(7)
Z = RNG.random((12, 3))
Y = np.sin(5 * Z[:, 0]) + Z[:, 1] ** 2
GROUP = np.array([0, 1, 1])
THETA = np.log([0.4, 0.9, 1.3, 0.01])


def matern(a: np.ndarray, b: np.ndarray, theta: np.ndarray = THETA) -> float:
    lengths = np.exp(theta[:-2])[GROUP]
    r = math.sqrt(5.0 * float((((a - b) / lengths) ** 2).sum()))
    return math.exp(theta[-2]) * (1 + r + r * r / 3) * math.exp(-r)


def test_the_posterior_is_that_of_the_textbook_formula() -> None:
    kernel = np.array([[matern(a, b) for b in Z] for a in Z]) + np.exp(THETA[-1]) * np.eye(len(Z))
    queries = RNG.random((5, 3))
    cross = np.array([[matern(q, z) for z in Z] for q in queries])
    mean, std = gp.condition(Z, Y, THETA, GROUP).predict(queries)
    np.testing.assert_allclose(mean, cross @ np.linalg.solve(kernel, Y), rtol=1e-6)
    variance = math.exp(THETA[-2]) - np.einsum("ij,ji->i", cross, np.linalg.solve(kernel, cross.T))
    np.testing.assert_allclose(std**2, variance, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_fit_is_that_of_finite_differences(seed: int) -> None:
    prior = gp.HyperPrior()
    args = (Z, Y, GROUP, prior.centre(2), prior.spread(2))
    theta = THETA + np.random.default_rng(seed).normal(size=4) * 0.5
    _, gradient = gp.negative_log_posterior(theta, *args)
    for index, step in enumerate(np.eye(4) * 1e-5):
        up, _ = gp.negative_log_posterior(theta + step, *args)
        down, _ = gp.negative_log_posterior(theta - step, *args)
        assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


def test_the_fit_finds_which_parameter_matters() -> None:
    z = RNG.random((40, 2))
    theta = gp.fit(z, np.sin(6 * z[:, 0]), np.array([0, 1]), gp.HyperPrior())
    assert theta[0] < theta[1] - 1.0


def test_samples_of_hyperparameters_are_near_their_mode() -> None:
    z = RNG.random((40, 2))
    y = np.sin(6 * z[:, 0])
    group = np.array([0, 1])
    mode = gp.fit(z, y, group, gp.HyperPrior())
    drawn = np.array(gp.sample_theta(mode, z, y, group, gp.HyperPrior(), np.random.default_rng(0), count=40))
    assert len(np.unique(drawn[:, 0])) > 20
    assert abs(np.median(drawn[:, 0]) - mode[0]) < 1.0


@pytest.mark.parametrize(("mean", "std", "best"), [(0.0, 1.0, 0.0), (1.0, 0.5, 0.2), (-2.0, 0.1, 0.0), (3.0, 1.0, 0.0)])
def test_expected_improvement_equals_its_defining_integral(mean: float, std: float, best: float) -> None:
    integral, _ = integrate.quad(
        lambda y: (best - y) * stats.norm.pdf(y, mean, std), mean - 12 * std, best, epsabs=1e-14, points=[mean]
    )
    found = log_expected_improvement(np.array([mean]), np.array([std]), best)
    assert math.exp(found[0]) == pytest.approx(integral, rel=1e-6)


def test_log_expected_improvement_falls_steadily_far_from_the_best() -> None:
    z = np.concatenate([np.linspace(0.0, 60.0, 4000), np.geomspace(61.0, 1e6, 400)])
    found = log_expected_improvement(z, np.ones_like(z), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def test_log_probabilities_and_log_means_are_correct() -> None:
    assert log_probability_below(np.array([0.0]), np.array([1.0]), 0.0)[0] == pytest.approx(math.log(0.5))
    assert log_mean_exp(np.array([[-1000.0, 0.0], [-1001.0, math.log(3.0)]])) == pytest.approx(
        [-1000.0 + math.log((1 + math.exp(-1)) / 2), math.log(2.0)]
    )


def test_an_ensemble_predicts_in_the_units_of_its_data() -> None:
    y = 1e6 + 1e3 * Y
    mean, std = fit_ensemble(Z, y, GROUP, gp.HyperPrior(), np.random.default_rng(0)).predict(Z)
    assert np.abs(mean - y).max() < 3e2
    assert (std < 1e3).all()


def test_with_a_margin_an_uncertain_point_is_worth_more_than_a_sure_repetition_of_the_best() -> None:
    z = np.linspace(0.0, 0.4, 9)[:, None]
    ensemble = fit_single(z, (z[:, 0] - 0.4) ** 2, np.array([0]), gp.HyperPrior())
    at_best, beyond = np.array([[0.399]]), np.array([[0.7]])

    def gap(margin: float) -> float:
        return float(np.diff(ensemble.log_improvement(np.concatenate([at_best, beyond]), z, margin))[0])

    assert gap(0.3) > gap(0.1) > gap(0.0)
    assert gap(0.3) > 0


def test_a_pending_point_reduces_the_uncertainty_and_leaves_the_mean() -> None:
    model = fit_single(Z, Y, GROUP, gp.HyperPrior())
    pending = np.array([[0.9, 0.9, 0.1]])
    fantasized = model.fantasize(pending, GROUP)
    assert fantasized.predict(pending)[0] == pytest.approx(model.predict(pending)[0], abs=1e-3)
    assert fantasized.predict(pending)[1] < model.predict(pending)[1]


def test_a_subset_keeps_the_best_and_reaches_to_the_worst() -> None:
    y = np.random.default_rng(0).permutation(1000).astype(float)
    kept = y[subsample_by_value(y, 100)]
    assert set(range(50)) <= set(kept)
    assert kept.max() == 999
    assert len(np.unique(kept)) == 100


@given(values=st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=30), softness=st.floats(0.01, 2.0))
def test_the_warp_keeps_the_order_and_can_be_inverted(values: list[float], softness: float) -> None:
    y = np.array(values)
    warp = fit_warp(y, softness=softness)
    targets = warp.apply(y)
    assert np.isfinite(targets).all()
    assert (np.diff(targets[np.argsort(y)]) >= 0).all()
    kept = np.clip(y, warp.low, warp.high)
    np.testing.assert_allclose(warp.invert(targets), kept, rtol=1e-6, atol=max(1e-6 * float(np.ptp(kept)), 1e-12))


SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "steps": Int(1, 300, log=True),
        "wide": Int(0, 10**18),
        "grid": Float(0.0, 1.0, step=0.1),
        "kind": Choice(["a", "b", "c"]),
        "size": Choice([16, 32, 64], ordered=True, when="kind in ['a', 'b']"),
        "flag": Bool(when="size >= 32 or lr < 0.001"),
        "deep": Int(1, 9, when="flag and not kind == 'a'"),
    }
)


def test_projected_rows_equal_what_the_space_decodes() -> None:
    encoding = SpaceEncoding(SPACE)
    units = np.random.default_rng(0).random((400, len(encoding)))
    valid = encoding.project_to_valid(units)
    for row, raw in zip(valid, units, strict=True):
        params: Params = SPACE.from_unit(raw.tolist())
        np.testing.assert_allclose(row, SPACE.to_unit(params), atol=1e-9)
        assert SPACE.from_unit(row.tolist()) == params
    active = encoding.active(valid)
    assert [tuple(np.array(SPACE.names)[a]) for a in active] == [tuple(SPACE.from_unit(u.tolist())) for u in valid]


def test_different_choices_and_the_ends_of_a_scale_are_at_distance_one() -> None:
    encoding = SpaceEncoding(SearchSpace({"kind": Choice(["a", "b", "c"]), "size": Choice([1, 2, 3], ordered=True)}))
    z = encoding.features(np.array([encoding.space.to_unit({"kind": k, "size": s}) for k in "abc" for s in (1, 3)]))
    assert np.linalg.norm(z[0] - z[2]) == pytest.approx(1.0)
    assert np.linalg.norm(z[2] - z[4]) == pytest.approx(1.0)
    assert np.linalg.norm(z[0] - z[1]) == pytest.approx(1.0)


def test_every_configuration_of_a_finite_space_comes_once() -> None:
    space = SearchSpace({"k": Choice(["a", "b"]), "n": Int(1, 4, log=True, when="k == 'a'"), "f": Bool(when="n > 2")})
    found = [tuple(p.items()) for p in every_configuration(space)]
    assert len(found) == len(set(found)) == 2 + 2 * 2 + 1


def test_a_latin_hypercube_has_one_point_in_each_stratum() -> None:
    points = acquisition_optimizer.latin_hypercube(7, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(np.floor(points * 7), axis=0), np.arange(7)[:, None].repeat(3, axis=1))


def test_the_trust_region_shrinks_as_good_points_gather() -> None:
    encoding = SpaceEncoding(SearchSpace({"x": Float(0.0, 1.0), "k": Choice(["a", "b", "c"])}))
    wide = acquisition_optimizer.trust_region(np.array([[0.5, 0.5], [0.1, 0.5], [0.9, 0.5]]), encoding)
    tight = acquisition_optimizer.trust_region(np.array([[0.5, 0.5], [0.51, 0.5], [0.53, 0.5]]), encoding)
    drawn = tight.draw(500, encoding, np.random.default_rng(0))
    assert wide.half_width[0] == pytest.approx(0.5)
    assert np.abs(drawn[:, 0] - 0.5).max() <= 0.045 + 1e-9
    assert len(np.unique(drawn[:, 1])) == 3


def test_the_local_search_finds_a_narrow_hill() -> None:
    encoding = SpaceEncoding(SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(4)}))
    hill = np.array([0.31, 0.77, 0.12, 0.5])
    points, scores = acquisition_optimizer.local_search(
        lambda u: -(((u - hill) / 0.05) ** 2).sum(axis=1), encoding, np.full((1, 4), 0.5),
        np.random.default_rng(0), region=acquisition_optimizer.whole_space(encoding),
    )  # fmt: skip
    assert np.abs(points[0] - hill).max() < 0.02
    assert (np.diff(scores) <= 0).all()
