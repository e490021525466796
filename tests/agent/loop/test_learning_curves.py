"""What the loop keeps of a trial that reports very often."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.projects import make_project
from fakes.studies import make_spec
from fakes.views import trial

from tunesmith.agent.llm.tools import lookup_tools
from tunesmith.agent.loop.learning_curves import LearningCurves
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import LoopEvent, Observed
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.observed import curves
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.tools.control.study_reader import study_view


def test_the_history_keeps_the_shape_of_a_long_curve_and_the_value_counts_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "FULL_POINTS", 8)
    project = make_project(tmp_path / "p", trials=1)
    script = "for step in range(3001): print(f'step={step} loss={1 + (step - 1777) ** 2}')\n"
    (project / "train.py").write_text(script, encoding="utf-8")
    shown: list[LoopEvent] = []
    options = RunOptions(project=project, history=tmp_path / "h.db", cpus=1)
    Loop(load_spec(project), options, on_event=shown.append).run()
    with History.open(tmp_path / "h.db") as history:
        study = history.study("toy")
        (trial,), curve = history.trials(study.id), history.curve(study.id, 0)
    assert trial.values["loss"] == 1 + (3000 - 1777) ** 2
    assert [o.step for o in curve[:8]] == list(range(8))
    assert curve[-1].step == 3000
    assert len(curve) < 60
    assert [e.step for e in shown if isinstance(e, Observed)][-1] == 3000


def test_the_planner_reads_the_series_of_a_trial_in_a_few_numbers() -> None:
    curves_of_study = LearningCurves("loss")
    values = [("loss", 1.0), ("grad_norm", 4.0), ("loss", 0.5), ("grad_norm", 2.0)]
    curves_of_study.add(0, [Observation(name, index // 2, value, 0.0) for index, (name, value) in enumerate(values)])
    spec = make_spec()
    view = study_view(spec, [trial(0, {"lr": 0.01, "hidden": 64, "optimizer": "adam"}, 0.5)])
    tools = {tool.name: tool for tool in lookup_tools(spec, view, None, curves_of_study.observations)}
    assert "grad_norm: 4.000 to 2.000 in 2 values (steps 0 to 1)" in tools["trial"].run({"number": 0})
    curves_of_study.drop(0)
    assert "series" not in tools["trial"].run({"number": 0})
