"""The callbacks for Lightning and Transformers, and `tunesmith.report`: no metric's name or value ends a training.

The packages are replaced by a base class each, so that these tests need neither; `test_live_adapters.py` uses the
real ones where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tunesmith as ts

NAMES = ["step", "epoch", "self", "metrics", "names", "value", "at", "val/loss", "a b", "", "ü", 7]


class FakeTensor:
    """A tensor as torch has it: `item()` and `float()` work only for one element."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def item(self) -> float:
        if len(self._values) != 1:
            raise RuntimeError(f"a Tensor with {len(self._values)} elements cannot be converted to Scalar")
        return self._values[0]

    def __float__(self) -> float:
        return self.item()


NUMBERS: list[tuple[Any, float]] = [
    (0.5, 0.5),
    (3, 3.0),
    (True, 1.0),
    (FakeTensor(0.5), 0.5),
    (np.float32(0.5), 0.5),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (math.nan, math.nan),
    (FakeTensor(math.nan), math.nan),
    (math.inf, math.inf),
]
NOT_NUMBERS: list[Any] = [
    None,
    "0.5 and more",
    b"x",
    [0.5],
    {},
    FakeTensor(),
    FakeTensor(1.0, 2.0),
    1j,
    10**400,
    object(),
]


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "report.jsonl"
    path.touch()
    monkeypatch.setenv("TUNESMITH_REPORT", str(path))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def callback_module(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """Return tunesmith.`name`, loaded anew with an empty base class in the place of its framework's."""
    for package, base in (("lightning.pytorch", "Callback"), ("transformers", "TrainerCallback")):
        fake: Any = ModuleType(package)
        setattr(fake, base, type(base, (), {}))
        monkeypatch.setitem(sys.modules, package.partition(".")[0], fake)
        monkeypatch.setitem(sys.modules, package, fake)
    spec = importlib.util.spec_from_file_location(f"{name}_callback", Path(ts.__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def log_with_lightning(monkeypatch: pytest.MonkeyPatch, metrics: dict[Any, Any], only: list[str] | None) -> None:
    callback = callback_module(monkeypatch, "lightning").TunesmithCallback(only)
    trainer = SimpleNamespace(sanity_checking=False, is_global_zero=True, current_epoch=3, callback_metrics=metrics)
    callback.on_validation_end(trainer, None)


def log_with_transformers(monkeypatch: pytest.MonkeyPatch, metrics: dict[Any, Any], only: list[str] | None) -> None:
    callback = callback_module(monkeypatch, "hf").TunesmithCallback(only)
    state = SimpleNamespace(global_step=4, is_world_process_zero=True, log_history=[])
    callback.on_log(None, state, None, logs=metrics)


def evaluate_with_transformers(
    monkeypatch: pytest.MonkeyPatch, metrics: dict[Any, Any], only: list[str] | None
) -> None:
    callback = callback_module(monkeypatch, "hf").TunesmithCallback(only)
    state = SimpleNamespace(global_step=4, is_world_process_zero=True, log_history=[])
    callback.on_evaluate(None, state, None, metrics=metrics)


FRAMEWORKS = pytest.mark.parametrize("log", [log_with_lightning, log_with_transformers, evaluate_with_transformers])


@FRAMEWORKS
@pytest.mark.parametrize("name", NAMES)
def test_a_callback_reports_a_metric_of_any_name(
    log: Any, name: Any, reported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(monkeypatch, {"val_loss": 0.41, name: 0.0}, None)
    (line,) = lines(reported)
    assert line["step"] == 4
    assert line["values"] == {"val_loss": 0.41, str(name): 0.0}


@FRAMEWORKS
def test_a_callback_reports_every_number_and_leaves_out_the_rest(
    log: Any, reported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {f"m{i}": value for i, value in enumerate([*(given for given, _ in NUMBERS), *NOT_NUMBERS])}
    log(monkeypatch, metrics, None)
    (line,) = lines(reported)
    expected = {f"m{i}": number for i, (_, number) in enumerate(NUMBERS)}
    assert line["values"] == pytest.approx(expected, nan_ok=True)


@FRAMEWORKS
def test_a_callback_reports_the_chosen_metrics_only_and_nothing_where_none_is_a_number(
    log: Any, reported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(monkeypatch, {"val_loss": 0.41, "other": 1.0}, ["val_loss"])
    log(monkeypatch, {"val_loss": None, "other": 1.0}, ["val_loss"])
    log(monkeypatch, {}, None)
    assert [line["values"] for line in lines(reported)] == [{"val_loss": 0.41}]


@FRAMEWORKS
def test_a_callback_does_nothing_outside_of_a_trial(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNESMITH_REPORT", raising=False)
    log(monkeypatch, {"val_loss": 0.41, "step": None}, None)


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(name, str)])
def test_report_takes_any_name_in_a_mapping(name: str, reported: Path) -> None:
    ts.report({name: 1.0}, step=2, val_loss=0.41)
    (line,) = lines(reported)
    assert (line["step"], line["values"]) == (2, {name: 1.0, "val_loss": 0.41})


@pytest.mark.parametrize("name", ["metrics", "self", "names", "values", "value", "at", "path"])
def test_report_takes_a_keyword_of_any_name_but_step(name: str, reported: Path) -> None:
    ts.report(step=2, **{name: 1.0})
    (line,) = lines(reported)
    assert (line["step"], line["values"]) == (2, {name: 1.0})


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=range(len(NUMBERS)))
def test_report_takes_whatever_is_a_number(value: Any, number: float, reported: Path) -> None:
    ts.report(step=FakeTensor(2.0), loss=value)
    (line,) = lines(reported)
    assert (line["step"], line["values"]["loss"]) == pytest.approx((2.0, number), nan_ok=True)


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=range(len(NOT_NUMBERS)))
def test_report_leaves_out_what_is_not_a_number_with_one_warning(
    value: Any, reported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tunesmith.evaluator.reporting._warned", set())
    for _ in range(2):
        ts.report(step=1, acc=0.5, loss=value)
    ts.report(loss=value)
    assert [line["values"] for line in lines(reported)] == [{"acc": 0.5}] * 2
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "'loss' is a " in warning
    assert "not a number" in warning


@pytest.mark.parametrize("step", [math.nan, math.inf, None, FakeTensor(math.nan)])
def test_a_step_that_is_not_finite_counts_as_left_out(step: Any, reported: Path) -> None:
    ts.report(step=step, loss=0.5)
    assert [(line["step"], line["values"]) for line in lines(reported)] == [(None, {"loss": 0.5})]


def test_tensors_of_torch_are_numbers(reported: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ts.report(step=torch.tensor(1), loss=torch.tensor([0.5], requires_grad=True), acc=torch.tensor(0.25))
    (line,) = lines(reported)
    assert (line["step"], line["values"]) == (1.0, {"loss": 0.5, "acc": 0.25})
    ts.report(loss=torch.tensor([0.5, 0.6]))
    assert len(lines(reported)) == 1
