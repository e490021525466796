"""What a model reads of a study on instances: estimates over all, where the best ran, and the noise of one run."""

from __future__ import annotations

from tunesmith.prompts.history_summary import estimate_tokens, summarize_history
from tunesmith.prompts.noise_text import noise_text
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import study_view

SPEC = parse_spec(
    {
        "study": {"name": "toy", "metric": "loss"},
        "run": {"command": "f {x} {instance}"},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9}},
        "instances": {"values": [f"data set {n}" for n in range(30)]},
        "budget": {"runs": 100},
    }
)


def view(configurations: int, runs: int) -> StudyView:
    assert SPEC.instance_set is not None
    raw: list[Trial] = []
    for index in range(configurations):
        first = len(raw)
        for run, name in enumerate(SPEC.instance_set.tuning[:runs]):
            source = Source.RACE if run else Source.SAMPLER if index else Source.DEFAULT
            proposal = Proposal(
                params={"x": 0.9 - 0.1 * index},
                source=source,
                seed=1,
                instance=name,
                replicate_of=first if run else None,
            )
            value = 1.0 - 0.1 * index + 5.0 * run + 0.01 * ((7 * run + 3 * index) % 5)
            outcome = Outcome(state=TrialState.COMPLETE, values={"loss": value})
            raw.append(Trial(number=len(raw), proposal=proposal, state=outcome.state, outcome=outcome))
    return study_view(SPEC, with_instances(raw, SPEC.instance_set, SPEC.objectives[0]))


def test_the_best_trials_are_shown_with_their_instances_and_the_others_with_their_number() -> None:
    table = summarize_history(view(6, 4), max_tokens=4000).table
    rows = table.splitlines()[1:]
    assert len(rows) == 6  # runs on further instances have no rows
    assert all("on 4 instances" in row for row in rows)
    assert sum("data set" in row for row in rows) >= 3
    assert sum("data set" in row for row in rows) < 6


def test_many_instances_take_few_tokens() -> None:
    few = summarize_history(view(6, 4), max_tokens=4000).table
    many = summarize_history(view(6, 30), max_tokens=4000).table
    assert "and 18 more" in many
    assert estimate_tokens(many) < 2.5 * estimate_tokens(few)


def test_noise_is_that_of_one_run_without_its_instance() -> None:
    text = noise_text(view(6, 4))
    assert "estimates over all instances" in text
    assert "one run varies by 0.0" in text
    assert "hardly known" in noise_text(view(2, 1))
