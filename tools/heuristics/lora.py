"""Low-rank adapters: number of trained parameters, scale of their output, first learning rate."""

from __future__ import annotations

import math

from tunesmith.tools.heuristics.advice import Advice, check_positive

LORA = "Hu et al. 2021, LoRA, arXiv 2106.09685"
RANK_STABLE = "Kalajdzievski 2023, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA, arXiv 2312.03732"
QLORA = "Dettmers et al. 2023, QLoRA, arXiv 2305.14314"
_LARGE_PARAMETERS = 33e9
"""Number of parameters from which the smaller learning rate and dropout apply."""


def lora_parameters(*, rank: float, width_in: float, width_out: float, matrices: float) -> Advice:
    """Return the number of trained parameters: rank times (in + out) for each adapted matrix.

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(rank=rank, width_in=width_in, width_out=width_out, matrices=matrices)
    return Advice(values={"trained_parameters": matrices * rank * (width_in + width_out)}, source=LORA)


def lora_scale(*, rank: float, alpha: float) -> Advice:
    """Return the factor on an adapter's output: alpha / rank, and alpha / sqrt(rank) for large ranks.

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(rank=rank, alpha=alpha)
    values = {"scale": alpha / rank, "rank_stable_scale": alpha / math.sqrt(rank)}
    return Advice(values=values, source=f"{LORA}; {RANK_STABLE}")


def qlora_start(*, parameters: float) -> Advice:
    """Return a learning rate and a dropout to start from: 2e-4 and 0.1 up to 13B parameters, 1e-4 and 0.05 from 33B.

    Raises:
        SpecError: the input is not above 0.
    """
    check_positive(parameters=parameters)
    large = parameters >= _LARGE_PARAMETERS
    return Advice(values={"learning_rate": 1e-4 if large else 2e-4, "dropout": 0.05 if large else 0.1}, source=QLORA)
