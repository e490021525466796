"""Acquisition functions: log expected improvement and the log probability of a value below a bound.

Knows no model; takes means and standard deviations.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def log_expected_improvement(mean: Array, std: Array, best: float | Array) -> Array:
    """(m,), (m,) -> (m,) log E[max(best - Y, 0)] for Y normal; stays finite far above `best`. Ament et al. 2023."""
    z = (best - mean) / std
    return _log_h(z) + np.log(std)


def log_probability_below(mean: Array, std: Array, bound: float) -> Array:
    """(m,), (m,) -> (m,) log P(Y <= bound) for Y normal."""
    from scipy.special import log_ndtr  # 0.06 s

    return np.asarray(log_ndtr((bound - mean) / std))


def log_mean_exp(values: Array) -> Array:
    """(s, m) -> (m,) log of the mean over the first axis of exp(values)."""
    top = values.max(axis=0)
    return np.asarray(top + np.log(np.exp(values - top).mean(axis=0)))


def _log_h(z: Array) -> Array:
    """log(phi(z) + z Phi(z)), without cancellation for z far below 0."""
    from scipy.special import erfcx, ndtr

    log_phi = -0.5 * z * z - _LOG_SQRT_2PI
    near = z > -1.0
    zn = np.where(near, z, 0.0)
    direct = np.log(np.exp(-0.5 * zn * zn - _LOG_SQRT_2PI) + zn * ndtr(zn))
    # phi + z Phi = phi (1 - |z| Phi(z) / phi(z)), and Phi / phi is a scaled erfcx.
    zf = np.where(near, -1.0, np.maximum(z, -1e4))
    ratio = 1.0 + zf * math.sqrt(math.pi / 2.0) * erfcx(-zf / math.sqrt(2.0))
    # Below -1e3 that bracket is 1 / z^2 to double precision.
    far = log_phi + np.where(z < -1e3, -2.0 * np.log(np.maximum(-z, 1.0)), np.log(np.maximum(ratio, 1e-300)))
    return np.where(near, direct, far)
