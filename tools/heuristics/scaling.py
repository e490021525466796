"""How the learning rate scales with the batch size and with the width."""

from __future__ import annotations

import math

from tunesmith.tools.heuristics.advice import Advice, check_positive, range_warnings

LINEAR = "Goyal et al. 2017, Accurate, Large Minibatch SGD, arXiv 1706.02677"
ROOT = "Malladi et al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms, arXiv 2205.10287"
MUP = "Yang et al. 2022, Tensor Programs V, arXiv 2203.03466"


def linear_batch_scaling(*, learning_rate: float, batch: float, new_batch: float) -> Advice:
    """Return the learning rate for another batch size under SGD: proportional, with a warm-up for large batches.

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(learning_rate=learning_rate, batch=batch, new_batch=new_batch)
    return Advice(
        values={"learning_rate": learning_rate * new_batch / batch},
        source=LINEAR,
        warnings=range_warnings("new_batch", new_batch, 64, 8192),
    )


def root_batch_scaling(*, learning_rate: float, batch: float, new_batch: float) -> Advice:
    """Return the learning rate for another batch size under Adam: proportional to the square root.

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(learning_rate=learning_rate, batch=batch, new_batch=new_batch)
    return Advice(values={"learning_rate": learning_rate * math.sqrt(new_batch / batch)}, source=ROOT)


def mup_transfer(*, learning_rate: float, init_std: float, width: float, new_width: float) -> Advice:
    """Return the settings of hidden matrices at another width under Adam that keep the learning rate optimal.

    Args:
        learning_rate: of hidden matrices at `width`; the rates of input weights and biases do not change.
        init_std: standard deviation of their initial values at `width`.
        width: the base width.
        new_width: the target width.

    Returns:
        learning_rate (proportional to 1 / width), init_std (1 / sqrt(width)), and output_multiplier (1 / width).

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(learning_rate=learning_rate, init_std=init_std, width=width, new_width=new_width)
    ratio = new_width / width
    return Advice(
        values={
            "learning_rate": learning_rate / ratio,
            "init_std": init_std / math.sqrt(ratio),
            "output_multiplier": 1.0 / ratio,
        },
        source=MUP,
        warnings=range_warnings("width", width, 128, 1e6),
    )
