"""Mixtures from Python to the report: samplers, resuming, export and import, and a study that runs a command."""

from __future__ import annotations

import csv
import math
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import invoke

import tunesmith as ts
from tunesmith.agent.loop.notices.unread import unread_parameters
from tunesmith.agent.planner.steering import apply_steering
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.study.commands import Bounds
from tunesmith.study.config.changes import Steering, requested_change
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.errors import ProposalError, SpecError, ToolRefused
from tunesmith.study.trials.earlier import project_to_space
from tunesmith.study.trials.trial import Proposal, Source
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.tools.checks.study_checks import unused_parameters
from tunesmith.tools.control.earlier_commands import changed_value_text
from tunesmith.tools.llm_tools.learning import complete_configuration

TARGET = {"code": 0.15, "prose": 0.6, "docs": 0.25}
SHARES = ts.Shares(list(TARGET), min=0.02, default=[0.4, 0.3, 0.3])
SCRIPT = """\
import math, sys
values = {k[6:]: float(v) for k, v in zip(sys.argv[1::2], sys.argv[2::2])}
assert abs(sum(values.values()) - 1) < 1e-9
target = {"code": 0.15, "prose": 0.6, "docs": 0.25}
print(f"loss={sum(-t * math.log(values[k] + 0.01) for k, t in target.items())}")
"""
STUDY = """\
[study]
name = "mix"
metric = "loss"
[run]
command = "{python} -I -S train.py --mix-code {{mix.code}} --mix-prose {{mix.prose}} --mix-docs {{mix.docs}}"
[space]
mix = {{ type = "shares", of = ["code", "prose", "docs"], min = 0.02, default = [0.4, 0.3, 0.3] }}
[budget]
trials = 7
"""


def loss(params: Mapping[str, Any]) -> float:
    return sum(-part * math.log(params["mix"][name] + 0.01) for name, part in TARGET.items())


@pytest.mark.parametrize("planner", ["random", "sobol", "grid", "optuna-tpe"])
def test_every_sampler_keeps_the_sum_and_repeats_nothing(planner: str) -> None:
    with ts.Tuner({"mix": SHARES, "lr": ts.Float(0.0, 1.0)}, planner=planner) as tuner:
        seen = set()
        for _ in range(8):
            trial = tuner.ask()
            assert math.fsum(trial.params["mix"].values()) == pytest.approx(1.0, abs=1e-12)
            assert min(trial.params["mix"].values()) >= 0.02
            seen.add((*trial.params["mix"].values(), trial.params["lr"]))
            tuner.tell(trial, loss(trial.params))
    assert len(seen) == 8


def test_the_sampler_finds_a_mixture_far_from_the_default() -> None:
    best = ts.minimize(loss, {"mix": SHARES}, trials=25, progress=False)
    assert best.value < loss({"mix": TARGET}) + 0.01
    assert loss({"mix": SHARES.default}) > best.value + 0.1


def test_a_study_in_a_file_resumes_with_its_mixture(tmp_path: Path) -> None:
    for _ in range(2):
        with ts.Tuner({"mix": SHARES}, history=tmp_path / "h.db") as tuner:
            for _ in range(3):
                trial = tuner.ask()
                tuner.tell(trial, loss(trial.params))
    with ts.Tuner({"mix": SHARES}, history=tmp_path / "h.db") as tuner:
        assert [t.number for t in tuner.trials] == list(range(6))
        assert tuner.best is not None
        assert set(tuner.best.params["mix"]) == set(TARGET)


def test_a_source_that_an_earlier_study_lacked_had_no_share_there() -> None:
    space = ts.SearchSpace({"mix": ts.Shares(["code", "prose", "docs"]), "lr": ts.Float(0.0, 1.0, default=0.5)})
    known = project_to_space({"mix.code": 0.4, "mix.prose": 0.6, "gone": 3}, space)
    assert known == {"mix.code": 0.4, "mix.prose": 0.6, "mix.docs": 0.0, "lr": 0.5}
    assert project_to_space({"mix.code": 0.4, "mix.prose": 0.4, "mix.web": 0.2}, space) is None


def test_a_pinned_share_stays_and_the_others_divide_the_rest() -> None:
    space = ts.SearchSpace({"mix": SHARES})
    view = StudyView(space=space, objectives=(Objective("loss"),), trials=[])
    proposal = Proposal(params=BayesSampler().suggest(view).params, source=Source.SAMPLER, seed=0)
    steered = apply_steering(proposal, view, Steering({"mix.code": 0.2}, ("mix.docs > 0.5",)), None)
    assert steered.params["mix.code"] == 0.2
    assert space.contains(steered.params)


def test_a_tool_of_chat_takes_one_share_and_scales_the_others() -> None:
    space = ts.SearchSpace({"mix": SHARES, "lr": ts.Float(0.0, 1.0, default=0.5)})
    view = StudyView(space=space, objectives=(Objective("loss"),), trials=[])
    for given in ({"mix.code": 0.7}, {"mix": {"code": 0.7}}, {"mix": {"code": 0.7, "prose": 0.15, "docs": 0.15}}):
        found = complete_configuration(view, given, "default")
        assert found == {"mix.code": 0.7, "mix.prose": 0.15, "mix.docs": 0.15, "lr": 0.5}
    with pytest.raises(ProposalError, match="sums to 1.3"):
        complete_configuration(view, {"mix.code": 0.7, "mix.prose": 0.3, "mix.docs": 0.3}, "default")


def test_a_bound_of_one_share_changes_the_mixture_and_keeps_a_default() -> None:
    document = {"space": space_document(ts.SearchSpace({"mix": SHARES}))}
    change = requested_change(document, Bounds(name="mix.code", high=0.3))
    assert change.after["max"] == {"code": 0.3, "prose": 1.0, "docs": 1.0}
    assert change.after["default"]["code"] == pytest.approx(0.3)
    with pytest.raises(ToolRefused, match="mix is a mixture"):
        requested_change(document, Bounds(name="mix", high=0.3))


def test_a_whole_mixture_in_a_command_names_its_shares() -> None:
    document = {
        "study": {"name": "a", "metric": "loss"},
        "run": {"command": "python train.py {mix}"},
        "space": space_document(ts.SearchSpace({"mix": SHARES})),
        "budget": {"trials": 3},
    }
    with pytest.raises(Exception, match=r"is a mixture.*\{mix.code\}, \{mix.prose\}, \{mix.docs\}"):
        parse_spec(document)


def test_a_study_runs_reports_exports_and_imports(tmp_path: Path) -> None:
    pytest.importorskip("nevergrad")
    project = tmp_path / "mix"
    project.mkdir()
    (project / "train.py").write_text(SCRIPT, encoding="utf-8")
    (project / "study.toml").write_text(STUDY.format(python="python3"), encoding="utf-8")
    checked = invoke("check", cwd=project).stdout
    assert "every parameter is in the command" in checked
    assert "mix: 3 shares that sum to 1" in checked
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "mix={code " in invoke("status", cwd=project).stdout
    assert invoke("report", cwd=project).returncode == 0
    page = (project / ".tunesmith" / "mix" / "report.html").read_text(encoding="utf-8")
    assert '"mixture-0"' in page
    assert '"scatterternary"' in page
    assert invoke("export", "--to", "nevergrad", "--out", "ng.py", cwd=project).returncode == 0
    program = runpy.run_path(str(project / "ng.py"))
    for config, _ in program["RESULTS"]:
        assert program["whole"](config) == pytest.approx(config)
    stretched = program["whole"]({"mix.code": 0.9, "mix.prose": 0.9, "mix.docs": 0.02})
    assert stretched == pytest.approx({"mix.code": 0.49, "mix.prose": 0.49, "mix.docs": 0.02})
    assert invoke("export", "--to", "csv", "--out", "t.csv", cwd=project).returncode == 0
    first = next(csv.reader((project / "t.csv").read_text(encoding="utf-8").splitlines()))
    assert {"mix.code", "mix.prose", "mix.docs"} <= set(first)
    (project / "bare.csv").write_text(
        "code,prose,docs,loss\n0.333,0.333,0.333,1.2\n0.5,0.3,0.1,1.3\n", encoding="utf-8"
    )
    imported = invoke("import", "bare.csv", cwd=project).stdout
    assert "mix.code  <- code" in imported
    assert "1 left out: mix sums to 0.9" in imported


def test_a_value_by_a_wrong_name_is_named() -> None:
    with ts.Tuner({"mix": ts.Shares(["a", "b"])}, metric="loss") as tuner:
        trial = tuner.ask()
        with pytest.raises(SpecError, match=r"loss +is missing in the values of trial 0; los is given instead"):
            tuner.tell(trial, {"los": 1.0})


def test_one_share_of_a_mixture_need_not_be_in_the_command() -> None:
    def unused(command: str) -> list[str]:
        space = {"mix": {"type": "shares", "of": ["a", "b", "c"]}}
        return unused_parameters(
            parse_spec({"study": {"name": "s", "metric": "loss"}, "run": {"command": command}, "space": space})
        )

    assert unused("train.py {mix.a} {mix.b}") == []
    assert unused("train.py {mix.a}") == ["mix.b", "mix.c"]


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("train.py {mix.a}", 'add {mix.b} to the command, or remove "b" from `of` in [space].mix'),
        ("train.py", "add {mix.a} to the command, or remove mix from [space]"),
    ],
)
def test_a_share_that_reaches_no_trial_is_removed_from_its_mixture(tmp_path: Path, command: str, advice: str) -> None:
    space = {"mix": {"type": "shares", "of": ["a", "b", "c"]}}
    spec = parse_spec({"study": {"name": "s", "metric": "loss"}, "run": {"command": command}, "space": space})
    assert unread_parameters(spec, tmp_path)[0].endswith(advice)


def test_bounds_of_a_mixture_are_words() -> None:
    changed = {"type": "shares", "of": ["a", "b"], "min": {"a": 0.1, "b": 0.0}, "max": 1.0}
    assert changed_value_text(changed) == "min {a 0.1, b 0}"
