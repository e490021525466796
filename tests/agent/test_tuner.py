"""Ask and tell through the public Python API."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fakes.llm.answers import ScriptedModel, candidates_text

import tunesmith as ts
from tunesmith.agent.llm.client.failures.errors import Down, ModelDown
from tunesmith.agent.llm.client.types import CallRecord
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.prompts.message import Message
from tunesmith.study.errors import HistoryError, SpaceExhausted, SpecError
from tunesmith.study.trials.trial import FailureKind, TrialState
from tunesmith.study.trials.view import StudyView

SPACE = {
    "lr": ts.Float(1e-5, 1, log=True, default=1e-3),
    "layers": ts.Int(1, 8),
    "opt": ts.Choice(["adam", "sgd"]),
    "batch": ts.Choice([16, 32, 64], ordered=True),
    "momentum": ts.Float(0, 0.99, when="opt in ['sgd']"),
}


def bowl(params: Mapping[str, object]) -> float:
    return (math.log10(float(str(params["lr"]))) + 2) ** 2 + abs(int(str(params["layers"])) - 3)


def test_the_default_is_always_trial_0() -> None:
    with ts.Tuner(SPACE) as tuner:
        trial = tuner.ask()
        assert trial.number == 0
        assert trial.source == "default"
        assert trial.params["lr"] == 1e-3
        assert tuner.ask().source == "sampler"


def test_a_space_without_defaults_starts_with_the_sampler() -> None:
    with ts.Tuner({"x": ts.Float(0, 1)}) as tuner:
        assert tuner.ask().source == "sampler"


@pytest.mark.parametrize("planner", ["bayes", "random", "optuna-tpe", "optuna-gp"])
def test_every_planner_improves_on_the_default_and_is_repeatable(planner: str) -> None:
    best = ts.minimize(bowl, SPACE, trials=14, planner=planner, seed=3)
    assert best.value < bowl(SPACE_DEFAULT)
    assert ts.minimize(bowl, SPACE, trials=14, planner=planner, seed=3) == best


SPACE_DEFAULT = {"lr": 1e-3, "layers": 5}


def test_maximize_finds_the_largest_value() -> None:
    with ts.Tuner({"x": ts.Float(0, 1)}, metric="acc", direction="maximize", planner="random") as tuner:
        for value in (0.2, 0.9, 0.4):
            tuner.tell(tuner.ask(), value)
        assert tuner.best is not None
        assert tuner.best.value == 0.9


def test_several_metrics_and_a_curve_are_given_by_name() -> None:
    with ts.Tuner(SPACE, metric=["loss", "size"], direction=["minimize", "minimize"]) as tuner:
        trial = tuner.ask()
        tuner.tell(trial, {"loss": 0.5}, step=1)
        with pytest.raises(SpecError, match="size .*missing"):
            tuner.tell(trial, {"loss": 0.5})
        tuner.tell(trial, {"loss": 0.4, "size": 3, "extra": 1})
        assert tuner.trials[0].values == {"loss": 0.4, "size": 3.0, "extra": 1.0}


def test_nan_fails_a_trial_and_a_failure_has_kind_and_reason() -> None:
    with ts.Tuner(SPACE) as tuner:
        tuner.tell(tuner.ask(), math.nan)
        tuner.fail(tuner.ask(), "oom", "CUDA out of memory", tail="x" * 9000)
        first, second = tuner.trials
        assert first.failure is not None
        assert first.failure.kind is FailureKind.NAN
        assert second.failure is not None
        assert (second.failure.kind, second.failure.reason) == (FailureKind.OOM, "CUDA out of memory")
        assert len(second.failure.tail) == 4000
        assert tuner.best is None


def test_a_trial_can_be_finished_only_once() -> None:
    with ts.Tuner(SPACE) as tuner:
        trial = tuner.ask()
        tuner.tell(trial, 1.0)
        with pytest.raises(SpecError, match="not open"):
            tuner.tell(trial, 2.0)
        with pytest.raises(SpecError, match="did you mean oom"):
            tuner.fail(tuner.ask(), "ooom")


def test_a_tuner_resumes_the_study_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with ts.Tuner(SPACE, planner="random", history=path) as tuner:
        tuner.tell(tuner.ask(), 1.0)
        left_open = tuner.ask()
        with pytest.raises(HistoryError, match="is being written by process"):
            ts.Tuner(SPACE, planner="random", history=path)
    with ts.Tuner(SPACE, planner="random", history=path) as tuner:
        again = tuner.ask()
        assert again == left_open
        assert tuner.trials[1].attempt == 2
        tuner.tell(again, 0.5)
        assert [t.state for t in tuner.trials] == [TrialState.COMPLETE] * 2


@pytest.mark.parametrize("planner", ["bayes", "random", "optuna-tpe", "optuna-gp"])
def test_interrupted_and_uninterrupted_tuners_ask_the_same(planner: str, tmp_path: Path) -> None:
    def ask_some(tuner: ts.Tuner, count: int) -> list[object]:
        asked = []
        for _ in range(count):
            trial = tuner.ask()
            asked.append((trial.number, dict(trial.params), trial.seed))
            if trial.number % 4 == 2:
                tuner.fail(trial, "crash", "on purpose")
            else:
                tuner.tell(trial, bowl(trial.params))
        return asked

    with ts.Tuner(SPACE, planner=planner, seed=5) as whole:
        expected = ask_some(whole, 12)
    for cut in (1, 4, 9):
        path = tmp_path / f"{cut}.db"
        with ts.Tuner(SPACE, planner=planner, seed=5, history=path) as first:
            asked = ask_some(first, cut)
        with ts.Tuner(SPACE, planner=planner, seed=5, history=path) as second:
            asked += ask_some(second, 12 - cut)
        assert asked == expected


def test_an_exception_fails_only_its_trial() -> None:
    calls = 0

    def sometimes(params: Mapping[str, object]) -> float:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise RuntimeError("no luck")
        return bowl(params)

    best = ts.minimize(sometimes, SPACE, trials=10, planner="random")
    assert best.number % 2 == 1


def test_if_every_call_fails_the_error_contains_the_last_reason() -> None:
    def never(params: Mapping[str, object]) -> float:
        raise MemoryError("too big")

    with pytest.raises(SpecError, match="MemoryError: too big"):
        ts.minimize(never, SPACE, trials=3, planner="random")


@pytest.mark.parametrize("planner", ["bayes", "random", "optuna-tpe"])
def test_a_finite_space_is_tried_completely_and_then_exhausted(planner: str) -> None:
    space = {"a": ts.Bool(), "b": ts.Choice(["x", "y", "z"]), "c": ts.Int(1, 2, when="a")}
    with ts.Tuner(space, planner=planner) as tuner:
        seen = set()
        for _ in range(9):
            trial = tuner.ask()
            seen.add(tuple(trial.params.items()))
            tuner.tell(trial, 0.0)
        assert len(seen) == 9
        with pytest.raises(SpaceExhausted):
            tuner.ask()


def test_open_trials_are_not_proposed_again() -> None:
    with ts.Tuner({"b": ts.Choice([1, 2, 3, 4])}, planner="bayes") as tuner:
        assert {tuner.ask().params["b"] for _ in range(4)} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planner": "bayse"}, "did you mean bayes"),
        ({"planner": "hybrid"}, "needs one"),
        ({"learn_from": ["nothing"]}, "no study 'nothing'"),
        ({"direction": "minimise"}, "minimize"),
        ({"metric": "val\nloss"}, "metric"),
        ({"seed": -1}, "seed"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises((SpecError, HistoryError), match=message):
        ts.Tuner(SPACE, **options)  # type: ignore[arg-type]


def test_every_public_name_can_be_loaded() -> None:
    for name in ts.__all__:
        try:
            assert getattr(ts, name) is not None
        except ImportError as error:
            # An adapter for a package that is not installed says how to get it.
            assert f"tunesmith[{name}]" in str(error)  # noqa: PT017
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ts.nothing  # noqa: B018


def test_a_tuner_learns_from_an_earlier_study_in_the_same_file(tmp_path: Path) -> None:
    space = {"x": ts.Float(0, 1), "y": ts.Float(0, 1)}

    def loss(params: Mapping[str, object]) -> float:
        return (float(str(params["x"])) - 0.8) ** 2 + (float(str(params["y"])) - 0.3) ** 2

    file = tmp_path / "h.db"
    ts.minimize(loss, space, trials=20, history=file, name="first")
    with ts.Tuner(space, history=file, name="second", learn_from=["first"]) as tuner:
        assert loss(tuner.ask().params) < 0.01
    with pytest.raises(SpecError, match="did you mean"):
        ts.Tuner(space, history=file, name="third", learn_from=["frist"])
    with ts.Tuner(space, history=file, name="first") as tuner:
        assert len(tuner.trials) == 20


def test_a_custom_sampler_proposes() -> None:
    class Corner:
        def suggest(self, view: StudyView) -> Suggestion:
            return Suggestion(params={"x": 1.0 - 0.01 * view.number})

    with ts.Tuner({"x": ts.Float(0, 1)}, planner=Corner()) as tuner:
        assert [tuner.ask().params["x"] for _ in range(3)] == [1.0, 0.99, 0.98]


REQUESTS: dict[str, tuple[dict[str, object], str]] = {
    "a wider range": ({"action": "range", "name": "layers", "high": 16}, "let layers range to 16"),
    "a new parameter": ({"action": "parameter", "name": "dropout", "low": 0, "high": 0.5}, "add a parameter dropout"),
    "a derived value": (
        {"action": "derive", "name": "width", "condition": "64 * layers"},
        "derive width = 64 * layers",
    ),
    "a pin": ({"action": "pin", "name": "opt", "value": "adam"}, "pin opt at adam"),
    "fewer choices": ({"action": "values", "name": "batch", "values": [32, 64]}, "keep only 32, 64 of batch"),
    "a narrower range": ({"action": "range", "name": "lr", "low": 1e-3}, "let lr range from 0.001"),
    "a rule": ({"action": "forbid", "condition": "lr > 0.1"}, "forbid lr > 0.1"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_the_llm_asks_for_reaches_the_caller(name: str, caplog: pytest.LogCaptureFixture) -> None:
    request, text = REQUESTS[name]
    prompts: list[str] = []

    def asking(n: int, messages: Sequence[Message]) -> str:
        prompts.append("\n".join(m.text for m in messages))
        answer = json.loads(candidates_text([{"lr": 10 ** -(1 + 0.1 * n), "layers": 3, "opt": "adam", "batch": 32}]))
        return json.dumps({**answer, "requests": [{**request, "why": "the best trials need it"}] if n == 0 else []})

    with caplog.at_level("WARNING", logger="tunesmith"), ts.Tuner(SPACE, model=ScriptedModel(asking)) as tuner:
        while len(prompts) < 3:
            asked = tuner.ask()
            tuner.tell(asked, bowl(asked.params))
        (found,) = tuner.requests
        assert {name for t in tuner.trials for name in t.params} <= set(SPACE)
    assert found.text.startswith(text)
    assert found.why == "the best trials need it"
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"the LLM asks: {found.text} (the best trials need it)" in line
    assert "the person is asked" in prompts[-1]


def test_requests_for_a_parameter_that_does_not_exist_are_answered_and_not_passed_on() -> None:
    prompts: list[str] = []

    def asking(n: int, messages: Sequence[Message]) -> str:
        prompts.append("\n".join(m.text for m in messages))
        answer = json.loads(candidates_text([{"lr": 10 ** -(1 + 0.1 * n), "layers": 3, "opt": "adam", "batch": 32}]))
        return json.dumps({**answer, "requests": [{"action": "range", "name": "layer", "high": 16}]})

    with ts.Tuner(SPACE, model=ScriptedModel(asking)) as tuner:
        while len(prompts) < 3:
            asked = tuner.ask()
            tuner.tell(asked, bowl(asked.params))
        assert tuner.requests == ()
    assert "there is no parameter 'layer'; did you mean layers?" in prompts[-1]


def test_a_model_that_is_down_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def down(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        raise ModelDown(Down.AUTH, "the key was refused", call=CallRecord(model="m"))

    with caplog.at_level("WARNING", logger="tunesmith"), ts.Tuner(SPACE, model=ScriptedModel(down)) as tuner:
        for _ in range(4):
            asked = tuner.ask()
            tuner.tell(asked, bowl(asked.params))
    assert [record.getMessage() for record in caplog.records] == ["the key was refused; only the sampler proposes now"]


def test_a_request_counts_although_no_candidate_of_its_answer_can_run() -> None:
    asked = {"action": "parameter", "name": "dropout", "why": "it overfits"}

    def useless(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        answer = json.loads(candidates_text([{"lr": 99.0, "layers": 3, "opt": "adam", "batch": 32}]))
        return json.dumps({**answer, "requests": [asked]})

    with ts.Tuner(SPACE, model=ScriptedModel(useless)) as tuner:
        for _ in range(2):
            trial = tuner.ask()
            tuner.tell(trial, bowl(trial.params))
        assert [request.text for request in tuner.requests][:1] == ["add a parameter dropout"]
