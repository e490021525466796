"""Training seeds for each purpose, in disjoint ranges: no choice is evaluated on a seed that it was made on."""

from __future__ import annotations

import hashlib

FIRST_FRESH = 2**30
"""Smallest seed that is not a tuning seed."""
_TUNING, _CHOOSING, _CONFIRMING = 0, FIRST_FRESH, 3 * 2**29
_END = 2**31


def derived_seed(seed: int, *path: str | int) -> int:
    """Return a seed in [0, 2^31), the same on every machine; different paths give independent seeds."""
    text = ":".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 2**31


def tuning_seed(seed: int, number: int) -> int:
    """Return the training seed of trial `number`."""
    return _seed_in(_TUNING, _CHOOSING, derived_seed(seed, "train", number))


def noise_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th replicate of the default that measures noise; a tuning seed."""
    return _seed_in(_TUNING, _CHOOSING, derived_seed(seed, "noise", index))


def instance_seed(seed: int, instance: str) -> int:
    """Return the seed of every run on an instance, so that configurations are compared on the same; a tuning seed."""
    return _seed_in(_TUNING, _CHOOSING, derived_seed(seed, "instance", instance))


def choosing_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed for the choice among the leading configurations."""
    return _seed_in(_CHOOSING, _CONFIRMING, derived_seed(seed, "choose", index))


def confirming_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed for the comparison of the chosen configuration with the default."""
    return _seed_in(_CONFIRMING, _END, derived_seed(seed, "confirm", index))


def scaling_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed for runs at a larger scale."""
    return _seed_in(_CONFIRMING, _END, derived_seed(seed, "scale", index))


def is_fresh(seed: int) -> bool:
    """Return whether a seed is not a tuning seed."""
    return seed >= FIRST_FRESH


def is_confirming(seed: int) -> bool:
    """Return whether a seed is one that no choice was made on."""
    return seed >= _CONFIRMING


def _seed_in(low: int, high: int, drawn: int) -> int:
    return low + drawn % (high - low)
