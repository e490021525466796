"""What a study would give for less: which trial, what is lost, and when there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.studies import make_spec
from fakes.views import trial

from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Trial, Usage
from tunesmith.tools.analysis.findings.tradeoff import cheaper_choices, shown_choices

SECONDS = {"study": {"name": "s", "metric": ["loss", "run/seconds"]}}


def trials(rows: Sequence[tuple[float, float]], metric: str = "run/seconds") -> list[Trial]:
    params = {"lr": 0.01, "hidden": 64, "optimizer": "adam"}
    return [trial(n, {**params, "lr": 0.01 + n / 1000}, {"loss": v, metric: c}) for n, (v, c) in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "half"),
    [
        ([(0.50, 10.0), (0.52, 5.0), (0.9, 1.0)],
         "for half the seconds of trial 0 (10 s, loss 0.5000): trial 1, loss 0.5200 (4.0% worse) in 5.0 s"),
        ([(0.50, 10.0), (0.52, 5.1)], "for half the seconds of trial 0 (10 s, loss 0.5000): no trial so far"),
        ([(0.50, 1e-3), (0.50, 2e-4)], "trial 1, loss 0.5000 (no worse) in 0.0002 s"),
        ([(0.0, 4.0), (0.25, 1.0)], "trial 1, loss 0.2500 (worse by 0.2500)"),
        ([(-1.0, 4.0), (1.0, 1.0)], "(worse by 2.000)"),
    ],
)  # fmt: skip
def test_half_the_cost_names_the_trial_and_what_is_lost(rows: Sequence[tuple[float, float]], half: str) -> None:
    assert half in shown_choices(trials(rows), make_spec(**SECONDS))[0].text


def test_a_quality_that_is_maximized_and_a_cost_that_the_script_reports() -> None:
    spec = make_spec(study={"metric": ["loss", "latency"], "direction": ["maximize", "minimize"]})
    found = shown_choices(trials([(0.9, 8.0), (0.81, 4.0), (0.5, 2.0)], "latency"), spec)
    assert [choice.number for choice in found] == [1, 2]
    assert "10% worse" in found[0].text
    assert "a quarter of the latency of trial 0 (8.000 latency" in found[1].text


def test_a_bound_is_kept_and_two_qualities_are_no_cost() -> None:
    spec = make_spec(**SECONDS)
    bounded = parse_spec({**spec.document, "constraints": [{"metric": "loss", "max": 0.51}]})
    rows = trials([(0.50, 10.0), (0.52, 5.0)])
    assert cheaper_choices(rows, spec, "run/seconds")[0].number == 1
    assert cheaper_choices(rows, bounded, "run/seconds")[0].number is None
    both = make_spec(study={"metric": ["loss", "acc"], "direction": ["minimize", "maximize"]})
    assert shown_choices(trials([(0.5, 1.0), (0.6, 0.5)], "acc"), both) == []


def timed(rows: Sequence[tuple[float, float]]) -> list[Trial]:
    """Return trials of a study without a cost, that took some seconds."""
    found = []
    for one, (_, seconds) in zip(trials(rows, "other"), rows, strict=True):
        assert one.outcome is not None
        found.append(replace(one, outcome=replace(one.outcome, usage=Usage(wall_s=seconds))))
    return found


def test_the_seconds_of_any_study_are_known() -> None:
    spec = make_spec()
    found = cheaper_choices(timed([(0.5, 100.0), (0.6, 40.0), (0.7, 20.0)]), spec, "run/seconds", (0.5, 0.25, 0.1))
    assert [choice.number for choice in found] == [1, 2, None]
    assert shown_choices(timed([(0.5, 100.0), (0.6, 40.0)]), spec) == []
