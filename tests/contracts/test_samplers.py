"""What every sampler of the registry promises: valid, new and repeatable suggestions on any space and history."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes.views import Params, Result, trial, view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.candidates.deduplication import every_configuration, random_params
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.study import optional_packages
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.errors import ProjectError, SpaceExhausted, SpecError
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import noise_seed
from tunesmith.study.trials.trial import FailureKind, Outcome, Source, TrialState
from tunesmith.study.trials.view import Constraint, Fidelity, Objective, StudyView

CONDITIONAL = SearchSpace(
    {
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
)
SQUARE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
FINITE = SearchSpace(
    {
        "kind": Choice(["a", "b", "c"]),
        "n": Int(1, 3, when="kind == 'a'"),
        "flag": Bool(when="kind == 'b'"),
        "never": Int(0, 10**9, when="kind == 'a' and flag"),
    }
)
NAN, INF = math.nan, math.inf
HISTORIES: dict[str, list[Result]] = {
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
    "only nan": [NAN] * 6,
    "all failed": [FailureKind.OOM] * 12,
    "one succeeded": [*[FailureKind.NAN] * 9, 0.5],
    "one failed": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, FailureKind.TIMEOUT],
    "lost with the machine": [FailureKind.LOST] * 6,
    "all pending": [None] * 9,
    "some pending": [0.1, None, 0.3, None, 0.5, FailureKind.OOM, None, 0.2],
    "no metric": [{"other": 1.0}] * 7,
}
MIXED_RESULTS: list[Result] = [0.1, 0.7, FailureKind.OOM, 0.3, 0.4, 0.9, None, 0.2]


PACKAGES = {
    "optuna-gp": "torch", "nevergrad": "nevergrad", "cma-es": "cmaes", "smac": "smac", "turbo": "botorch",
}  # fmt: skip
SLOW = ("smac", "turbo")
"""Samplers that take seconds for a suggestion; here they are tested by one study, and each night as the others are."""


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.nightly] if n in SLOW else []) for n in SAMPLERS])
def name(request: pytest.FixtureRequest) -> str:
    found = str(request.param)
    if found in PACKAGES:
        pytest.importorskip(PACKAGES[found])
    return found


@pytest.fixture
def sampler(name: str) -> Sampler:
    return make_sampler(name)


def random_history(space: SearchSpace, results: Sequence[Result], seed: int = 0) -> list[tuple[Params, Result]]:
    rng = np.random.default_rng(seed)
    return [(random_params(space, rng), result) for result in results]


def suggest_new(sampler: Sampler, seen: StudyView) -> Params:
    """Return the suggestion, which must be valid and differ from every configuration that counts as tried."""
    suggestion = sampler.suggest(seen)
    assert seen.space.check(suggestion.params) == []
    tried = {config_key(t.params) for t in seen.trials if seen.counts_as_tried(t)}
    assert config_key(suggestion.params) not in tried
    assert suggestion.rationale
    assert "\n" not in suggestion.rationale
    if suggestion.prediction is not None:
        assert math.isfinite(suggestion.prediction.mean)
        assert math.isfinite(suggestion.prediction.std)
    return suggestion.params


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match="did you mean bayes"):
        make_sampler("bayse")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named_with_its_install_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_packages, "is_installed", lambda package: package == "optuna")
    with pytest.raises(ProjectError, match=rf"the sampler {name} needs the package {PACKAGES[name]}.*run: pip install"):
        make_sampler(name)


@pytest.mark.parametrize("results", HISTORIES.values(), ids=HISTORIES.keys())
def test_a_suggestion_is_valid_and_new_after_any_history(sampler: Sampler, results: list[Result]) -> None:
    suggest_new(sampler, view(CONDITIONAL, random_history(CONDITIONAL, results)))


@pytest.mark.parametrize("maximize", [False, True])
def test_conditional_parameters_are_there_exactly_while_they_are_active(sampler: Sampler, maximize: bool) -> None:
    history: list[tuple[Params, Result]] = []
    for number in range(14):
        params = suggest_new(sampler, view(CONDITIONAL, history, maximize=maximize))
        assert set(params) == set(CONDITIONAL.active(params))
        history.append((params, float(number % 5)))


def test_the_same_view_gives_the_same_suggestion_whatever_was_asked_before(name: str) -> None:
    seen = view(CONDITIONAL, random_history(CONDITIONAL, MIXED_RESULTS), seed=3)
    used = make_sampler(name)
    used.suggest(view(SQUARE, random_history(SQUARE, [0.5, 0.1, 0.2]), seed=9))
    assert used.suggest(seen) == make_sampler(name).suggest(seen) == used.suggest(seen)


def test_another_seed_gives_another_suggestion(sampler: Sampler) -> None:
    history = random_history(SQUARE, [0.4])
    assert len({config_key(sampler.suggest(view(SQUARE, history, seed=seed)).params) for seed in range(4)}) > 1


def test_a_fresh_process_gives_the_same_suggestion(name: str) -> None:
    history = random_history(CONDITIONAL, MIXED_RESULTS)
    here = make_sampler(name).suggest(view(CONDITIONAL, history, seed=3)).params
    script = (
        f"import sys, json; sys.path[:] = {sys.path!r}\n"
        f"from fakes.views import view\n"
        f"from tunesmith.agent.sampler.registry import make_sampler\n"
        f"from tunesmith.study.space.parameters import Bool, Choice, Float, Int\n"
        f"from tunesmith.study.trials.trial import FailureKind\n"
        f"kinds = {{kind.value: kind for kind in FailureKind}}\n"
        f"history = [(p, kinds.get(r, r) if isinstance(r, str) else r) for p, r in {history!r}]\n"
        f"space = {dict(CONDITIONAL.parameters)!r}\n"
        f"print(json.dumps(dict(make_sampler({name!r}).suggest(view(space, history, seed=3)).params)))\n"
    ).replace("<FailureKind.OOM: 'oom'>", "'oom'")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == here


@pytest.mark.parametrize("dimensions", [1, 2, 40])
def test_spaces_may_have_1_to_40_parameters(sampler: Sampler, dimensions: int) -> None:
    space = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(dimensions)})
    suggest_new(sampler, view(space, random_history(space, [float(i % 7) for i in range(20)])))


def test_trials_that_run_at_once_have_different_configurations(sampler: Sampler) -> None:
    history = random_history(FINITE, [0.5])
    for _ in range(5):
        history.append((suggest_new(sampler, view(FINITE, history)), None))


@pytest.mark.parametrize("last", [0.2, FailureKind.OOM, None], ids=["complete", "failed", "pending"])
def test_every_configuration_of_a_finite_space_is_suggested_once_and_then_the_space_is_exhausted(
    sampler: Sampler, last: Result
) -> None:
    history: list[tuple[Params, Result]] = []
    every = {config_key(params) for params in every_configuration(FINITE)}
    for number in range(len(every)):
        params = suggest_new(sampler, view(FINITE, history))
        history.append((params, last if number % 2 else float(number)))
    assert {config_key(params) for params, _ in history} == every
    with pytest.raises(SpaceExhausted, match="all 6 configurations"):
        sampler.suggest(view(FINITE, history))


def test_what_ran_only_at_a_lower_fidelity_may_be_suggested_again(sampler: Sampler) -> None:
    space = SearchSpace({"x": Choice([1, 2, 3], ordered=True)})
    cheap = [trial(number, {"x": number + 1}, float(number)) for number in range(3)]
    cheap = [replace(t, proposal=replace(t.proposal, fidelity=1.0)) for t in cheap]
    seen = replace(view(space), trials=cheap, number=3, fidelity=Fidelity("epochs", 1, 27))
    assert sampler.suggest(seen).params["x"] in (1, 2, 3)


@pytest.mark.parametrize("values", [{"loss": 0.05}, {}], ids=["with a value", "without a value"])
def test_trials_that_were_stopped_early_do_no_harm(sampler: Sampler, values: Mapping[str, float]) -> None:
    seen = view(CONDITIONAL, random_history(CONDITIONAL, [0.1, 0.2, 0.3, 0.4, 0.5, None, None]))
    outcome = Outcome(state=TrialState.STOPPED, values=values, note="stopped")
    stopped = [replace(t, state=TrialState.STOPPED, outcome=outcome) for t in seen.trials[5:]]
    suggest_new(sampler, replace(seen, trials=[*seen.trials[:5], *stopped]))


@pytest.mark.parametrize("results", [[0.2, 0.3], [0.2, FailureKind.OOM], [FailureKind.OOM, FailureKind.OOM]])
def test_replicates_do_no_harm(sampler: Sampler, results: list[Result]) -> None:
    history = random_history(SQUARE, [0.5, 0.4, 0.3, 0.6, 0.2, 0.1])
    history[0] = (history[0][0], FailureKind.OOM)
    seen = view(SQUARE, [*history, *((history[index][0], r) for index, r in enumerate(results))])
    repeated = [
        replace(t, proposal=replace(t.proposal, source=Source.CONFIRM, replicate_of=i, seed=noise_seed(0, i)))
        for i, t in enumerate(seen.trials[6:])
    ]
    suggest_new(sampler, replace(seen, trials=[*seen.trials[:6], *repeated]))


@pytest.mark.parametrize("memory", [0.5, 80.0], ids=["kept", "violated by all"])
@pytest.mark.parametrize("metrics", [1, 2, 3])
def test_several_objectives_and_constraints(sampler: Sampler, metrics: int, memory: float) -> None:
    names = "abc"[:metrics]
    results: list[Result] = [{"a": float(i), "b": 5.0 - i, "c": 1.0, "gib": memory + i} for i in range(9)]
    results += [FailureKind.OOM, {"a": 1.0}, None]
    seen = StudyView(
        space=CONDITIONAL,
        objectives=tuple(Objective(metric) for metric in names),
        constraints=(Constraint(metric="gib", max=70.0), Constraint(metric="unmeasured", min=0.0)),
        trials=view(CONDITIONAL, random_history(CONDITIONAL, results)).trials,
        number=len(results),
    )
    suggest_new(sampler, seen)


PARAMETERS = st.one_of(
    st.builds(lambda low, width: Float(low, low + width), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)),
    st.builds(lambda low, factor: Float(low, low * factor, log=True), st.floats(1e-9, 1.0), st.floats(1.5, 1e9)),
    st.builds(lambda low, width: Int(low, low + width), st.integers(-(10**6), 10**6), st.integers(1, 10**17)),
    st.builds(lambda width: Int(1, 1 + width, log=True), st.integers(1, 10**12)),
    st.builds(lambda n, ordered: Choice(list(range(n)), ordered=ordered), st.integers(1, 6), st.booleans()),
    st.builds(Bool),
)
SPACES = st.dictionaries(st.sampled_from("abcd"), PARAMETERS, min_size=1, max_size=4)
RESULTS = st.lists(
    st.one_of(st.floats(allow_nan=True), st.sampled_from([FailureKind.OOM, FailureKind.LOST, None])), max_size=14
)


def check_any_space(name: str, parameters: dict[str, Parameter], results: list[Result], seed: int) -> None:
    space = SearchSpace(parameters)
    history = random_history(space, results, seed)
    try:
        suggest_new(make_sampler(name), view(space, history, seed=seed))
    except SpaceExhausted:
        tried = {config_key(params) for params, _ in history}
        assert tried == {config_key(params) for params in every_configuration(space)}


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n not in ("optuna-gp", "nevergrad", *SLOW)])
@settings(max_examples=50, deadline=None)
@given(parameters=SPACES, results=RESULTS, seed=st.integers(0, 1000))
def test_a_suggestion_is_valid_and_new_in_any_space(
    name: str, parameters: dict[str, Parameter], results: list[Result], seed: int
) -> None:
    check_any_space(name, parameters, results, seed)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_sampler_keeps_conditions_and_rules(name: str) -> None:
    pytest.importorskip(PACKAGES[name])
    space = SearchSpace(CONDITIONAL.parameters, forbid=["depth == 3", "lr > 0.5 and arch == 'mlp'"])
    results: list[Result] = [0.1, 0.7, FailureKind.OOM, 0.3, NAN, INF, None, 0.2, -1e30, 0.5, 0.4, 0.6, 0.35, 0.8]
    seen = view(space, random_history(space, results), constraints=[Constraint(metric="loss", max=0.65)])
    suggest_new(make_sampler(name), seen)


@pytest.mark.nightly
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parameters=SPACES, results=RESULTS, seed=st.integers(0, 1000))
def test_a_suggestion_of_optunas_gp_is_valid_and_new_in_any_space(
    parameters: dict[str, Parameter], results: list[Result], seed: int
) -> None:
    pytest.importorskip("torch")
    check_any_space("optuna-gp", parameters, results, seed)
