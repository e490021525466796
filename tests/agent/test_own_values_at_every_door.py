"""A value in another spelling becomes the parameter's own at each door that a configuration comes in by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import tunesmith as ts
from tunesmith.agent.adapters.optuna_view import declare
from tunesmith.agent.llm.candidates import validate_candidates
from tunesmith.agent.loop.commands.decisions import RunState, decide
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.study.commands import Bounds, Queue, command_json, parse_command
from tunesmith.study.config.changes import Steering, requested_change
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.template import argv
from tunesmith.study.space.condition import Value
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.earlier import project_to_space
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.tools.llm_tools.learning import complete_configuration

BIG = 2**53 + 1
SPACE = ts.SearchSpace({
    "batch": ts.Choice([16, 32], default=32),
    "weight": ts.Choice(["balanced", None]),
    "hashes": ts.Int(1, 10**17),
    "lr": ts.Float(0, 1),
    "amp": ts.Bool(),
})  # fmt: skip
DOCUMENT = {
    "study": {"name": "s", "metric": "v"},
    "run": {"command": "f --batch {batch} --hashes {hashes}"},
    "space": {
        "batch": {"type": "choice", "choices": [16, 32], "default": 32.0},
        "weight": {"type": "choice", "choices": ["balanced", "None"]},
        "hashes": {"type": "int", "low": 1, "high": 10**17},
        "lr": {"type": "float", "low": 0, "high": 1},
        "amp": {"type": "bool"},
    },
    "budget": {"trials": 3},
}
OWN: dict[str, Value] = {"batch": 16, "weight": None, "hashes": BIG, "lr": 1.0, "amp": True}
SPELLINGS: list[dict[str, Any]] = [
    dict(OWN),
    {"batch": 16.0, "weight": "None", "hashes": str(BIG), "lr": 1, "amp": "true"},
    {"batch": "16", "weight": "null", "hashes": f"{BIG}.0", "lr": "1", "amp": 1},
    {"batch": "1.6e1", "weight": "none", "hashes": f" {BIG} ", "lr": "1e0", "amp": "Yes"},
    {"batch": np.float32(16), "weight": None, "hashes": np.int64(BIG), "lr": np.float64(1), "amp": np.bool_(True)},
]
VIEW = StudyView(space=SPACE, objectives=(Objective("v"),))


def by_a_model(params: dict[str, Any]) -> Mapping[str, Value]:
    plain = SPACE.own_values(params) if any(hasattr(v, "dtype") for v in params.values()) else params
    (candidate,) = validate_candidates([{"params": plain}], VIEW).valid
    return candidate.params


def by_a_sampler(params: dict[str, Any]) -> Mapping[str, Value]:
    class Given:
        def suggest(self, view: StudyView) -> Suggestion:  # noqa: ARG002
            return Suggestion(params=params, rationale="")

    with ts.Tuner(SPACE, planner=Given()) as tuner:
        tuner.ask()  # the default
        return tuner.ask().params


DOORS: list[Callable[[dict[str, Any]], Mapping[str, Value] | None]] = [
    SPACE.parse,
    by_a_model,
    by_a_sampler,
    lambda params: complete_configuration(VIEW, params, "best"),
    lambda params: project_to_space(params, SPACE),
]


@pytest.mark.parametrize("spelled", SPELLINGS, ids=range(len(SPELLINGS)))
@pytest.mark.parametrize("door", DOORS, ids=["parse", "model", "sampler", "tool", "warm start"])
def test_every_door_makes_the_same_configuration(
    door: Callable[[dict[str, Any]], Mapping[str, Value] | None], spelled: dict[str, Any]
) -> None:
    found = door(spelled)
    assert found is not None
    assert repr(dict(found)) == repr(OWN)
    assert config_key(found) == config_key(OWN)
    assert argv("f {batch} {hashes} {lr} {amp}", found) == ["f", "16", str(BIG), "1.0", "true"]


@pytest.mark.parametrize("spelled", SPELLINGS[:4], ids=range(4))
def test_a_command_keeps_every_digit_and_the_studys_spelling_of_none(spelled: dict[str, Any]) -> None:
    spec = parse_spec(DOCUMENT)
    state = RunState(spec=spec, trials=[], running=frozenset(), steering=Steering({}), paused=False)
    (queued,) = decide(parse_command(command_json(Queue(params=spelled))), state).proposals
    assert repr(dict(queued.params)) == repr({**OWN, "weight": "None"})
    assert repr(spec.space.parameters["batch"].default) == "32"


def test_bounds_keep_digits_and_the_choices_that_are_there_already() -> None:
    high = requested_change(DOCUMENT, Bounds(name="hashes", high=BIG))
    assert repr(high.after["high"]) == str(BIG)
    choices = requested_change(DOCUMENT, Bounds(name="batch", choices=[32.0, 16.0, 64]))
    assert repr(choices.after["choices"]) == "[32, 16, 64]"


def test_a_model_may_leave_out_with_null_what_is_not_active_but_choose_none_where_it_is_a_choice() -> None:
    space = ts.SearchSpace({
        "opt": ts.Choice(["sgd", "adam"]),
        "momentum": ts.Float(0, 1, when="opt == 'sgd'"),
        "clip": ts.Choice([None, 1.0]),
    })  # fmt: skip
    view = StudyView(space=space, objectives=(Objective("v"),))
    raw: Sequence[Mapping[str, Any]] = [{"params": {"opt": "adam", "momentum": None, "clip": None}}]
    (candidate,) = validate_candidates(raw, view).valid
    assert dict(candidate.params) == {"opt": "adam", "clip": None}


def test_optunas_values_on_a_grid_are_the_grids_own() -> None:
    translation = declare(ts.SearchSpace({"x": ts.Float(0.1, 0.7, step=0.1), "b": ts.Choice([16, 32])}))
    trial = optuna.trial.create_trial(
        params={"x": 0.1 + 0.2, "b": 16}, distributions=dict(translation.distributions), value=1.0
    )
    assert translation.from_optuna(trial) == {"x": 0.3, "b": 16}


def test_none_is_a_value_in_an_exported_table(tmp_path: Path) -> None:
    from tunesmith.tools.interop.export.storages import csv
    from tunesmith.tools.interop.study_export import build_export

    space = {"weight": {"type": "choice", "choices": ["a", "None"]}}
    spec = parse_spec({**DOCUMENT, "space": space, "run": {"command": "f"}})
    csv.export(build_export(spec, [], [{"weight": None}]), str(tmp_path / "out.csv"))
    assert ",None," in (tmp_path / "out.csv").read_text(encoding="utf-8")
