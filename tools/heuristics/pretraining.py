"""Learning rates and batch sizes for pretraining language models, from parameters and tokens."""

from __future__ import annotations

from tunesmith.tools.heuristics.advice import Advice, check_positive, range_warnings

STEP_LAW = "Li et al. 2025, Predictable Scale: Part I, arXiv 2503.04715"
POWER = "Shen et al. 2024, Power Scheduler, arXiv 2408.13359"


def step_law(*, parameters: float, tokens: float) -> Advice:
    """Return the peak learning rate and the batch size: 1.79 N^-0.713 D^0.307 and 0.58 D^0.571.

    Args:
        parameters: N, embeddings excluded.
        tokens: D, of the whole training.

    Returns:
        learning_rate, and batch_tokens per step; for AdamW with cosine decay to 1e-5.

    Raises:
        SpecError: an input is not above 0.
    """
    check_positive(parameters=parameters, tokens=tokens)
    return Advice(
        values={
            "learning_rate": 1.79 * parameters**-0.713 * tokens**0.307,
            "batch_tokens": 0.58 * tokens**0.571,
        },
        source=STEP_LAW,
        warnings=(*range_warnings("parameters", parameters, 6e7, 1.1e9), *range_warnings("tokens", tokens, 2e9, 1e11)),
    )


def power_rate(*, batch_sequences: float, tokens_trained: float, a: float, b: float, highest: float) -> Advice:
    """Return the learning rate before the final decay: min(highest, batch * a * tokens^b).

    Args:
        batch_sequences: sequences per step.
        tokens_trained: tokens so far.
        a: the amplitude, fitted to small runs.
        b: the exponent, below 0; about -0.51 in the paper.
        highest: the maximum rate.

    Raises:
        SpecError: an input is not above 0 (b is not below 0).
    """
    check_positive(batch_sequences=batch_sequences, tokens_trained=tokens_trained, a=a, highest=highest, minus_b=-b)
    return Advice(values={"learning_rate": min(highest, batch_sequences * a * tokens_trained**b)}, source=POWER)
