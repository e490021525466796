"""Hypervolume, and its expected improvement, for several objectives that are all minimized.

The region that no known point dominates is cut into boxes. For independent normal predictions the expected hypervolume
improvement (EHVI) is a sum over boxes of products of one-dimensional expected improvements (Yang et al. 2019). Knows no
model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate.acquisition import log_expected_improvement

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def nondominated(values: Array) -> Mask:
    """(n, k) -> (n,) whether no other point dominates each; of equal points the first counts."""
    no_worse = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    better = no_worse & (values[:, None, :] < values[None, :, :]).any(axis=2)
    equal_before = np.triu((values[:, None, :] == values[None, :, :]).all(axis=2), 1)
    return np.asarray(~(better | equal_before).any(axis=0))


def nondominated_boxes(front: Array, reference: Array) -> Array:
    """(n, k) points, (k,) reference -> (b, 2, k) lower and upper corners of boxes that tile the nondominated region.

    Boxes end at the reference; lower corners may be -inf. The region is cut into slabs along the last objective. Within
    a slab only points below it dominate, so the problem there has one objective less.
    """
    front = front[(front < reference).all(axis=1)]
    if front.shape[1] == 1:
        top = min([*front[:, 0].tolist(), float(reference[0])])
        return np.array([[[-np.inf], [top]]])
    cuts = [-np.inf, *np.unique(front[:, -1]).tolist(), float(reference[-1])]
    slabs = []
    for low, high in zip(cuts[:-1], cuts[1:], strict=True):
        below = front[front[:, -1] <= low]
        flat = nondominated_boxes(below[:, :-1], reference[:-1])
        ends = np.broadcast_to(np.array([[low], [high]]), (len(flat), 2, 1))
        slabs.append(np.concatenate([flat, ends], axis=2))
    return np.concatenate(slabs)


def hypervolume(front: Array, reference: Array) -> float:
    """(n, k) points, (k,) reference -> the volume below the reference that at least one point dominates."""
    inside = front[(front < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    low = inside.min(axis=0)
    boxes = nondominated_boxes(inside, reference)
    sides = np.clip(boxes[:, 1] - np.maximum(boxes[:, 0], low), 0.0, None)
    return float(np.prod(reference - low) - np.prod(sides, axis=1).sum())


def log_ehvi(means: Array, stds: Array, boxes: Array) -> Array:
    """Return (m,) the log expected hypervolume improvement; it stays finite far from the front.

    Args:
        means: (m, k) predicted means.
        stds: (m, k) predicted standard deviations.
        boxes: (b, 2, k) from `nondominated_boxes`.
    """
    total = np.zeros((len(means), len(boxes)))
    for objective in range(means.shape[1]):
        mean, std = means[:, objective, None], stds[:, objective, None]
        upper = log_expected_improvement(mean, std, boxes[None, :, 1, objective])
        low = boxes[None, :, 0, objective]
        bounded = np.isfinite(low)
        lower = log_expected_improvement(mean, std, np.where(bounded, low, 0.0))
        # E[(u - max(l, y))+] is the difference of two expected improvements.
        lower_fraction = np.where(bounded, np.exp(np.minimum(lower - upper, -1e-12)), 0.0)
        total += upper + np.log1p(-lower_fraction)
    top = total.max(axis=1)
    return np.asarray(top + np.log(np.exp(total - top[:, None]).sum(axis=1)))
