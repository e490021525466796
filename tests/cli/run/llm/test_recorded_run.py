"""A recorded strong model drives `tunesmith run`: from its answers to the trials, the report and the history.

The answers were written by somebody who saw nothing but the prompts; fakes/llm/spirals/run.jsonl says how.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fakes.projects import command

from tunesmith.history.read import History
from tunesmith.study.trials.trial import Source, Trial, TrialState

FOLDER = Path(__file__).parents[3] / "fakes" / "llm" / "spirals"
RECORDING = FOLDER / "run.jsonl"
TRIALS = 9


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that ran with the recording."""
    folder = tmp_path_factory.mktemp("recorded") / "spirals"
    folder.mkdir()
    text = (FOLDER / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("trials = 12", f"trials = {TRIALS}"))
    shutil.copy(FOLDER / "train.py", folder)
    done = command("run", "--model", "by-hand", "--replay", str(RECORDING), cwd=folder, timeout_s=240)
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def trials(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("spirals").id)


def test_a_recorded_run_improves_a_network_that_trains_a_hundred_times(trials: list[Trial]) -> None:
    own = [t for t in trials if not t.is_replicate]
    assert [t.state for t in own] == [TrialState.COMPLETE] * TRIALS
    assert sum(t.proposal.source is Source.LLM for t in own) >= 3
    values = [t.values["val_loss"] for t in trials]
    assert min(values) < 0.01 * values[0]


def test_answers_of_several_kinds_take_effect(trials: list[Trial], project: Path) -> None:
    """Which of them depends on how many questions the trials leave time for; on a machine at rest it is all of them."""
    texts = [t.proposal.rationale for t in trials]
    effects = {
        "a change to a trial": any(t.startswith(("explore #", "ablate #", "refine #", "combine #")) for t in texts),
        "numbers for the sampler": any("left to the sampler" in text for text in texts),
        "a repeat": any("the LLM asked for" in t.proposal.rationale for t in trials if t.is_replicate),
        "a region": any(text.startswith("within the region that the LLM named") for text in texts),
        "a request": "the LLM asks: let init_scale range to 6" in (project / "output.txt").read_text(),
    }
    assert sum(effects.values()) >= 3, effects


def test_prompts_answers_and_their_cost_are_kept_and_the_end_says_what_the_model_was_worth(project: Path) -> None:
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("spirals")
        calls = history.llm_calls(record.id)
    answers = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    given = [call.answer for call in calls if not call.error]
    assert len(given) >= 5
    assert set(given) <= {answer.get("text") for answer in answers}
    assert record.spent.llm_tokens >= sum((c.input_tokens or 0) + (c.output_tokens or 0) for c in calls) > 0
    assert "The LLM was worth " in (project / "output.txt").read_text()
    assert (project / ".tunesmith" / "spirals" / "report.html").exists()


def test_a_recording_may_say_what_it_is(project: Path) -> None:  # noqa: ARG001  # the run has read it
    assert "about" in json.loads(RECORDING.read_text().splitlines()[0])
