"""Greedy model soups: averages the weights of several checkpoints, keeping each one that lowers the evaluated loss.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", recipe 1. It works for models trained from the same initial weights, as in fine-tuning; for others the
evaluation rejects the average. Knows no study, no process and no
tensor: the average and its evaluation are a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    evaluate: Callable[[Sequence[Ingredient]], float],
    *,
    on_step: Callable[[SoupStep], None] = lambda _: None,
) -> Soup:
    """Return the soup.

    Args:
        ingredients: one or more; tried in the order of their losses.
        evaluate: returns the loss of the average of these checkpoints, to be minimized; raises ProjectError when one
            cannot be read, they differ in shape, or the evaluation fails.
        on_step: called with each step when it is done.

    Raises:
        ProjectError: the best checkpoint cannot be read or evaluated, or the evaluation does not depend on the weights.
    """
    first, *others = sorted(ingredients, key=lambda i: (i.loss, i.number))
    kept = [first]
    single_loss = loss = evaluate(kept)
    steps = [SoupStep(number=first.number, loss=loss, is_in=True)]
    on_step(steps[0])
    for other in others:
        step = _try([*kept, other], evaluate, loss)
        steps.append(step)
        on_step(step)
        if step.is_in and step.loss is not None:
            kept.append(other)
            loss = step.loss
    losses = [step.loss for step in steps if step.loss is not None]
    if len(losses) > 2 and len(set(losses)) == 1:  # noqa: PLR2004
        raise ProjectError(
            "[evaluate] returned the same value for every average, so it does not read these weights; give the name of "
            "the checkpoint that it reads"
        )
    return Soup(numbers=tuple(i.number for i in kept), single_loss=single_loss, loss=loss, steps=tuple(steps))


def _try(mixed: Sequence[Ingredient], evaluate: Callable[[Sequence[Ingredient]], float], loss: float) -> SoupStep:
    number = mixed[-1].number
    try:
        found = evaluate(mixed)
    except ProjectError as error:
        return SoupStep(number=number, loss=None, is_in=False, reason=str(error))
    return SoupStep(number=number, loss=found, is_in=found < loss)
