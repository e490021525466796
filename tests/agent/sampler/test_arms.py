"""Arms of an algorithm choice: each runs once, the others get trials while the search stalls, and people see why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from fakes.views import Params, Result, trial, view

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.study.config.changes import Steering
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Source
from tunesmith.study.trials.view import Constraint, StudyView
from tunesmith.tools.analysis.arms import ArmRecord, arm_by_bound, arm_lines, excluded_arms, records_of

MODELS: Mapping[str, Parameter] = {
    "model": Choice(["svm", "knn", "forest", "mlp"], arms=True, default="knn"),
    "c": Float(1e-3, 1e3, log=True, default=1.0, when="model == 'svm'"),
    "neighbors": Int(1, 50, log=True, default=5, when="model == 'knn'"),
    "features": Float(0.0, 1.0, default=0.5, when="model == 'forest'"),
    "rate": Float(1e-4, 1.0, log=True, default=1e-2, when="model == 'mlp'"),
    "scale": Choice(["none", "std"], default="std"),
}
SPACE = SearchSpace(MODELS)
MODES: Mapping[str, Params] = {
    "knn": {"model": "knn", "neighbors": 5, "scale": "std"},
    "svm": {"model": "svm", "c": 1.0, "scale": "std"},
    "forest": {"model": "forest", "features": 0.5, "scale": "std"},
    "mlp": {"model": "mlp", "rate": 1e-2, "scale": "std"},
}


def arm_of(seen: StudyView) -> Params:
    params = BayesSampler().suggest(seen).params
    assert seen.space.check(params) == []
    return params


def refined(count: int, first: Mapping[str, float]) -> list[tuple[Params, Result]]:
    """Return the arms' first trials, then `count` of knn that are no better."""
    history: list[tuple[Params, Result]] = [(MODES[name], value) for name, value in first.items()]
    return [*history, *(({**MODES["knn"], "neighbors": 6 + i}, 1.0 + 0.01 * i) for i in range(count))]


@pytest.mark.parametrize(
    ("done", "following"),
    [
        ({"knn": 1.0}, "svm"),
        ({"knn": 1.0, "svm": 2.0}, "forest"),
        ({"knn": 1.0, "svm": FailureKind.OOM}, "forest"),
        ({"knn": 1.0, "mlp": 0.5}, "svm"),
        ({"knn": 1.0, "mlp": 0.5, "svm": None}, "forest"),
        ({"knn": None, "svm": None, "forest": None}, "mlp"),
        ({"knn": FailureKind.NAN, "svm": 3.0, "forest": 2.0}, "mlp"),
    ],
)
def test_each_arm_runs_once_at_its_default_whoever_proposes(done: Mapping[str, Result], following: str) -> None:
    seen = view(SPACE, [(MODES[name], result) for name, result in done.items()])
    by_llm = [replace(t, proposal=replace(t.proposal, source=Source.LLM)) for t in seen.trials]
    assert arm_of(seen) == arm_of(replace(seen, trials=tuple(by_llm))) == MODES[following]


def test_an_arm_that_a_rule_forbids_gets_no_first_trial() -> None:
    space = SearchSpace(MODELS, forbid=["model == 'svm'"])
    assert arm_of(view(space, [(MODES["knn"], 1.0)])) == MODES["forest"]
    without = [(MODES[name], 1.0) for name in ("knn", "forest", "mlp")]
    assert arm_of(view(space, without))["model"] != "svm"


def test_an_arm_without_defaults_runs_first_where_names_say_or_in_the_middle() -> None:
    space = {n: p if n in ("model", "scale") else replace(p, default=None) for n, p in MODELS.items()}  # type: ignore[type-var]
    found = arm_of(view(space, [({"model": "knn", "neighbors": 7, "scale": "std"}, 1.0)]))
    assert found["model"] == "svm"


def test_a_stalled_search_gives_every_third_trial_to_another_arm() -> None:
    first = {"knn": 0.9, "svm": 1.2, "forest": 2.0, "mlp": 3.0}
    history = refined(11, first)
    assert len(history) % 3 == 0
    assert arm_of(view(SPACE, history))["model"] == "svm"
    improving = [*history[:-1], (history[-1][0], 0.5)]
    assert "may still rise" not in BayesSampler().suggest(view(SPACE, improving)).rationale


def test_an_arm_with_its_own_model_proposes_within_its_parameters() -> None:
    first = {"knn": 0.9, "svm": 1.2, "forest": 2.0, "mlp": 3.0}
    history = [*refined(5, first), *(({**MODES["svm"], "c": 10.0**i}, 0.9001 + 1e-4 * abs(i)) for i in (-2, -1, 1, 2))]
    history += [({**MODES["knn"], "neighbors": 20 + i}, 1.5) for i in range(2)]
    assert len(history) % 3 == 0
    found = BayesSampler().suggest(view(SPACE, history))
    assert found.params["model"] == "svm"
    assert found.prediction is not None


def steered(seen: StudyView, steering: Steering) -> StudyView:
    return replace(seen, excluded_arms=excluded_arms(seen.space, steering))


@pytest.mark.parametrize(
    ("steering", "left"),
    [
        (Steering({"model": "svm"}), {"svm"}),
        (Steering({}, ("model == 'knn'", "model == 'mlp'")), {"svm", "forest"}),
        (Steering({}, ("model != 'forest'",)), {"forest"}),
        (Steering({"model": "mlp"}, ("rate > 0.5",)), {"mlp"}),
    ],
)
@pytest.mark.parametrize("first", [{"knn": 0.1}, {"knn": 0.1, "svm": 0.9, "forest": 0.8, "mlp": 0.7}])
def test_a_study_with_pins_or_vetoes_leaves_its_first_phase_and_stays_within_the_arms(
    steering: Steering, left: set[str], first: dict[str, float]
) -> None:
    seen, said = view(SPACE, [(MODES[name], value) for name, value in first.items()]), []
    for number in range(12):
        found = BayesSampler().suggest(steered(seen, steering))
        assert found.params["model"] in left
        said.append(found.rationale)
        seen = replace(
            seen, trials=(*seen.trials, trial(seen.number, found.params, 1.0 + number)), number=seen.number + 1
        )
    assert "first" in said[0]
    assert "expected" in said[-1]


def test_a_veto_that_also_asks_for_another_parameter_or_excludes_every_arm_leaves_the_arms_as_they_are() -> None:
    for vetoes in (("model == 'knn' and neighbors > 3",), ("model != 'svm'", "model == 'svm'")):
        assert excluded_arms(SPACE, Steering({}, vetoes)) == ()


def test_arms_do_no_harm_with_several_objectives() -> None:
    history: list[tuple[Params, Result]] = [
        (params, {"a": float(i), "b": float(-i)}) for i, params in enumerate(MODES.values())
    ]
    history += [({**MODES["knn"], "neighbors": 6 + i}, {"a": 9.0, "b": 9.0}) for i in range(8)]
    assert arm_of(view(SPACE, history, metrics=("a", "b")))


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ([ArmRecord(3, (1.0, 1.1, 1.2)), ArmRecord(1, (1.5,)), ArmRecord(1, (3.0,))], 1),
        ([ArmRecord(9, (1.0, 1.1, 1.2)), ArmRecord(9, (1.5,)), ArmRecord(1, (3.0,))], 2),
        ([ArmRecord(1, (1.0,)), ArmRecord(3), ArmRecord(0)], 2),
        ([ArmRecord(4, (1.0, 1.0)), ArmRecord(2, (1.0,)), ArmRecord(2, (1e30,))], 2),
        ([ArmRecord(2, (-1e30,)), ArmRecord(2, (0.0,)), ArmRecord(2, (1.0,))], 1),
    ],
)
def test_the_bound_prefers_what_is_near_the_best_and_had_few_trials(records: list[ArmRecord], chosen: int) -> None:
    assert arm_by_bound(records) == chosen


def test_a_search_is_stalled_after_five_trials_without_a_better_value() -> None:
    assert records_of([0, 1, 0, 0, 0], [3.0, 2.0, 2.5, float("nan"), 2.0], 2)[1] is False
    assert records_of([0, 1, 0, 0, 0, 1, 1], [3.0, 2.0, 2.5, float("nan"), 2.0, 4.0, 5.0], 2)[1] is True


@pytest.mark.parametrize("maximize", [False, True])
def test_people_see_a_line_for_each_arm(maximize: bool) -> None:
    sign = -1.0 if maximize else 1.0
    history = [(MODES["knn"], 0.5 * sign), (MODES["svm"], 0.3 * sign), ({**MODES["svm"], "c": 3.0}, 0.2 * sign)]
    seen = view(SPACE, [*history, (MODES["forest"], FailureKind.OOM)], maximize=maximize)
    lines = [line.text for line in arm_lines(seen, seen.trials)]
    minus = "-" if maximize else ""
    assert lines == [
        f"svm: 2 trials (50%), best {minus}0.2000, holds the best value, still rising",
        f"knn: 1 trial (25%), best {minus}0.5000, 0.30 behind the best; mlp comes first, which has no value yet",
        "forest: 1 trial (25%), no trial has a value yet",
        "mlp: 0 trials (0%), no trial yet",
    ]
    failed = view(SPACE, [*history, *((MODES[name], FailureKind.OOM) for name in ("forest", "mlp"))], maximize=maximize)
    assert "forest comes first, which has no value yet" in arm_lines(failed, failed.trials)[1].text
    known = view(SPACE, [*history, *((MODES[name], 0.4 * sign) for name in ("forest", "mlp"))], maximize=maximize)
    lines = [line.text for line in arm_lines(known, known.trials)]
    assert [line for line in lines if "knn" in line][0].endswith("0.30 behind the best; another arm has a better bound")


def test_an_arm_whose_trials_break_a_bound_has_no_best() -> None:
    seen = view(SPACE, [(MODES["knn"], {"loss": 0.1, "mem": 9.0}), (MODES["svm"], {"loss": 0.3, "mem": 1.0})])
    bounded = replace(seen, constraints=(Constraint(metric="mem", max=2.0),))
    lines = [line.text for line in arm_lines(bounded, seen.trials)]
    assert lines[0] == "svm: 1 trial (50%), best 0.3000, holds the best value"
    assert "knn: 1 trial (50%), no trial keeps every bound" in lines


def test_with_several_objectives_an_arm_is_judged_by_the_front() -> None:
    values = [{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 2.0}, {"a": 3.0, "b": 3.0}]
    history = [(MODES[name], v) for name, v in zip(("knn", "svm", "forest"), values, strict=True)]
    seen = view(SPACE, history, metrics=("a", "b"))
    lines = [line.text for line in arm_lines(seen, seen.trials)]
    assert lines[:3] == [
        "svm: 1 trial (33%), 1 of 2 trials of the front",
        "knn: 1 trial (33%), 1 of 2 trials of the front",
        "forest: 1 trial (33%), none of the front",
    ]
    assert not any("bound" in line for line in lines)


def test_people_see_that_a_pin_or_a_veto_excludes_an_arm() -> None:
    seen = view(SPACE, [(MODES["knn"], 0.5), (MODES["svm"], 0.7), (MODES["forest"], 0.6)])
    lines = [line.text for line in arm_lines(seen, seen.trials, ("forest", "mlp"))]
    bound = "has the best bound, so it is tried again when the search stalls"
    assert lines == [
        "knn: 1 trial (33%), best 0.5000, holds the best value",
        "forest: 1 trial (33%), best 0.6000, 0.10 behind the best; a pin or veto excludes it from further trials",
        f"svm: 1 trial (33%), best 0.7000, 0.20 behind the best; {bound}",
        "mlp: 0 trials (0%), no trial; a pin or veto excludes it",
    ]


def test_a_space_without_arms_and_a_study_without_trials_have_no_lines() -> None:
    plain = SearchSpace({"x": Float(0.0, 1.0)})
    assert arm_lines(view(plain, []), [trial(0, {"x": 0.5}, 1.0)]) == []
    assert arm_lines(view(SPACE, []), []) == []
