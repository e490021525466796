"""Estimate of the GPU memory that training a transformer needs."""

from __future__ import annotations

from tunesmith.study.errors import Mistake, SpecError
from tunesmith.tools.heuristics.advice import Advice, check_positive, range_warnings

STATES = "Rajbhandari et al. 2020, ZeRO, arXiv 1910.02054"
ACTIVATIONS = "Korthikanti et al. 2022, Reducing Activation Recomputation, arXiv 2205.05198"
BYTES_PER_PARAMETER = 16
"""Mixed precision with Adam: 2 for weights, 2 for gradients, 12 for the full-precision copy and two moments."""

_GIB = 2**30
RECOMPUTE = ("none", "selective", "full")


def transformer_memory(  # noqa: PLR0913  # the formula's own letters
    *,
    parameters: float,
    layers: float,
    hidden: float,
    heads: float,
    sequence: float,
    batch: float,
    recompute: str = "none",
) -> Advice:
    """Return one GPU's memory without sharding: 16 bytes per parameter and s b h (34 + 5 a s / h) bytes per layer.

    Args:
        parameters: number of all parameters.
        layers: number of transformer layers.
        hidden: h, the width.
        heads: a, attention heads.
        sequence: s, tokens per sequence.
        batch: b, sequences per GPU and step.
        recompute: none; selective (attention recomputed: 34 s b h per layer); full (2 s b h per layer).

    Returns:
        states_gib, activations_gib, total_gib. Excludes buffers, fragmentation and the logits.

    Raises:
        SpecError: a number is not above 0, or recompute is not one of the three.
    """
    check_positive(parameters=parameters, layers=layers, hidden=hidden, heads=heads, sequence=sequence, batch=batch)
    if recompute not in RECOMPUTE:
        raise SpecError(
            [Mistake("recompute", f"{recompute!r} is not valid; expected {', '.join(RECOMPUTE)}")], where="the rule"
        )
    per_token = {"none": 34.0 + 5.0 * heads * sequence / hidden, "selective": 34.0, "full": 2.0}[recompute]
    activations = layers * sequence * batch * hidden * per_token / _GIB
    states = BYTES_PER_PARAMETER * parameters / _GIB
    return Advice(
        values={"states_gib": states, "activations_gib": activations, "total_gib": states + activations},
        source=f"{STATES}; {ACTIVATIONS}",
        warnings=range_warnings("hidden", hidden, 64, 1e5),
    )
