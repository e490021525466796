"""Model soups: one set of weights as the average of several, made greedily, as far as a judge says that it helps.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", recipe 1 (greedy). It works for models that began from the same weights, as in fine-tuning; others are
found out by the judge. Knows no study and no process: the judge is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A trial's checkpoint, and the trial's value, to be minimized."""

    number: int
    file: Path
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupStep:
    """One step: the trial that was tried beside those in the soup, and the judge's word.

    Attributes:
        loss: with it, to be minimized; None when it could not be tried or judged.
        reason: why not; "" otherwise.
    """

    number: int
    loss: float | None
    is_in: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soup:
    """What came of it.

    Attributes:
        numbers: the trials that are in, the best alone first.
        alone: the loss of the best checkpoint alone, by the same judge.
        loss: of the soup; `alone` when nothing helped.
    """

    numbers: tuple[int, ...]
    alone: float
    loss: float
    steps: tuple[SoupStep, ...]


def greedy_soup(
    ingredients: Sequence[Ingredient],
    judge: Callable[[Any], float],
    *,
    tell: Callable[[SoupStep], None] = lambda _: None,
) -> tuple[Soup, Any]:
    """Return the soup and its checkpoint, to be saved by torch.

    Args:
        ingredients: one or more; tried from the best on.
        judge: gives a checkpoint's loss, to be minimized; raises ProjectError when it cannot tell.
        tell: is handed each step as it is done.

    Raises:
        ProjectError: the best checkpoint cannot be read or judged, or the judge does not look at the weights.
    """
    first, *others = sorted(ingredients, key=lambda i: (i.loss, i.number))
    kept = [load(first.file)]
    best = kept[0]
    alone = loss = judge(best)
    numbers, steps = [first.number], [SoupStep(number=first.number, loss=loss, is_in=True)]
    tell(steps[0])
    for other in others:
        step, mixed = _taste(other, kept, judge, loss)
        steps.append(step)
        tell(step)
        if step.is_in and step.loss is not None:
            kept.append(load(other.file))
            best, loss = mixed, step.loss
            numbers.append(other.number)
    judged = [step.loss for step in steps if step.loss is not None]
    if len(judged) > 2 and len(set(judged)) == 1:  # noqa: PLR2004
        raise ProjectError(
            "the judge says the same of every average, so it does not look at these weights; name the checkpoint that "
            "[evaluate] reads"
        )
    return Soup(numbers=tuple(numbers), alone=alone, loss=loss, steps=tuple(steps)), best


def _taste(other: Ingredient, kept: Sequence[Any], judge: Callable[[Any], float], loss: float) -> tuple[SoupStep, Any]:
    try:
        mixed = average([*kept, load(other.file)])
        found = judge(mixed)
    except ProjectError as error:
        return SoupStep(number=other.number, loss=None, is_in=False, reason=str(error)), None
    return SoupStep(number=other.number, loss=found, is_in=found < loss), mixed


def load(file: Path) -> Any:
    """Return a checkpoint, its tensors in main memory. Nothing in the file is run.

    Raises:
        ProjectError: it cannot be read, or holds more than weights and plain values.
    """
    import torch  # 1.3 s

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises pickle's, zipfile's and its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ProjectError(
            f"{file.name} cannot be read as weights alone: {lines[0][:200]}; save model.state_dict()"
        ) from None


def average(checkpoints: Sequence[Any]) -> Any:
    """Return the mean of all floating-point tensors; everything else as in the first.

    Args:
        checkpoints: tensors in dictionaries and lists, however deep, alike in names and shapes.

    Raises:
        ProjectError: they are not alike.
    """
    return _averaged(checkpoints, "the checkpoint")


def _averaged(parts: Sequence[Any], name: str) -> Any:
    import torch

    first = parts[0]
    if isinstance(first, torch.Tensor):
        if any(not isinstance(p, torch.Tensor) or p.shape != first.shape for p in parts):
            raise ProjectError(f"{name} has another shape than in the best trial: it is another model")
        if not torch.is_floating_point(first):
            return first
        # In double precision: many halves of 16 bits would not add up.
        return torch.stack([p.to(torch.float64) for p in parts]).mean(0).to(first.dtype)
    if isinstance(first, Mapping):
        if any(not isinstance(p, Mapping) or p.keys() != first.keys() for p in parts):
            raise ProjectError(f"{name} has other names than in the best trial: it is another model")
        return {key: _averaged([p[key] for p in parts], f"{name}.{key}") for key in first}
    if isinstance(first, list | tuple) and all(isinstance(p, list | tuple) and len(p) == len(first) for p in parts):
        return type(first)(_averaged([p[i] for p in parts], f"{name}.{i}") for i in range(len(first)))
    return first
