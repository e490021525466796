"""tunesmith.report() inside of a training script: what it writes, and that no metric makes it raise."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.evaluator import reporting
from tunesmith.evaluator.readers.metrics import MetricReader
from tunesmith.evaluator.reporting import artifacts, params, report, resume_from


class Unconvertible:
    """A tensor with two elements, for example."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.fixture
def report_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "report.jsonl"
    file.touch()
    monkeypatch.setenv("TUNESMITH_REPORT", str(file))
    monkeypatch.setattr(reporting, "_warned", set())
    return file


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def test_a_report_is_one_line_that_the_reader_understands(report_file: Path) -> None:
    report(step=3, loss=0.5, acc=1)
    assert [(line["step"], line["values"]) for line in lines(report_file)] == [(3.0, {"loss": 0.5, "acc": 1.0})]
    observations = MetricReader(["loss"], lambda: 0.0).from_report(report_file.read_text())
    assert [(o.metric, o.step, o.value) for o in observations] == [("loss", 3.0, 0.5), ("acc", 3.0, 1.0)]


NO_NUMBERS = [None, "x", object(), [1.0, 2.0], {}, 10**400, 1j, Unconvertible()]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_a_value_that_is_not_a_number_is_left_out_and_named(
    report_file: Path, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    for _ in range(3):
        report(step=1, loss=0.5, acc=value)
    report(acc=value)
    assert [line["values"] for line in lines(report_file)] == [{"loss": 0.5}] * 3
    assert capsys.readouterr().err.count("'acc' is a") == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "0.5"])
def test_every_float_is_reported(report_file: Path, value: Any) -> None:
    report(loss=value)
    assert repr(lines(report_file)[0]["values"]["loss"]) == repr(float(value))


@pytest.mark.parametrize("name", ["", " ", "val loss", "val/acc", "\ud800", "\n", "\0", "verlust_ä", "x" * 10_000])
def test_no_name_raises(report_file: Path, name: str) -> None:
    report(step=1, **{name: 1.0})  # type: ignore[arg-type]
    report(step=1, **{name: None})  # type: ignore[arg-type]
    assert [list(line["values"]) for line in lines(report_file)] == [[name]]


@pytest.mark.parametrize("step", ["x", 10**400, Unconvertible()], ids=lambda step: type(step).__name__)
def test_an_unusable_step_counts_as_left_out(report_file: Path, step: Any) -> None:
    report(step=step, loss=1)
    assert lines(report_file)[0]["step"] is None


def test_a_script_runs_without_tunesmith_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPORT", "PARAMS", "RESUME_FROM", "ARTIFACTS"):
        monkeypatch.delenv(f"TUNESMITH_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    report(loss=0.5, acc="x")  # type: ignore[arg-type]
    assert params() == {}
    assert resume_from() is None
    assert artifacts() == Path("artifacts")
    assert (tmp_path / "artifacts").is_dir()


def test_the_module_needs_only_the_standard_library() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(reporting.__file__).parent)!r}); import reporting"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
