"""Priors by the names of parameters: they help where they are right, cost little where they are wrong, and fade."""

from __future__ import annotations

import math
import statistics
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fakes.views import Params, best, run, view
from hypothesis import given
from hypothesis import strategies as st

import tunesmith.agent.sampler.priors as priors_module
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.priors import FLOOR, NamePrior, NamePriors, spellings
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.surrogate.encoding import SpaceEncoding

NETWORK: Mapping[str, Parameter] = {
    "optimizer": Choice(["adam", "sgd"]),
    "lr": Float(1e-6, 1.0, log=True),
    "weight_decay": Float(1e-8, 1.0, log=True),
    "dropout": Float(0.0, 0.9),
    "batch_size": Choice([8, 16, 32, 64, 128, 256, 512], ordered=True),
    "made_up": Float(0.0, 1.0),
}


def priors_of(space: Mapping[str, Parameter]) -> tuple[NamePriors, SearchSpace]:
    parsed = SearchSpace(space)
    return NamePriors(SpaceEncoding(parsed)), parsed


def log_plausibility_of(space: Mapping[str, Parameter], **params: object) -> float:
    priors, parsed = priors_of(space)
    return float(priors.log_plausibility(np.array([parsed.to_unit(params)]))[0])  # type: ignore[arg-type]


def test_every_entry_can_be_read_and_names_its_source() -> None:
    raw = tomllib.loads(Path(priors_module.__file__).with_name("priors.toml").read_text())
    for entry in raw["prior"]:
        read = NamePrior(**{**entry, "names": tuple(entry["names"])})
        assert len(read.source) > 20, read.names
        assert (read.centre is None) == bool(read.weights), read.names
        assert read.scale == "linear" or read.spread > 1.0, read.names
        assert set(read.when) <= set(raw["kinds"]), read.names
        assert all(name == spellings(name)[0] for name in read.names), read.names


def test_the_plausible_learning_rate_depends_on_the_optimizer() -> None:
    rest = {"weight_decay": 1e-3, "dropout": 0.1, "batch_size": 64, "made_up": 0.5}
    plausibility = {
        (optimizer, lr): log_plausibility_of(NETWORK, optimizer=optimizer, lr=lr, **rest)
        for optimizer in ("adam", "sgd")
        for lr in (1e-3, 0.1)
    }
    assert plausibility["adam", 1e-3] > plausibility["adam", 0.1]
    assert plausibility["sgd", 0.1] > plausibility["sgd", 1e-3]


def test_names_match_without_case_and_trailing_numbers() -> None:
    assert spellings("Dropout_1") == ("dropout_1", "dropout")
    assert spellings("lr") == ("lr",)
    priors, _ = priors_of({"dropout_2": Float(0.0, 0.9), "beta2": Float(0.9, 0.9999)})
    assert set(priors.sources) == {"dropout_2", "beta2"}


def test_an_entry_does_not_apply_to_a_range_with_another_meaning() -> None:
    priors, _ = priors_of(
        {"lr": Float(100.0, 1000.0, log=True), "dropout": Choice(["none", "some"]), "momentum": Bool()}
    )
    assert not priors.sources


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_no_configuration_is_impossible(a: float, b: float) -> None:
    priors, space = priors_of(NETWORK)
    units = SpaceEncoding(space).project_to_valid(np.array([[a, b, a, b, a, b]]))
    assert 0.0 >= priors.log_plausibility(units)[0] >= 5 * math.log(FLOOR) - 1e-9


def test_quantiles_concentrate_on_plausible_values_and_cover_the_range() -> None:
    priors, space = priors_of(NETWORK)
    levels = np.random.default_rng(0).random((4000, len(space)))
    drawn = SpaceEncoding(space).project_to_valid(priors.quantiles(levels))
    rates = np.array([space.from_unit(row.tolist())["lr"] for row in drawn], dtype=float)
    assert ((rates > 1e-4) & (rates < 0.3)).mean() > 0.6
    assert rates.min() < 1e-5
    assert rates.max() > 0.5


def loss_about(lr: float, decay: float, dropout: float):  # noqa: ANN201
    def loss(params: Params) -> float:
        rate, wd = math.log10(float(params["lr"])), math.log10(float(params["weight_decay"]))  # type: ignore[arg-type]
        away = (rate - math.log10(lr)) ** 2 + 0.3 * (wd - math.log10(decay)) ** 2
        return away + 4 * (float(params["dropout"]) - dropout) ** 2  # type: ignore[arg-type]

    return loss


SMALL = {name: NETWORK[name] for name in ("lr", "weight_decay", "dropout", "batch_size")}


def mean_best(loss, settings: SamplerSettings, trials: int, seeds: int = 6) -> float:  # noqa: ANN001
    return statistics.mean(best(run(BayesSampler(settings), SMALL, loss, trials, seed=s)) for s in range(seeds))


def test_priors_help_from_the_first_trials() -> None:
    usual = loss_about(2e-3, 1e-3, 0.15)
    assert mean_best(usual, SamplerSettings(), 6) < 0.6 * mean_best(usual, SamplerSettings(name_prior_strength=0.0), 6)


@pytest.mark.nightly
def test_priors_centred_on_the_worst_corner_cost_little() -> None:
    # The optimum is where the priors are lowest: a learning rate of 1, a weight decay of 1, a dropout of 0.9.
    corner = loss_about(1.0, 1.0, 0.9)
    misled, neutral = (
        mean_best(corner, SamplerSettings(), 25),
        mean_best(corner, SamplerSettings(name_prior_strength=0.0), 25),
    )
    worst = corner({"lr": 1e-6, "weight_decay": 1e-8, "dropout": 0.0})
    assert misled < 0.01 * worst
    assert misled < neutral + 0.01 * worst


def test_the_users_default_takes_precedence_over_priors() -> None:
    with_default = {**SMALL, "lr": Float(1e-6, 1.0, log=True, default=1e-5)}
    first = BayesSampler().suggest(view(with_default)).params
    assert first["lr"] == pytest.approx(1e-5)


def test_a_tree_is_not_a_network() -> None:
    trees = {"max_depth": Int(1, 15), "eta": Float(1e-3, 1.0, log=True), "alpha": Float(1e-3, 1e3, log=True)}
    priors, _ = priors_of(trees)
    assert "xgboost" in priors.sources["alpha"][0]
    assert "Friedman" in priors.sources["eta"][0]
