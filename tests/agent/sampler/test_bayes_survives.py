"""The Bayesian sampler keeps its promises on any space and history: valid, new, repeatable, and never an exception."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from fakes.views import Params, Result, view
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.sampler.bayes import NEAR, BayesSampler
from tunesmith.agent.sampler.deduplication import config_key, random_params
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective, StudyView

DEEP: Mapping[str, Parameter] = {
    "lr": Float(1e-5, 1.0, log=True),
    "seed_like": Int(0, 10**18),
    "steps": Int(1, 10**12, log=True),
    "arch": Choice(["mlp", "cnn", "vit"]),
    "depth": Int(1, 4, when="arch in ['cnn', 'vit']"),
    "heads": Choice([1, 2, 4, 8], ordered=True, when="arch == 'vit' and depth > 1"),
    "rope": Bool(when="heads >= 4"),
    "theta": Float(1.0, 1e6, log=True, when="rope"),
    "plain": Choice(["only"]),
    "drop": Float(0.0, 0.5, step=0.1, when="not arch == 'mlp'"),
}


def random_history(space: SearchSpace, results: Sequence[Result], seed: int = 0) -> list[tuple[Params, Result]]:
    rng = np.random.default_rng(seed)
    return [(random_params(space, rng), result) for result in results]


def assert_valid_and_new(space: SearchSpace, history: Sequence[tuple[Params, Result]], params: Params) -> None:
    assert space.check(params) == []
    assert config_key(params) not in {config_key(known) for known, _ in history}


NAN, INF = math.nan, math.inf
NASTY: dict[str, list[Result]] = {
    "nothing yet": [],
    "one trial": [0.3],
    "constant": [1.0] * 12,
    "zeros": [0.0] * 12,
    "an outlier": [0.1, 0.2, 0.3, 0.25, 1e30, 0.15, 0.5],
    "a low outlier": [0.1, 0.2, 0.3, 0.25, -1e30, 0.15, 0.5],
    "the largest doubles": [1.7e308, -1.7e308, 0.0, 1.0, 2.0, 3.0],
    "tiny differences": [1.0 + i * 1e-15 for i in range(10)],
    "subnormal": [i * 5e-324 for i in range(10)],
    "not finite": [NAN, INF, -INF, 0.1, 0.2, 0.3, 0.4],
    "all failed": [FailureKind.OOM] * 12,
    "one succeeded": [*[FailureKind.NAN] * 9, 0.5],
    "one failed": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, FailureKind.TIMEOUT],
    "lost with the machine": [FailureKind.LOST] * 6,
    "all running": [None] * 9,
    "some running": [0.1, None, 0.3, None, 0.5, FailureKind.OOM, None, 0.2],
    "no metric": [{"other": 1.0}] * 7,
}


@pytest.mark.parametrize("results", NASTY.values(), ids=NASTY.keys())
def test_it_survives_histories_that_break_arithmetic(results: list[Result]) -> None:
    space = SearchSpace(DEEP)
    history = random_history(space, results)
    suggestion = BayesSampler().suggest(view(space, history))
    assert_valid_and_new(space, history, suggestion.params)
    if suggestion.prediction is not None:
        assert math.isfinite(suggestion.prediction.mean)
        assert math.isfinite(suggestion.prediction.std)


def test_it_survives_one_point_tried_many_times() -> None:
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    history: list[tuple[Params, Result]] = [({"x": 0.5, "y": 0.5}, 0.1 * i) for i in range(12)]
    params = BayesSampler().suggest(view(space, history)).params
    assert_valid_and_new(space, history, params)
    assert max(abs(float(params[n]) - 0.5) for n in "xy") > NEAR  # type: ignore[arg-type]


def test_it_survives_a_stopped_trial_with_and_without_a_value() -> None:
    space = SearchSpace(DEEP)
    seen = view(space, random_history(space, [0.1, 0.2, 0.3, 0.4, 0.5]))
    stopped = [
        Trial(
            number=5 + i,
            proposal=Proposal(params=params, source=Source.SAMPLER, seed=0),
            state=TrialState.STOPPED,
            outcome=Outcome(state=TrialState.STOPPED, values=values, note="stopped"),
        )
        for i, (params, values) in enumerate(
            zip([p for p, _ in random_history(space, [None, None], seed=1)], [{"loss": 0.05}, {}], strict=True)
        )
    ]
    grown = StudyView(space=space, objectives=seen.objectives, trials=(*seen.trials, *stopped), number=7, seed=0)
    assert space.contains(BayesSampler().suggest(grown).params)


@pytest.mark.parametrize("dimensions", [1, 2, 40])
def test_it_works_from_1_to_40_dimensions(dimensions: int) -> None:
    space = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(dimensions)})
    history = random_history(space, [float(i % 7) for i in range(20)])
    assert_valid_and_new(space, history, BayesSampler().suggest(view(space, history)).params)


def test_three_objectives_and_a_constraint_nobody_keeps() -> None:
    space = SearchSpace(DEEP)
    results: list[Result] = [{"a": float(i), "b": 5.0 - i, "c": 1.0, "gb": 80.0 + i} for i in range(9)]
    seen = StudyView(
        space=space,
        objectives=tuple(Objective(m) for m in "abc"),
        constraints=(Constraint(metric="gb", max=70.0), Constraint(metric="unseen", min=0.0)),
        trials=view(space, random_history(space, results)).trials,
        number=9,
    )
    assert space.contains(BayesSampler().suggest(seen).params)


names = st.sampled_from(["a", "b", "c", "d"])
parameters = st.one_of(
    st.builds(lambda low, width: Float(low, low + width), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)),
    st.builds(lambda low, factor: Float(low, low * factor, log=True), st.floats(1e-9, 1.0), st.floats(1.5, 1e9)),
    st.builds(lambda low, width: Int(low, low + width), st.integers(-(10**6), 10**6), st.integers(1, 10**17)),
    st.builds(lambda width: Int(1, 1 + width, log=True), st.integers(1, 10**12)),
    st.builds(lambda n, ordered: Choice(list(range(n)), ordered=ordered), st.integers(1, 6), st.booleans()),
    st.builds(Bool),
)
results = st.one_of(st.floats(allow_nan=True), st.sampled_from([FailureKind.OOM, FailureKind.LOST, None]))


@given(
    space=st.dictionaries(names, parameters, min_size=1, max_size=4),
    told=st.lists(results, max_size=14),
    seed=st.integers(0, 1000),
)
def test_what_it_proposes_is_valid_and_new_in_any_space(
    space: dict[str, Parameter], told: list[Result], seed: int
) -> None:
    parsed = SearchSpace(space)
    history = random_history(parsed, told, seed)
    try:
        params = BayesSampler().suggest(view(parsed, history, seed=seed)).params
    except SpaceExhausted:
        assert len({config_key(p) for p, _ in history}) <= 14
        assert math.isfinite(parsed.cardinality)
    else:
        assert_valid_and_new(parsed, history, params)


def test_it_tries_every_configuration_of_a_finite_space_once_and_then_says_so() -> None:
    space = SearchSpace(
        {
            "kind": Choice(["a", "b", "c"]),
            "n": Int(1, 3, when="kind == 'a'"),
            "flag": Bool(when="kind == 'b'"),
            "never": Int(0, 10**9, when="kind == 'a' and flag"),
        }
    )
    history: list[tuple[Params, Result]] = []
    for number in range(6):
        params = BayesSampler().suggest(view(space, history)).params
        assert_valid_and_new(space, history, params)
        history.append((params, float(number % 3)))
    with pytest.raises(SpaceExhausted, match="all 6 configurations"):
        BayesSampler().suggest(view(space, history))


def test_pending_trials_keep_a_batch_apart() -> None:
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    history = random_history(space, [0.5, 0.4, 0.9, 0.3, 0.8, 0.2])
    for _ in range(6):
        history.append((BayesSampler().suggest(view(space, history)).params, None))
    batch = np.array([[float(p["x"]), float(p["y"])] for p, r in history if r is None])  # type: ignore[arg-type]
    gaps = np.abs(batch[:, None] - batch[None]).max(axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() > 0.01


def test_no_point_is_proposed_next_to_a_known_one() -> None:
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    history: list[tuple[Params, Result]] = []
    for _ in range(40):
        params = BayesSampler().suggest(view(space, history)).params
        x, y = float(params["x"]), float(params["y"])  # type: ignore[arg-type]
        known = np.array([[p["x"], p["y"]] for p, _ in history], dtype=float).reshape(-1, 2)
        assert (np.abs(known - [x, y]).max(axis=1) > NEAR).all()
        history.append((params, (x - 0.3) ** 2 + (y - 0.3) ** 2))


def test_a_fresh_process_proposes_the_same() -> None:
    space = SearchSpace(DEEP)
    history = random_history(space, [0.1, 0.7, FailureKind.OOM, 0.3, 0.4, 0.9, None, 0.2])
    here = BayesSampler().suggest(view(space, history, seed=3)).params
    assert here == BayesSampler().suggest(view(space, history, seed=3)).params
    script = (
        f"import sys, json; sys.path[:] = {sys.path!r}\n"
        f"from fakes.views import view\n"
        f"from tunesmith.agent.sampler.bayes import BayesSampler\n"
        f"from tunesmith.study.space.parameters import Bool, Choice, Float, Int\n"
        f"from tunesmith.study.trials.trial import FailureKind\n"
        f"kinds = {{kind.value: kind for kind in FailureKind}}\n"
        f"history = [(p, kinds.get(r, r) if isinstance(r, str) else r) for p, r in {history!r}]\n"
        f"space = {dict(DEEP)!r}\n"
        f"print(json.dumps(dict(BayesSampler().suggest(view(space, history, seed=3)).params)))\n"
    ).replace("<FailureKind.OOM: 'oom'>", "'oom'")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == here


def test_ten_thousand_trials_are_no_trouble() -> None:
    space = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(10)})
    history = random_history(space, [float(np.sin(i)) for i in range(10_000)])
    assert_valid_and_new(space, history, BayesSampler().suggest(view(space, history)).params)
