"""What a model may answer: changes to a base, free parameters, repeats, requests; and the many ways to write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fakes.views import view

import tunesmith as ts
from tunesmith.agent.llm.answer_format import planner_format
from tunesmith.agent.llm.answers.intervals import Interval
from tunesmith.agent.llm.candidates import Candidate, validate_candidates
from tunesmith.agent.llm.requests import read_requests
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind

SPACE = SearchSpace(
    {
        "lr": ts.Float(1e-4, 1.0, log=True, default=0.01),
        "depth": ts.Int(1, 12, default=4),
        "opt": ts.Choice(["adam", "sgd"], default="adam"),
        "momentum": ts.Float(0.0, 0.99, when="opt == 'sgd'", default=0.9),
    }
)
DEFAULT = {"lr": 0.01, "depth": 4, "opt": "adam"}
KNOWN = view(
    SPACE, [(DEFAULT, 0.5), ({"lr": 0.1, "depth": 2, "opt": "adam"}, 0.4), ({**DEFAULT, "lr": 0.9}, FailureKind.NAN)]
)


def one(entry: Mapping[str, Any]) -> Candidate:
    found = validate_candidates([entry], KNOWN)
    assert not found.problems
    return found.valid[0]


def problem(entry: Mapping[str, Any]) -> str:
    (text,) = validate_candidates([entry], KNOWN).problems
    return text


CHANGED = {"lr": 0.1, "depth": 8, "opt": "adam"}


@pytest.mark.parametrize(
    "entry",
    [
        {"base": "#1", "changes": [{"name": "depth", "value": 8}]},
        {"base": "1", "changes": {"depth": 8}},
        {"base": "trial #1", "changes": [{"name": "depth", "value": "8"}]},
        {"base": 1, "changes": {"depth": 8.0}},
        {"base": "best", "changes": {"depth": 8}},
        {"base": "default", "changes": {"depth": 8, "lr": 0.1}},
        {"base": "", "changes": {"depth": 8, "lr": 0.1, "opt": "adam"}},
        {"base": None, "params": {"depth": 8, "lr": 0.1, "opt": "adam"}},
        {"depth": 8, "lr": 0.1, "opt": "adam"},
        {"base": "#1", "changes": [], "params": {"depth": 8, "momentum": None}},
    ],
)
def test_a_candidate_is_read_however_it_is_written(entry: Mapping[str, Any]) -> None:
    assert dict(one(entry).params) == CHANGED


def test_a_number_that_no_float_can_be_is_left_out_or_refused() -> None:
    huge = 10**400
    found = one({"base": "best", "changes": {"depth": 8}, "predicted": huge, "free": [{"name": "lr", "high": huge}]})
    assert found.predicted is None
    assert found.free["lr"] == Interval(1e-4, 1.0)
    assert "is out of range" in problem({"base": "best", "changes": {"depth": huge}})


def test_a_change_that_activates_a_parameter_brings_its_default() -> None:
    assert one({"base": "#1", "changes": {"opt": "sgd"}}).params == {
        "lr": 0.1,
        "depth": 2,
        "opt": "sgd",
        "momentum": 0.9,
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"base": "#99", "changes": {"depth": 8}}, "'#99' is not a trial; the last trial is #2"),
        ({"base": "the good one", "changes": {"depth": 8}}, "write #N, best or default"),
        ({"base": "#1", "changes": {"dept": 8}}, "did you mean depth"),
        ({"base": "#1", "changes": {"depth": 80}}, "out of range"),
        ({"base": "#1", "changes": {}}, 'is trial #1 again; to repeat it on another seed, give kind "confirm"'),
        ({"base": "", "changes": {"depth": 8}}, "is missing"),
        ({"kind": "confirm", "base": ""}, "names the trial that runs again"),
        ({"kind": "confirm", "base": "#2"}, "only a complete trial can run again"),
        ({"base": "#1", "free": [{"name": "width"}]}, "free.width: is not a parameter"),
        ({"base": "#1", "free": [{"name": "lr", "low": 5, "high": 9}]}, "range outside the search space"),
    ],
)
def test_a_wrong_candidate_is_told_what_is_wrong(entry: Mapping[str, Any], expected: str) -> None:
    assert expected in problem(entry)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"name": "lr", "low": 0.001, "high": 0.1}], {"lr": Interval(0.001, 0.1)}),
        ([{"name": "lr", "low": None, "high": None}], {"lr": Interval(1e-4, 1.0)}),
        ([{"name": "lr", "low": 0.5, "high": 99.0}], {"lr": Interval(0.5, 1.0)}),
        (["lr", "depth"], {"lr": Interval(1e-4, 1.0), "depth": Interval(1.0, 12.0)}),
        ({"opt": {}}, {"opt": Interval(0.0, 1.0)}),
        ([], {}),
        ("lr", {}),
    ],
)
def test_free_parameters_have_ranges_within_the_space(given: Any, expected: Mapping[str, Interval]) -> None:
    assert one({"base": "#1", "changes": {"depth": 8}, "free": given, "runs": 3}).free == expected


def test_a_confirmation_names_its_trial_and_needs_no_new_values() -> None:
    found = one({"kind": "confirm", "base": "#1", "changes": [{"name": "lr", "value": 0.3}]})
    assert (found.repeats, dict(found.params)) == (1, {"lr": 0.1, "depth": 2, "opt": "adam"})


def test_what_is_forbidden_is_a_problem_with_its_reason() -> None:
    raw = [{"base": "#1", "changes": {"depth": 9}}, {"base": "#1", "changes": {"depth": 3}}]
    found = validate_candidates(raw, KNOWN, lambda params: "no trial may have depth > 8" if params["depth"] > 8 else "")
    assert found.problems == ("candidate 1 no trial may have depth > 8",)
    assert len(found.valid) == 1


def test_requests_without_a_known_action_or_an_object_are_left_out() -> None:
    raw: list[Mapping[str, Any]] = [
        {"action": "pin", "name": "depth", "value": 8, "why": "it fits"},
        {"action": "format the disk", "name": "x"},
        {"action": "forbid", "condition": "depth > 8"},
        {"action": "values", "name": "opt", "values": ["adam", {"x": 1}]},
        {"action": "range", "name": "lr", "low": "NaN", "high": 2},
        {"action": "pin"},
    ]
    found = read_requests(raw)
    assert [r.text for r in found] == ["pin depth at 8", "forbid depth > 8", "keep only adam of opt"]


def test_the_answer_may_be_one_candidate_without_a_list() -> None:
    read = planner_format(SPACE).read
    assert len(read({"params": {"lr": 0.1}}).candidates) == 1
    assert len(read({"base": "#1", "changes": []}).candidates) == 1
    assert read({"candidates": [{"params": {}}], "requests": "none"}).requests == ()
    with pytest.raises(ValueError, match="at least one candidate"):
        read({"candidates": ["lr=3"]})
