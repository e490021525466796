"""`tunesmith soup`: averages the checkpoints of the best trials, as long as the study's evaluation improves."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.slots import plan_slots
from tunesmith.evaluator.files.tree_walk import remove
from tunesmith.evaluator.files.workspace import artifacts_folder
from tunesmith.evaluator.gpu.gpus import find_gpus
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import strip_control
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import leaderboard
from tunesmith.study.units import short_number
from tunesmith.tools import checkpoint_average
from tunesmith.tools.soup import Ingredient, Soup, SoupStep, greedy_soup

POLL_INTERVAL_S = 0.05


def make_soup(study: Path, *, checkpoint: str, top: int, history: Path | None, as_json: bool) -> None:
    """Average checkpoints greedily, save the result in the study's folder, and print what it gained.

    Raises:
        HistoryError: the history or the study does not exist.
        ProjectError: torch is missing, no trial kept such a checkpoint, or the evaluation fails.
        SpecError: the study has no [evaluate].
    """
    require("torch", purpose="tunesmith soup", extra="torch")
    opened = open_study(study, history)
    with opened.history:
        spec = opened.record.spec
        if spec.evaluate is None or spec.evaluate.is_time:
            message = "is missing; `tunesmith soup` needs a table [evaluate] with a command that scores the checkpoint"
            raise SpecError([Mistake("evaluate", message)], where="study.toml")
        evaluator = Evaluator(spec, project=Path(opened.record.project), folder=opened.folder)
        trials = _trials_with(opened, evaluator, checkpoint, top)
        folder = opened.folder / "soup"
        file = folder / "artifacts" / checkpoint
        evaluation = _CheckpointEvaluation(opened, evaluator, {trial.number: trial for trial in trials}, file)
        evaluation.start_from(artifacts_folder(opened.folder, trials[0].number))
        ingredients = [_ingredient(opened, trial, checkpoint) for trial in trials]
        soup = greedy_soup(ingredients, evaluation.loss, on_step=(lambda _: None) if as_json else _step_printer(opened))
        evaluation.save([next(i for i in ingredients if i.number == number) for number in soup.numbers])
    found = _to_json(soup, spec.objectives[0].sign, file)
    write_atomic(folder / "soup.json", json.dumps(found, indent=2))
    show(json.dumps(found, indent=2) if as_json else _summary(soup, opened, file))


def _to_json(soup: Soup, sign: float, file: Path) -> dict[str, Any]:
    return {
        "numbers": soup.numbers,
        "alone": sign * soup.single_loss,
        "loss": sign * soup.loss,
        "steps": [{**asdict(s), "loss": None if s.loss is None else sign * s.loss} for s in soup.steps],
        "file": str(file),
    }


class _CheckpointEvaluation:
    """Averages checkpoints and runs the study's [evaluate] command on the result, in a copy of the best trial's files.

    Both run by the rule that the trials run by (`Evaluator`): this process opens no file that a trial kept.
    """

    def __init__(self, opened: OpenStudy, evaluator: Evaluator, trials: Mapping[int, Trial], file: Path) -> None:
        spec = opened.record.spec
        self._objective, self._evaluator, self._trials = spec.objectives[0], evaluator, trials
        self._folder, self._file = opened.folder / "soup", file
        gpus = [gpu.id for gpu in find_gpus().gpus] if spec.run.gpu_count else []
        self._slot = plan_slots(spec.run, gpus, len(os.sched_getaffinity(0)))[0]

    def start_from(self, artifacts: Path) -> None:
        """Copy the files of the best trial, with links as links."""
        if self._folder.exists():
            remove(self._folder)
        shutil.copytree(artifacts, self._folder / "artifacts", symlinks=True)

    def loss(self, mixed: Sequence[Ingredient]) -> float:
        """Save the average of these checkpoints and return its loss: the first objective, negated if it is maximized.

        Raises:
            ProjectError: a checkpoint cannot be averaged, or the evaluation fails or returns nan.
        """
        self.save(mixed)
        trials = [self._trials[ingredient.number] for ingredient in mixed]
        running = self._evaluator.judge(trials, self._slot, self._folder)
        try:
            while (outcome := running.poll()) is None:
                time.sleep(POLL_INTERVAL_S)
        finally:
            running.kill("tunesmith ended")
        if outcome.failure is not None:
            raise ProjectError(f"[evaluate] failed: {outcome.failure.reason}")
        value = outcome.values[self._objective.metric]
        if not math.isfinite(value):
            raise ProjectError(f"[evaluate] returned {self._objective.metric} = {value}")
        return self._objective.sign * value

    def save(self, mixed: Sequence[Ingredient]) -> None:
        """Save the average of these checkpoints as the one that is evaluated.

        Raises:
            ProjectError: one cannot be read, or they cannot be averaged.
        """
        program = os.path.realpath(checkpoint_average.__file__)
        files = [ingredient.file for ingredient in mixed]
        job = self._evaluator.run_on_files(
            [sys.executable, program, str(self._file), *map(str, files)],
            [self._trials[ingredient.number] for ingredient in mixed],
            self._folder,
            [Path(program), *files],
        )
        try:
            while (result := job.poll()) is None:
                time.sleep(POLL_INTERVAL_S)
        finally:
            job.kill()
        if result.status != 0:
            raise ProjectError(result.error or (strip_control(result.tail).splitlines() or ["it was ended"])[-1])


def _trials_with(opened: OpenStudy, evaluator: Evaluator, checkpoint: str, top: int) -> list[Trial]:
    """Return the best trials that kept such a checkpoint, among files that may be opened.

    Raises:
        ProjectError: there is none.
    """
    record = opened.record
    able = leaderboard(opened.history.trials(record.id), record.spec)
    kept = [trial for trial in able if (artifacts_folder(opened.folder, trial.number) / checkpoint).is_file()]
    problems = {trial.number: evaluator.files_problem(trial) for trial in kept}
    found = [trial for trial in kept if not problems[trial.number]][:top]
    if found:
        return found
    if kept:
        first = kept[0].number
        raise ProjectError(f"no complete trial kept {checkpoint} in files that may be opened: {problems[first]}")
    names = sorted({path for t in able[:top] if t.outcome for path in _kept(opened, t)})
    there = (
        f"they kept {', '.join(names[:8])}"
        if names
        else "they kept no files; a script keeps files in tunesmith.artifacts()"
    )
    raise ProjectError(f"no complete trial kept {checkpoint}; {there}; name one with --checkpoint")


def _ingredient(opened: OpenStudy, trial: Trial, checkpoint: str) -> Ingredient:
    objective = opened.record.spec.objectives[0]
    file = artifacts_folder(opened.folder, trial.number) / checkpoint
    return Ingredient(trial.number, file, objective.sign * trial.values[objective.metric])


def _kept(opened: OpenStudy, trial: Trial) -> list[str]:
    folder = artifacts_folder(opened.folder, trial.number)
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _step_printer(opened: OpenStudy) -> Callable[[SoupStep], None]:
    objective = opened.record.spec.objectives[0]

    def print_step(step: SoupStep) -> None:
        if step.loss is None:
            show(f"#{step.number}  left out: {step.reason}")
        else:
            word = "in" if step.is_in else "left out"
            show(f"#{step.number}  {objective.metric} {short_number(objective.sign * step.loss)}  {word}")

    return print_step


def _summary(soup: Soup, opened: OpenStudy, file: Path) -> str:
    objective = opened.record.spec.objectives[0]
    single, value = (short_number(objective.sign * loss) for loss in (soup.single_loss, soup.loss))
    if len(soup.numbers) == 1:
        return f"No average was better than #{soup.numbers[0]} ({objective.metric} {single})."
    named = " ".join(f"#{number}" for number in soup.numbers)
    return (
        f"The average of {len(soup.numbers)} trials ({named}): {objective.metric} {value}, against {single} of "
        f"#{soup.numbers[0]}.\nThe evaluation also selected the trials, so part of the gain may be luck: check it on "
        f"held-out data.\n{short_path(file)}"
    )
