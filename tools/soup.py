"""Greedy model soups: averages the weights of several checkpoints, keeping each one that lowers the evaluated loss.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", recipe 1. It works for models trained from the same initial weights, as in fine-tuning; for others the
evaluation rejects the average. Knows no study and no process: the evaluation is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A trial's checkpoint and the trial's loss, to be minimized."""

    number: int
    file: Path
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupStep:
    """One step: the soup with one more trial.

    Attributes:
        number: the number of the added trial.
        loss: loss of the average with this trial; None when it could not be averaged or evaluated.
        is_in: whether the trial stays in the soup.
        reason: why there is no loss; "" otherwise.
    """

    number: int
    loss: float | None
    is_in: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soup:
    """A finished soup.

    Attributes:
        numbers: the trials in the soup, the best one first.
        single_loss: loss of the best checkpoint by the same evaluation.
        loss: loss of the soup; equal to `single_loss` when no other checkpoint helped.
        steps: every trial that was tried, in order.
    """

    numbers: tuple[int, ...]
    single_loss: float
    loss: float
    steps: tuple[SoupStep, ...]


def greedy_soup(
    ingredients: Sequence[Ingredient],
    evaluate: Callable[[Any], float],
    *,
    on_step: Callable[[SoupStep], None] = lambda _: None,
) -> tuple[Soup, Any]:
    """Return the soup and its checkpoint, to be saved by torch.

    Args:
        ingredients: one or more; tried in the order of their losses.
        evaluate: returns a checkpoint's loss, to be minimized; raises ProjectError when it fails.
        on_step: called with each step when it is done.

    Raises:
        ProjectError: the best checkpoint cannot be read or evaluated, or the evaluation does not depend on the weights.
    """
    first, *others = sorted(ingredients, key=lambda i: (i.loss, i.number))
    kept = [load(first.file)]
    best = kept[0]
    single_loss = loss = evaluate(best)
    numbers, steps = [first.number], [SoupStep(number=first.number, loss=loss, is_in=True)]
    on_step(steps[0])
    for other in others:
        step, mixed = _try(other, kept, evaluate, loss)
        steps.append(step)
        on_step(step)
        if step.is_in and step.loss is not None:
            kept.append(load(other.file))
            best, loss = mixed, step.loss
            numbers.append(other.number)
    losses = [step.loss for step in steps if step.loss is not None]
    if len(losses) > 2 and len(set(losses)) == 1:  # noqa: PLR2004
        raise ProjectError(
            "[evaluate] returned the same value for every average, so it does not read these weights; give the name of "
            "the checkpoint that it reads"
        )
    return Soup(numbers=tuple(numbers), single_loss=single_loss, loss=loss, steps=tuple(steps)), best


def _try(other: Ingredient, kept: Sequence[Any], evaluate: Callable[[Any], float], loss: float) -> tuple[SoupStep, Any]:
    try:
        mixed = average([*kept, load(other.file)])
        found = evaluate(mixed)
    except ProjectError as error:
        return SoupStep(number=other.number, loss=None, is_in=False, reason=str(error)), None
    return SoupStep(number=other.number, loss=found, is_in=found < loss), mixed


def load(file: Path) -> Any:
    """Return a checkpoint with its tensors in main memory. Runs no code from the file.

    Raises:
        ProjectError: it cannot be read, or contains more than weights and plain values.
    """
    import torch  # 1.3 s

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises pickle's, zipfile's and its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ProjectError(
            f"{file.name} cannot be read as plain weights: {lines[0][:200]}; save model.state_dict()"
        ) from None


def average(checkpoints: Sequence[Any]) -> Any:
    """Return the mean of all floating-point tensors; all other values are taken from the first checkpoint.

    Args:
        checkpoints: nested dictionaries and lists of tensors, with the same names and shapes.

    Raises:
        ProjectError: names or shapes differ.
    """
    return _averaged(checkpoints, "the checkpoint")


def _averaged(parts: Sequence[Any], name: str) -> Any:
    import torch

    first = parts[0]
    if isinstance(first, torch.Tensor):
        if any(not isinstance(p, torch.Tensor) or p.shape != first.shape for p in parts):
            raise ProjectError(f"{name} has another shape than in the best trial, so the models differ")
        if not torch.is_floating_point(first):
            return first
        # Summed in double precision: the rounding errors of 16-bit sums would add up.
        return torch.stack([p.to(torch.float64) for p in parts]).mean(0).to(first.dtype)
    if isinstance(first, Mapping):
        if any(not isinstance(p, Mapping) or p.keys() != first.keys() for p in parts):
            raise ProjectError(f"{name} has other names than in the best trial, so the models differ")
        return {key: _averaged([p[key] for p in parts], f"{name}.{key}") for key in first}
    if isinstance(first, list | tuple) and all(isinstance(p, list | tuple) and len(p) == len(first) for p in parts):
        return type(first)(_averaged([p[i] for p in parts], f"{name}.{i}") for i in range(len(first)))
    return first
