"""A recorded strong model on a small network that really trains: from the prompts to the trials, without a network.

The answers in fakes/llm/spirals were written by somebody who saw nothing but the prompts. Each says what it changes,
asks for a repeat, leaves numbers to the sampler, names a region, or asks for something about the study.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.agent.llm.client.recording import ReplayModel
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Source, Trial

FOLDER = Path(__file__).parents[2] / "fakes" / "llm" / "spirals"
TRIALS = 8


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Return the trials of the study with the recorded answers."""
    spec = load_spec(FOLDER / "study.toml")
    model = ReplayModel(FOLDER / "answers.jsonl", "by-hand")
    rules = LLMRules(rethinks="always", count=3)
    history = tmp_path_factory.mktemp("recorded") / "history.db"
    options = {"metric": "val_loss", "model": model, "rules": rules, "trials": TRIALS, "history": history}
    with ts.Tuner(spec.space, **options) as tuner:
        while sum(not t.is_replicate for t in tuner.trials) < TRIALS:
            trial = tuner.ask()
            words = [f"--{name}={value}" for name, value in {**trial.params, "seed": trial.seed}.items()]
            ran = subprocess.run(
                [sys.executable, str(FOLDER / "train.py"), *words], capture_output=True, text=True, check=True
            )
            tuner.tell(trial, float(ran.stdout.partition("=")[2]))
        return tuner.trials


def test_a_strong_model_improves_a_real_network_a_hundred_times_in_eight_trials(trials: list[Trial]) -> None:
    own = [t for t in trials if t.proposal.source is Source.LLM]
    assert len(own) >= 5
    best = min(trials, key=lambda t: t.values["val_loss"])
    assert best.values["val_loss"] < 0.01 * trials[0].values["val_loss"]
    assert best.proposal.source in (Source.LLM, Source.CONFIRM)


def test_each_of_its_trials_says_what_it_changes_and_what_it_expects(trials: list[Trial]) -> None:
    texts = [t.proposal.rationale for t in trials if t.proposal.source is Source.LLM]
    assert texts[0].startswith("explore #0: 12,000 examples are few")
    assert any("left to the sampler" in text for text in texts)
    assert all("it expects" in text for text in texts)
    assert any(line for t in trials for line in t.proposal.considered if "may run; the model expects" in line)


def test_it_repeats_a_trial_on_another_seed_when_a_gain_may_be_chance(trials: list[Trial]) -> None:
    (repeat,) = [t for t in trials if t.is_replicate]
    assert repeat.proposal.replicate_of is not None
    original = trials[repeat.proposal.replicate_of]
    assert repeat.params == original.params
    assert repeat.proposal.seed != original.proposal.seed
    assert "the LLM asked for" in repeat.proposal.rationale
