"""`tunesmith soup`: averages the checkpoints of the best trials as far as the judge says that it helps."""

from __future__ import annotations

import importlib.util
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
from tunesmith.evaluator.gpus import find_gpus
from tunesmith.evaluator.workspace import artifacts_folder
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.tools.soup import Ingredient, Soup, SoupStep, greedy_soup

TICK_S = 0.05


def make_soup(study: Path, *, checkpoint: str, top: int, history: Path | None, as_json: bool) -> None:
    """Make the soup, save it in the study's folder, and print what it gained.

    Raises:
        HistoryError: there is no history, or no such study.
        ProjectError: torch is missing, no trial kept such a checkpoint, or the judge fails.
        SpecError: the study has no judge.
    """
    if importlib.util.find_spec("torch") is None:
        raise ProjectError("a soup needs a package: pip install 'tunesmith[torch]'")
    located = open_study(study, history)
    with located.history:
        spec = located.record.spec
        if spec.evaluate is None:
            message = "is missing; a soup needs a judge that reads the checkpoint: a table [evaluate] with a command"
            raise SpecError([Mistake("evaluate", message)], where="study.toml")
        ingredients, best = _ingredients(located, checkpoint, top)
        tell = (lambda _: None) if as_json else _teller(located)
        folder = located.folder / "soup"
        judge = _Judge(located, best, checkpoint, folder)
        soup, weights = greedy_soup(ingredients, judge.loss, on_step=tell)
        judge.put(weights)
    sign = spec.objectives[0].sign
    file = folder / "artifacts" / checkpoint
    found = {
        "numbers": soup.numbers,
        "alone": sign * soup.single_loss,
        "loss": sign * soup.loss,
        "steps": [{**asdict(s), "loss": None if s.loss is None else sign * s.loss} for s in soup.steps],
        "file": str(file),
    }
    write_atomic(folder / "soup.json", json.dumps(found, indent=2))
    print(json.dumps(found, indent=2) if as_json else _told(soup, located, file))


class _Judge:
    """Runs the study's judge on a checkpoint, among what the best trial kept beside it."""

    def __init__(self, located: OpenStudy, best: Trial, checkpoint: str, folder: Path) -> None:
        spec = located.record.spec
        self._objective, self._trial = spec.objectives[0], best
        self._folder, self._file = folder, folder / "artifacts" / checkpoint
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(artifacts_folder(located.folder, best.number), folder / "artifacts")
        self._evaluator = Evaluator(spec, project=Path(located.record.project), folder=located.folder)
        gpus = [gpu.id for gpu in find_gpus().gpus] if spec.run.gpu_count else []
        self._slot = plan_slots(spec.run, gpus, len(os.sched_getaffinity(0)))[0]

    def put(self, weights: Any) -> None:
        """Save weights where the judge finds them."""
        import torch

        torch.save(weights, self._file)

    def loss(self, weights: Any) -> float:
        """Return the first objective of these weights, to be minimized.

        Raises:
            ProjectError: the judge fails, or says nan.
        """
        self.put(weights)
        running = self._evaluator.judge(self._trial, self._slot, self._folder)
        try:
            while (outcome := running.poll()) is None:
                time.sleep(TICK_S)
        finally:
            running.kill("tunesmith ended")
        if outcome.failure is not None:
            raise ProjectError(f"the judge failed: {outcome.failure.reason}")
        value = outcome.values[self._objective.metric]
        if not math.isfinite(value):
            raise ProjectError(f"the judge said {value}")
        return self._objective.sign * value


def _ingredients(located: OpenStudy, checkpoint: str, top: int) -> tuple[list[Ingredient], Trial]:
    record = located.record
    objective = record.spec.objectives[0]
    able = candidates(located.history.trials(record.id), record.spec.objectives, record.spec.metric_constraints)
    found = [(t, artifacts_folder(located.folder, t.number) / checkpoint) for t in able]
    kept = [(t, file) for t, file in found if file.is_file()][:top]
    if not kept:
        names = sorted({path.removeprefix("artifacts/") for t in able[:top] if t.outcome for path in _kept(located, t)})
        there = f"they kept {', '.join(names[:8])}" if names else "they kept no files (see tunesmith.artifacts())"
        raise ProjectError(f"no complete trial kept {checkpoint}; {there}; name one with --checkpoint")
    return [Ingredient(t.number, file, objective.sign * t.values[objective.metric]) for t, file in kept], kept[0][0]


def _kept(located: OpenStudy, trial: Trial) -> list[str]:
    folder = artifacts_folder(located.folder, trial.number)
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _teller(located: OpenStudy) -> Callable[[SoupStep], None]:
    objective = located.record.spec.objectives[0]

    def tell(step: SoupStep) -> None:
        if step.loss is None:
            print(f"#{step.number}  left out: {step.reason}")
        else:
            word = "in" if step.is_in else "left out"
            print(f"#{step.number}  {objective.metric} {short_number(objective.sign * step.loss)}  {word}", flush=True)

    return tell


def _told(soup: Soup, located: OpenStudy, file: Path) -> str:
    objective = located.record.spec.objectives[0]
    alone, value = (short_number(objective.sign * loss) for loss in (soup.single_loss, soup.loss))
    if len(soup.numbers) == 1:
        return f"No average helped: #{soup.numbers[0]} alone stays the best ({objective.metric} {alone})."
    named = " ".join(f"#{number}" for number in soup.numbers)
    return (
        f"The average of {len(soup.numbers)} trials ({named}): {objective.metric} {value}, against {alone} of "
        f"#{soup.numbers[0]} alone.\nThe judge chose it, so part of that may be luck: see it on data of its own "
        f"before you trust it.\n{short_path(file)}"
    )
