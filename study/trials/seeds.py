"""Which training seeds are used for what. Their ranges never overlap: no choice is judged on what it was made by."""

from __future__ import annotations

import hashlib

_TUNING, _CHOOSING, _CONFIRMING = 0, 2**30, 3 * 2**29
_END = 2**31


def derived_seed(seed: int, *path: str | int) -> int:
    """Return a seed in [0, 2^31) for one purpose, the same on every machine; different paths give unrelated seeds."""
    text = ":".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 2**31


def tuning_seed(seed: int, number: int) -> int:
    """Return the training seed of trial `number`."""
    return _in(_TUNING, _CHOOSING, derived_seed(seed, "train", number))


def noise_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th repetition of the default by which noise is measured; a tuning seed."""
    return _in(_TUNING, _CHOOSING, derived_seed(seed, "noise", index))


def choosing_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed on which the leading configurations are told apart."""
    return _in(_CHOOSING, _CONFIRMING, derived_seed(seed, "choose", index))


def confirming_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed on which the chosen configuration is held against the default."""
    return _in(_CONFIRMING, _END, derived_seed(seed, "confirm", index))


def is_fresh(seed: int) -> bool:
    """Whether a seed lies beyond those of tuning."""
    return seed >= _CHOOSING


def is_confirming(seed: int) -> bool:
    """Whether a seed is one on which nothing was chosen."""
    return seed >= _CONFIRMING


def _in(low: int, high: int, drawn: int) -> int:
    return low + drawn % (high - low)
