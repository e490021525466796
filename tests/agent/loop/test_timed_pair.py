"""Edited code that seems to train longer runs next to the code before it, so that load is not taken for a cheat."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import make_spec
from fakes.trials import PYTHON

from tunesmith.agent.code_search.training_time import LongerTraining
from tunesmith.agent.loop.slots.timed_pair import TimedPair
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.evaluator import EditedCode, Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.trials.trial import FailureKind, Outcome, Proposal, Source, Trial, TrialState, Usage

SCRIPT = """\
import time
units = 10
for _ in range(units):
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass
print("loss=1.0")
"""
SHORT = "print('loss=1.0')\n"
COMMAND = f"{PYTHON} train.py"
BUSY = "while True: pass"


@pytest.fixture
def busy_machine() -> Iterator[None]:
    programs = [subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]) for _ in range(3)]
    yield
    for program in programs:
        program.kill()
        program.wait()


class Pair:
    """An edited version of the script in a comparison with the script itself."""

    def __init__(self, folder: Path, edited: str, script: str = SCRIPT) -> None:
        project = folder / "project"
        project.mkdir()
        (project / "train.py").write_text(script, encoding="utf-8")
        spec = make_spec(study={"metric": "loss"}, run={"command": COMMAND}, edits={"files": ["train.py"]})
        self.folder = folder / "study"
        self.evaluator = Evaluator(spec, project=project, folder=self.folder, unsafe_edits=True)
        proposal = Proposal(params={"lr": 0.1}, source=Source.LLM, seed=1, variant="edit-1")
        self.trial = Trial(number=3, proposal=proposal, state=TrialState.RUNNING)
        self.before = replace(self.trial, proposal=replace(proposal, variant="base"))
        # What the load of the machine once made of it: as if it had trained three times as long.
        usage = Usage(cpu_s=4.8, wall_s=9.0)
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": 0.5}, usage=usage)
        finding = LongerTraining(reason="it took 4.8 s of CPU time", compared=self.before, is_certain=False)
        code = EditedCode({"train.py": edited}, COMMAND)
        self.pair = TimedPair(
            self.trial,
            outcome,
            finding,
            edited=lambda: self._start(self.trial, "timed", code),
            before=lambda: self._start(self.before, "timed-before", None),
            at_once=True,
        )

    def _start(self, trial: Trial, name: str, code: EditedCode | None) -> Evaluation:
        return self.evaluator.time_training(trial, Slot(index=0), name, code=code)

    def outcome(self) -> Outcome:
        deadline = time.monotonic() + 120
        while (outcome := self.pair.poll()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.evaluator.close()
        assert not list((self.folder / "trials" / "0003").glob("timed*")), "nothing of it is kept"
        return outcome


@pytest.mark.usefixtures("busy_machine")
def test_an_honest_edit_counts_that_seemed_to_train_longer_on_a_busy_machine(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SCRIPT.replace("units = 10", "units = 2 * 5"))
    outcome = pair.outcome()
    assert (outcome.state, outcome.values) == (TrialState.COMPLETE, {"loss": 0.5})
    assert outcome.usage == Usage(cpu_s=4.8, wall_s=9.0), "its own run is what it cost"
    assert pair.pair.usage.cpu_s > 2 * 1.9


@pytest.mark.usefixtures("busy_machine")
def test_a_cheat_that_trains_a_third_longer_is_found_on_a_busy_machine(tmp_path: Path) -> None:
    outcome = Pair(tmp_path, SCRIPT.replace("units = 10", "units = 13")).outcome()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TAMPERED
    assert "of CPU time, more than the" in outcome.failure.reason
    assert "your code in a run next to it" in outcome.failure.reason


def test_where_two_runs_at_once_fail_they_run_one_after_the_other(tmp_path: Path) -> None:
    """The edited code fails while another one runs, as where the memory is enough for one."""
    other = str(tmp_path / "study/trials/0003/timed-before")
    outcome = Pair(tmp_path, f"import os\nassert not os.path.exists({other!r})\n{SHORT}", SHORT).outcome()
    assert (outcome.state, outcome.note) == (TrialState.COMPLETE, "")


def test_a_pair_that_is_stopped_leaves_the_trial_stopped(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SCRIPT)
    pair.pair.stop("the study's time is up")
    outcome = pair.outcome()
    assert outcome.state is TrialState.STOPPED
    assert outcome.note == "the study's time is up; not compared again: it took 4.8 s of CPU time"


def test_a_trial_whose_code_fails_the_second_time_counts_with_a_note(tmp_path: Path) -> None:
    outcome = Pair(tmp_path, "raise SystemExit(3)\n", SHORT).outcome()
    assert outcome.state is TrialState.COMPLETE
    assert outcome.note == ("its time could not be compared again, because a run failed: it took 4.8 s of CPU time")
