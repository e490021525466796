"""`tunesmith soup`: averages the checkpoints of the best trials, as long as the study's evaluation improves."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import short_path
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.slots import plan_slots
from tunesmith.evaluator.gpu.gpus import find_gpus
from tunesmith.evaluator.workspace import artifacts_folder
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import leaderboard
from tunesmith.study.units import short_number
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
        if spec.evaluate is None:
            message = "is missing; `tunesmith soup` needs a table [evaluate] with a command that scores the checkpoint"
            raise SpecError([Mistake("evaluate", message)], where="study.toml")
        ingredients, best = _ingredients(opened, checkpoint, top)
        folder = opened.folder / "soup"
        evaluation = _CheckpointEvaluation(opened, best, checkpoint, folder)
        soup, weights = greedy_soup(
            ingredients, evaluation.loss, on_step=(lambda _: None) if as_json else _step_printer(opened)
        )
        evaluation.save(weights)
    file = folder / "artifacts" / checkpoint
    found = _to_json(soup, spec.objectives[0].sign, file)
    write_atomic(folder / "soup.json", json.dumps(found, indent=2))
    print(json.dumps(found, indent=2) if as_json else _summary(soup, opened, file))


def _to_json(soup: Soup, sign: float, file: Path) -> dict[str, Any]:
    return {
        "numbers": soup.numbers,
        "alone": sign * soup.single_loss,
        "loss": sign * soup.loss,
        "steps": [{**asdict(s), "loss": None if s.loss is None else sign * s.loss} for s in soup.steps],
        "file": str(file),
    }


class _CheckpointEvaluation:
    """Runs the study's [evaluate] command on a checkpoint, in a copy of the best trial's files."""

    def __init__(self, opened: OpenStudy, best: Trial, checkpoint: str, folder: Path) -> None:
        spec = opened.record.spec
        self._objective, self._trial = spec.objectives[0], best
        self._folder, self._file = folder, folder / "artifacts" / checkpoint
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(artifacts_folder(opened.folder, best.number), folder / "artifacts")
        self._evaluator = Evaluator(spec, project=Path(opened.record.project), folder=opened.folder)
        gpus = [gpu.id for gpu in find_gpus().gpus] if spec.run.gpu_count else []
        self._slot = plan_slots(spec.run, gpus, len(os.sched_getaffinity(0)))[0]

    def save(self, weights: Any) -> None:
        """Save weights as the checkpoint that is evaluated."""
        import torch

        torch.save(weights, self._file)

    def loss(self, weights: Any) -> float:
        """Return the loss of these weights: the first objective, negated if it is maximized.

        Raises:
            ProjectError: the evaluation fails or returns nan.
        """
        self.save(weights)
        running = self._evaluator.judge(self._trial, self._slot, self._folder)
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


def _ingredients(opened: OpenStudy, checkpoint: str, top: int) -> tuple[list[Ingredient], Trial]:
    record = opened.record
    objective = record.spec.objectives[0]
    able = leaderboard(opened.history.trials(record.id), record.spec)
    found = [(t, artifacts_folder(opened.folder, t.number) / checkpoint) for t in able]
    kept = [(t, file) for t, file in found if file.is_file()][:top]
    if not kept:
        names = sorted({path for t in able[:top] if t.outcome for path in _kept(opened, t)})
        there = (
            f"they kept {', '.join(names[:8])}"
            if names
            else "they kept no files; a script keeps files in tunesmith.artifacts()"
        )
        raise ProjectError(f"no complete trial kept {checkpoint}; {there}; name one with --checkpoint")
    return [Ingredient(t.number, file, objective.sign * t.values[objective.metric]) for t, file in kept], kept[0][0]


def _kept(opened: OpenStudy, trial: Trial) -> list[str]:
    folder = artifacts_folder(opened.folder, trial.number)
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _step_printer(opened: OpenStudy) -> Callable[[SoupStep], None]:
    objective = opened.record.spec.objectives[0]

    def print_step(step: SoupStep) -> None:
        if step.loss is None:
            print(f"#{step.number}  left out: {step.reason}")
        else:
            word = "in" if step.is_in else "left out"
            print(f"#{step.number}  {objective.metric} {short_number(objective.sign * step.loss)}  {word}", flush=True)

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
