"""What each source was worth, and where trials fail, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.views import trial

from tunesmith.study.config.budget import Spent
from tunesmith.study.space.parameters import Choice, Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Outcome, Prediction, Source, Trial, TrialState, Usage
from tunesmith.study.trials.view import Objective
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.significance import expected_gain
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report

LOSS = (Objective("loss"),)


def by(source: Source, number: int, value: float | None, *, reason: str = "", gpu_s: float = 0.0) -> Trial:
    one = trial(number, {"x": number / 100}, FailureKind.OOM if value is None else value)
    outcome = one.outcome or Outcome(state=TrialState.COMPLETE)
    proposal = replace(one.proposal, source=source, fallback_reason=reason)
    return replace(one, proposal=proposal, outcome=replace(outcome, usage=Usage(gpu_s=gpu_s)))


TRIALS = [
    by(Source.DEFAULT, 0, 1.0),
    by(Source.LLM, 1, 0.6, gpu_s=1800),
    by(Source.SAMPLER, 2, 0.7, gpu_s=1800),
    by(Source.FALLBACK, 3, 0.5, reason="late: the LLM had not answered yet"),
    by(Source.LLM, 4, None, gpu_s=1800),
    by(Source.SAMPLER, 5, 0.45),
]


def test_gains_are_counted_by_who_proposed() -> None:
    meter = credit_report(TRIALS, LOSS, (), Spent(llm_calls=3, llm_tokens=12_345, llm_usd=0.2))
    found = {m.source: m for m in meter.sources}
    assert round(found[Source.LLM].gain, 6) == 0.4
    assert round(found[Source.SAMPLER].gain, 6) == 0.05
    assert (found[Source.LLM].trials, found[Source.LLM].improvements, found[Source.LLM].failed) == (2, 1, 1)
    assert (meter.turns, meter.fallbacks, meter.falls_back_often) == (3, 1, True)
    text = "\n".join(credit_lines(meter))
    assert "LLM: 3 calls, 12,345 tokens, $0.20; 2 of its 3 turns became trials" in text
    assert "fell back: 1 late" in text
    assert "0.4000 per GPU-hour, 2.000 per dollar" in text


def test_the_llm_is_held_against_what_the_sampler_expected_of_its_own_points() -> None:
    rival = Prediction(mean=0.8, std=0.0)
    trials = [replace(t, proposal=replace(t.proposal, rival=rival)) if t.number in (1, 4) else t for t in TRIALS]
    found = credit_report(trials, LOSS, (), Spent(llm_calls=3)).versus_sampler
    assert found is not None
    assert (found.trials, round(found.gained, 6), round(found.expected, 6)) == (2, 0.4, 0.2)
    lines = credit_lines(credit_report(trials, LOSS, (), Spent(llm_calls=3)))
    assert "in 2 trials the LLM gained 0.4000, where the sampler expected 0.2000 of its own points" in lines[-1]
    assert credit_report(TRIALS, LOSS, (), Spent()).versus_sampler is None


@pytest.mark.parametrize(("sign", "best"), [(1, 1.0), (-1, -1.0)])
def test_an_expected_gain_is_the_mean_of_the_gains(sign: int, best: float) -> None:
    drawn = np.random.default_rng(0).normal(1.2 * sign, 0.5, 200_000)
    simulated = np.maximum(sign * (best - drawn), 0.0).mean()
    assert expected_gain(1.2 * sign, 0.5, best, sign=sign) == pytest.approx(simulated, rel=0.01)
    assert expected_gain(0.4 * sign, 0.0, best, sign=sign) == pytest.approx(0.6)


def test_a_study_without_an_llm_has_no_meter() -> None:
    assert credit_lines(credit_report([TRIALS[0], TRIALS[2]], LOSS, (), Spent())) == []


def test_where_trials_fail_is_said_by_the_border_that_tells_most() -> None:
    space = SearchSpace({"batch": Choice([16, 32, 64, 128], ordered=True), "opt": Choice(["a", "b"]), "x": Float(0, 1)})
    batches = [16, 32, 64, 128] * 5
    told = [
        trial(
            n,
            {"batch": b, "opt": "ab"[n // 4 % 2], "x": (n * 7 % 20) / 20},
            FailureKind.OOM if b >= 64 else 0.5,
        )
        for n, b in enumerate(batches)
    ]
    assert failing_regions(space, told)[0] == "batch >= 64: 10 of 10 failed"
    assert failing_regions(space, told[:2]) == ()
    lost = [replace(t, outcome=trial(0, t.params, FailureKind.LOST).outcome) for t in told]
    assert failing_regions(space, lost) == ()
