"""No sampler breaks a rule, with any history; derived values reach the models; pins and other studies keep rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.views import trial, view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.agent.planner.steering import apply_steering
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.candidates.deduplication import every_configuration, random_params
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.sampler.warm_start.portfolio import select_portfolio
from tunesmith.study.config.changes import Steering
from tunesmith.study.errors import SpaceExhausted, SpecError
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import FailureKind, Proposal, Source
from tunesmith.tools.surrogate.encoding import SpaceEncoding

PARAMETERS: dict[str, Parameter] = {
    "depth": Int(2, 12),
    "head": Int(8, 64, power_of=2),
    "width": Int(64, 1024, multiple_of=32, log=True),
    "lr": Float(1e-4, 1.0, log=True),
    "opt": Choice(["adam", "sgd", "lion"]),
    "momentum": Float(0.0, 1.0, when="opt == 'sgd'"),
    "deep": Bool(when="size > 2000"),
    "drop": Float(0.0, 0.5, step=0.1),
}
DERIVED = {"size": "depth * width", "rate": "lr * sqrt(size)"}
RULES = (
    "width % head != 0",
    "size > 6000",
    "rate > 10",
    "momentum > 0.9",
    "opt == 'lion' and lr > 0.01",
    "deep and depth < 4",
    "depth not in [2, 4, 6, 8, 12]",
    "width < head * 4",
    "drop > 0.25 or drop * 10 > depth",
    "width != depth * 64 and width != depth * 32",
    "log2(head) + depth > 12",
)
RESULTS = st.lists(st.one_of(st.floats(-5.0, 5.0), st.just(FailureKind.OOM)), max_size=9)


def spaces() -> st.SearchStrategy[SearchSpace]:
    return st.lists(st.sampled_from(RULES), min_size=1, max_size=4, unique=True).map(
        lambda rules: SearchSpace(PARAMETERS, derived=DERIVED, forbid=rules)
    )


@pytest.mark.parametrize("name", ["bayes", "random", "optuna-tpe"])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(space=spaces(), results=RESULTS, seed=st.integers(0, 10**6))
def test_no_sampler_breaks_a_rule(name: str, space: SearchSpace, results: list[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    try:
        history = [(random_params(space, rng), result) for result in results]
    except SpaceExhausted:
        return  # these rules together leave nothing
    suggested = make_sampler(name).suggest(view(space, history, seed=seed)).params
    assert space.check(suggested) == []


def test_rules_hold_where_defaults_pins_and_other_studies_pull_elsewhere() -> None:
    space = SearchSpace(
        {"x": Int(0, 64, default=10), "y": Int(0, 64, default=2)}, derived={"s": "x + y"}, forbid=["s > 40", "y > x"]
    )
    rng = np.random.default_rng(0)
    drawn = [{"x": int(rng.integers(65)), "y": int(rng.integers(65))} for _ in range(60)]
    earlier = EarlierStudy(name="before", trials=[trial(n, p, -float(p["x"] + p["y"])) for n, p in enumerate(drawn)])
    studied = replace(view(space), earlier=(earlier,))
    assert all(space.contains(point.params) for point in select_portfolio(studied, 5))
    assert space.contains(BayesSampler().suggest(studied).params)
    proposal = Proposal(params={"x": 10, "y": 2}, source=Source.SAMPLER, seed=0)
    steered = apply_steering(proposal, view(space), Steering({"y": 18}), None)
    assert steered.params["y"] == 18
    assert space.contains(steered.params)
    assert all(space.contains(params) for params in every_configuration(space))


def test_derived_values_are_inputs_of_the_models() -> None:
    space = SearchSpace(PARAMETERS, derived=DERIVED)
    encoding, plain = SpaceEncoding(space), SpaceEncoding(SearchSpace({**PARAMETERS, "deep": Bool()}))
    units = encoding.project_to_valid(np.random.default_rng(1).random((40, len(space))))
    features = encoding.features(units)
    assert features.shape[1] == plain.features(units).shape[1] + 2
    sizes = [space.derived_values(space.from_unit(row.tolist()))["size"] for row in units]
    assert np.corrcoef(np.log(np.array(sizes, dtype=float)), features[:, -2])[0, 1] > 0.999


def test_projected_rows_are_allowed_and_decode_to_themselves() -> None:
    space = SearchSpace(PARAMETERS, derived=DERIVED, forbid=["width % head != 0", "size > 3000"])
    encoding = SpaceEncoding(space)
    units = encoding.project_to_valid(np.random.default_rng(2).random((300, len(space))))
    assert encoding.allowed(units).all()
    assert np.allclose(encoding.project_to_valid(units), units)
    assert all(not space.broken_rule(space.unrepaired(row.tolist())) for row in units[:50])


def test_a_space_whose_rules_leave_nothing_is_exhausted() -> None:
    space = SearchSpace({"x": Int(1, 5)}, forbid=["x > 2", "x <= 2"])
    for name in ("bayes", "random", "optuna-tpe"):
        with pytest.raises(SpaceExhausted):
            make_sampler(name).suggest(view(space))
    with pytest.raises(SpecError, match="breaks a rule"):
        SearchSpace({"x": Int(1, 5, default=3)}, forbid=["x > 2"])
