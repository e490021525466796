"""The page on schedules: its study is that of its example, its figure follows from it, and its Python runs."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest

from tunesmith.agent.scheduler.branches import Branches
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.tools.control.study_reader import study_view

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def steps_of_every_shape(spec: StudySpec) -> float:
    """Return the steps that all shapes take together, each proposed when the ones before have ended."""
    branches = Branches.from_spec(spec)
    assert branches is not None
    choices = [parameter.choices for parameter in spec.space.parameters.values()]  # type: ignore[union-attr]
    waiting = [dict(zip(spec.space.names, values, strict=True)) for values in product(*choices)]
    trials: list[Trial] = []
    while (proposal := branches.next_stage(trials)) is not None or waiting:
        if proposal is None:
            new = Proposal(params=waiting.pop(), source=Source.USER, seed=len(trials))
            proposal = branches.placed(new, study_view(spec, trials))
        done = Outcome(state=TrialState.COMPLETE, values={spec.study.metric[0]: 1.0})
        trials.append(Trial(number=len(trials), proposal=proposal, state=TrialState.COMPLETE, outcome=done))
    ends = {t.number: t.proposal.fidelity or 0.0 for t in trials}
    return sum(ends[t.number] - ends.get(-1 if t.proposal.parent is None else t.proposal.parent, 0.0) for t in trials)


def test_the_study_of_the_page_is_that_of_the_example_and_takes_38_percent() -> None:
    example = load_spec(ROOT / "examples" / "branches")
    page = parse_spec(tomllib.loads(f'[study]\nname = "branches"\nmetric = "val_bpb"\n{block("toml")}'))
    assert page.schedule == example.schedule
    assert page.run.command == example.run.command
    assert list(page.space.names) == list(example.space.names)
    assert steps_of_every_shape(example) == 690 == pytest.approx(0.383 * 6 * 300, abs=1)


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})  # noqa: S102  # the page's example
    assert capsys.readouterr().out == "True 0.1\n"
