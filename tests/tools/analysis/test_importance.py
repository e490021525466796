"""Importance without Optuna: summaries leave it empty, and the tool says how to install the package."""

from __future__ import annotations

import importlib.util

import pytest
from fakes.studies import make_spec
from fakes.views import trial

from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective
from tunesmith.tools.analysis.importance import importance
from tunesmith.tools.control.study_reader import InMemoryStudyReader, study_view
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.learning import IMPORTANCE

SPACE = SearchSpace({"x": Float(0, 1), "y": Float(0, 1)})
TRIALS = [trial(n, {"x": n / 12, "y": (n * 5 % 12) / 12}, n / 12) for n in range(12)]


@pytest.fixture
def without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    for module in ("tools.analysis.importance", "study.optional_packages"):
        monkeypatch.setattr(f"tunesmith.{module}.find_spec", lambda name: None if name == "optuna" else found(name))


def test_the_parameter_that_decides_the_value_is_the_most_important() -> None:
    shares = importance(SPACE, TRIALS, Objective("loss"))
    assert next(iter(shares)) == "x"
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.usefixtures("without_optuna")
def test_without_optuna_there_is_no_importance_and_the_tool_says_how_to_install_it() -> None:
    assert importance(SPACE, TRIALS, Objective("loss")) == {}
    spec = make_spec()
    context = ToolContext(reader=InMemoryStudyReader(spec, study_view(spec, [])))
    assert "[report]'" in IMPORTANCE.call(context, {})
