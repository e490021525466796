"""Credit of each source of proposals, and the LLM compared with the sampler's own suggestions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.views import trial, view

import tunesmith as ts
from tunesmith.study.config.budget import PurposeUsage, Spent
from tunesmith.study.trials.trial import FailureKind, Outcome, Prediction, Source, Trial, TrialState, Usage
from tunesmith.tools.analysis.confirmation.significance import expected_gain
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report, missed_turns_text, worth_text

ASKED = view({"x": ts.Float(0.0, 1.0)})


def trial_by(source: Source, number: int, value: float | None, *, reason: str = "", gpu_s: float = 0.0) -> Trial:
    one = trial(number, {"x": number / 100}, FailureKind.OOM if value is None else value)
    outcome = one.outcome or Outcome(state=TrialState.COMPLETE)
    proposal = replace(one.proposal, source=source, fallback_reason=reason)
    return replace(one, proposal=proposal, outcome=replace(outcome, usage=Usage(gpu_s=gpu_s)))


TRIALS = [
    trial_by(Source.DEFAULT, 0, 1.0),
    trial_by(Source.LLM, 1, 0.6, gpu_s=1800),
    trial_by(Source.SAMPLER, 2, 0.7, gpu_s=1800),
    trial_by(Source.FALLBACK, 3, 0.5, reason="late: the LLM had not answered yet"),
    trial_by(Source.LLM, 4, None, gpu_s=1800),
    trial_by(Source.SAMPLER, 5, 0.45),
]


def test_gains_are_credited_to_the_source_of_the_trial() -> None:
    credit = credit_report(TRIALS, ASKED, Spent(llm_calls=3, llm_tokens=12_345, llm_usd=0.2))
    found = {m.source: m for m in credit.sources}
    assert round(found[Source.LLM].gain, 6) == 0.4
    assert round(found[Source.SAMPLER].gain, 6) == 0.05
    assert (found[Source.LLM].trials, found[Source.LLM].improvements, found[Source.LLM].failed) == (2, 1, 1)
    assert (credit.turns, credit.fallbacks, credit.falls_back_often) == (3, 1, True)
    text = "\n".join(credit_lines(credit))
    assert "LLM: 3 calls, 12,345 tokens, $0.20; 2 of its 3 turns became trials" in text
    assert "fell back: 1 late" in text
    assert "0.4000 per GPU-hour, 2.000 per dollar" in text


def test_the_llm_is_compared_with_the_samplers_expected_gain() -> None:
    rival = Prediction(mean=0.8, std=0.0)
    trials = [replace(t, proposal=replace(t.proposal, rival=rival)) if t.number in (1, 4) else t for t in TRIALS]
    found = credit_report(trials, ASKED, Spent(llm_calls=3)).versus_sampler
    assert found is not None
    assert (found.trials, round(found.gained, 6), round(found.expected, 6)) == (2, 0.4, 0.2)
    lines = credit_lines(credit_report(trials, ASKED, Spent(llm_calls=3)))
    assert "in 2 trials the LLM gained 0.4000; the sampler expected 0.2000 from its own suggestions" in lines[-2]
    assert credit_report(TRIALS, ASKED, Spent()).versus_sampler is None


@pytest.mark.parametrize(("sign", "best"), [(1, 1.0), (-1, -1.0)])
def test_the_expected_gain_equals_a_simulated_mean(sign: int, best: float) -> None:
    drawn = np.random.default_rng(0).normal(1.2 * sign, 0.5, 200_000)
    simulated = np.maximum(sign * (best - drawn), 0.0).mean()
    assert expected_gain(1.2 * sign, 0.5, best, sign=sign) == pytest.approx(simulated, rel=0.01)
    assert expected_gain(0.4 * sign, 0.0, best, sign=sign) == pytest.approx(0.6)


def test_a_study_without_an_llm_has_no_credit_lines() -> None:
    assert credit_lines(credit_report([TRIALS[0], TRIALS[2]], ASKED, Spent())) == []


def test_the_cost_is_told_by_purpose_where_the_llm_had_several() -> None:
    purposes = (
        PurposeUsage(purpose="propose", calls=12, tokens=34_000, usd=0.12),
        PurposeUsage(purpose="chat", calls=1, tokens=900, usd=0.0),
    )
    lines = credit_lines(credit_report(TRIALS, ASKED, Spent(llm_calls=13, llm_purposes=purposes)))
    assert "propose $0.12 (12 calls, 34,000 tokens), chat (1 call, 900 tokens)" in lines[1]


def test_improvements_outside_the_present_space_are_not_counted() -> None:
    narrowed = view({"x": ts.Float(0.02, 1.0)})
    found = {m.source: m.improvements for m in credit_report(TRIALS, narrowed, Spent()).sources}
    assert found == {Source.DEFAULT: 0, Source.LLM: 0, Source.SAMPLER: 1, Source.FALLBACK: 1}


LATE = "late: the LLM had not answered yet"
DOWN = "the model m gave no answer: too many requests (429)"
BROKEN = "the sampler failed: ValueError: x"

OUTCOMES: dict[str, tuple[list[tuple[Source, float, str]], int, str, str]] = {
    "every answer was late": (
        [(Source.FALLBACK, 0.6, LATE), (Source.FALLBACK, 0.7, LATE), (Source.FALLBACK, 0.5, LATE)],
        0,
        "The LLM changed nothing: no answer came in time. It needs longer trials, or a faster model.",
        "The LLM was late in 3 of its 3 turns; the sampler proposed those trials",
    ),
    "no answer at all": (
        [(Source.FALLBACK, 0.6, DOWN), (Source.FALLBACK, 0.7, DOWN), (Source.FALLBACK, 0.5, LATE)],
        3,
        "The LLM changed nothing: none of its candidates ran.",
        "The sampler replaced the LLM in 3 of 3 turns (2 no answer, 1 late)",
    ),
    "never its turn": (
        [(Source.SAMPLER, 0.6, ""), (Source.SAMPLER, 0.7, "")],
        1,
        "The LLM changed nothing: none of its candidates ran.",
        "",
    ),
    "trials without a gain": (
        [(Source.LLM, 1.6, ""), (Source.SAMPLER, 0.7, ""), (Source.LLM, 0.9, "")],
        2,
        "The LLM was worth nothing here: its 2 of 4 trials brought no new best value.",
        "",
    ),
    "some of the gain": (
        [(Source.LLM, 0.75, ""), (Source.SAMPLER, 0.5, ""), (Source.LLM, 0.9, ""), (Source.SAMPLER, 0.6, "")],
        2,
        "The LLM was worth 50% of the gain: 1 of the 2 new best values came from its 2 of 5 trials.",
        "",
    ),
    "all of the gain": (
        [(Source.LLM, 0.75, ""), (Source.LLM, 0.5, ""), (Source.FALLBACK, 0.9, LATE)],
        2,
        "The LLM was worth 100% of the gain: 2 of the 2 new best values came from its 2 of 4 trials.",
        "The LLM was late in 1 of its 3 turns; the sampler proposed those trials",
    ),
    "no LLM, and a sampler that fails": (
        [(Source.FALLBACK, 0.6, BROKEN), (Source.FALLBACK, 0.7, BROKEN), (Source.FALLBACK, 0.8, BROKEN)],
        0,
        "",
        "Random proposals replaced the sampler's in 3 of 3 turns (3 the sampler failed)",
    ),
    "no LLM": ([(Source.SAMPLER, 0.6, "")], 0, "", ""),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_the_llm_was_worth_is_said_in_words(name: str) -> None:
    proposed, calls, worth, missed = OUTCOMES[name]
    own = [trial_by(source, n, value, reason=why) for n, (source, value, why) in enumerate(proposed, start=1)]
    credit = credit_report([TRIALS[0], *own], ASKED, Spent(llm_calls=calls))
    assert (worth_text(credit), missed_turns_text(credit)) == (worth, missed)
    assert bool(credit_lines(credit)) == bool(worth)
