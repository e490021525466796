"""How much a metric varies between seeds, and what configurations are worth on average when that is known.

A small Gaussian process with known noise shrinks lucky values towards their neighbours. Plain Python, because doors
that only read a study must not load numerics. Losses in (smaller is better), means out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

_MIN_FREEDOM = 2
"""Degrees of freedom from which the spread between seeds counts as known: three values of one configuration."""
_MIN_POINTS = 3
"""Fewer configurations say nothing about their neighbourhood."""
_LENGTHS = (0.1, 0.2, 0.4, 0.8)
"""Length scales tried, in units of the diagonal of the unit cube."""
_MAX_SHIFT = 2.0
"""Largest distance of an expected value from the configuration's own mean, in standard errors of that mean.

A neighbourhood that is rougher than the model believes must not move a value by more than noise can explain.
"""
_MIN_FITTED = 20
"""Number of configurations from which noise is estimated where none ran twice."""
_GROWTH = 1.2
"""Factor by which configurations grow in number until noise is estimated again."""
LEADING = 30
"""Number of leading configurations, and of others, that noise is estimated from."""
_SCATTER_SHARES = (0.2, 0.8)
"""Parts of the variance that are tried as noise where no configuration ran twice."""
_MIN_ADVANTAGE = 3.0
"""Difference in log likelihood from which values are taken for noisy: a rough function without noise is common, too."""
_NO_NOISE = 1e-6
"""Part of the variance that is tried for no noise; it keeps matrices positive definite."""
_JITTER = 1e-9
_MIN_SIGNAL = 0.05
"""Smallest share of the variance that is ascribed to the configurations."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A configuration with its losses on one seed or more.

    Attributes:
        unit: its point in the unit cube.
        code: the version of the code; those of different versions are unrelated.
    """

    unit: tuple[float, ...]
    code: str
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean loss over seeds."""
        return mean_of(self.losses)


def mean_of(values: Sequence[float]) -> float:
    """Return the mean; it does not overflow where the sum would."""
    return sum(value / len(values) for value in values)


def seed_noise(measured: Sequence[Measured]) -> float | None:
    """Return the standard deviation between seeds, pooled over configurations; None while it is not known."""
    freedom = sum(len(m.losses) - 1 for m in measured)
    if freedom < _MIN_FREEDOM:
        return None
    variance = sum(
        (loss - m.mean) * (loss - m.mean) / freedom for m in measured if len(m.losses) > 1 for loss in m.losses
    )
    return math.sqrt(variance) if math.isfinite(variance) else None


def scatter(measured: Sequence[Measured]) -> float | None:
    """Return the noise that configurations show of which none ran twice, as a standard deviation; None for none.

    It is estimated anew each time that their number has grown by a fifth, from the configurations that there were then.

    Args:
        measured: the configurations in the order in which they ran.
    """
    if len(measured) < _MIN_FITTED:
        return None
    count = int(_MIN_FITTED * _GROWTH ** int(math.log(len(measured) / _MIN_FITTED) / math.log(_GROWTH) + 1e-9))
    return fitted_noise(tuple(leading_and_others(sorted(measured[:count], key=lambda m: m.mean))))


def leading_and_others(ranked: Sequence[T]) -> list[T]:
    """Return the leading ones of a ranking, and as many of the others, evenly.

    Noise is seen in a fair sample only: leading ones are the lucky ones.
    """
    rest = ranked[LEADING:]
    stride = max(len(rest) / LEADING, 1.0)
    return [*ranked[:LEADING], *(rest[int(i * stride)] for i in range(min(LEADING, len(rest))))]


@lru_cache(maxsize=64)
def fitted_noise(measured: tuple[Measured, ...]) -> float | None:
    """Return the standard deviation of the losses that no smooth function of the parameters explains.

    None where a function without noise explains the losses about as well.
    """
    scaled = _scaled(measured, 0.0)
    if scaled is None:
        return None
    outputs, _, scale = scaled
    center = mean_of(outputs)
    residuals = [y - center for y in outputs]
    spread = mean_of([r * r for r in residuals])
    squares = [[_square_distance(a, b) for b in measured] for a in measured]

    def likelihood(share: float) -> float:
        signal, variances = (1.0 - share) * spread, [share * spread] * len(residuals)
        return max(_fit(squares, length, signal, variances, residuals, _rough)[0] for length in _LENGTHS)

    found = {share: likelihood(share) for share in _SCATTER_SHARES}
    likeliest = max(found, key=lambda share: found[share])
    if found[likeliest] - likelihood(_NO_NOISE) < _MIN_ADVANTAGE:
        return None
    return scale * math.sqrt(likeliest * spread)


def expected_losses(measured: Sequence[Measured], noise: float | None) -> list[float]:
    """Return the expected loss of each configuration: its mean where noise is unknown or 0, else the model's."""
    means = [m.mean for m in measured]
    if not noise or len(measured) < _MIN_POINTS:
        return means
    scaled = _scaled(measured, noise)
    if scaled is None:
        return means
    outputs, best, scale = scaled
    ceiling = best + scale
    variances = [(noise / scale) ** 2 / len(m.losses) for m in measured]
    fitted = _posterior_means(measured, outputs, variances)
    reach = [_MAX_SHIFT * noise / math.sqrt(len(m.losses)) for m in measured]
    wanted = [best + scale * value if mean < ceiling else mean for value, mean in zip(fitted, means, strict=True)]
    return [min(max(w, m - r), m + r) for w, m, r in zip(wanted, means, reach, strict=True)]


def _scaled(measured: Sequence[Measured], noise: float) -> tuple[list[float], float, float] | None:
    """Return the means from 0 for the best to 1, the best mean, and the length of 1; None where all are equal.

    Beyond twice the distance of the middle one, only that a loss is bad matters.
    """
    means = [m.mean for m in measured]
    best, middle = min(means), sorted(means)[len(means) // 2]
    scale = 2.0 * max(middle - best, noise)
    if not math.isfinite(scale) or best + scale <= best:
        return None
    return [(min(mean, best + scale) - best) / scale for mean in means], best, scale


def _posterior_means(measured: Sequence[Measured], outputs: Sequence[float], variances: Sequence[float]) -> list[float]:
    center = mean_of(outputs)
    residuals = [y - center for y in outputs]
    spread = mean_of([r * r for r in residuals])
    signal = max(spread - mean_of(variances), _MIN_SIGNAL * spread, _JITTER)
    squares = [[_square_distance(a, b) for b in measured] for a in measured]
    fits = [_fit(squares, length, signal, variances, residuals) for length in _LENGTHS]
    _, weights, kernel = max(fits, key=lambda fit: fit[0])
    return [center + sum(k * w for k, w in zip(row, weights, strict=True)) for row in kernel]


def _square_distance(a: Measured, b: Measured) -> float:
    if a.code != b.code:
        return math.inf
    return sum((x - y) * (x - y) for x, y in zip(a.unit, b.unit, strict=True)) / max(len(a.unit), 1)


def _smooth(square: float) -> float:
    return math.exp(-0.5 * square)


def _rough(square: float) -> float:
    """Return the kernel of functions with kinks (Matern 3/2): under a smooth one, a kink looks like noise."""
    root = math.sqrt(3.0 * square)
    return (1.0 + root) * math.exp(-root) if root < math.inf else 0.0


def _fit(  # noqa: PLR0913  # the data, and a kernel
    squares: Sequence[Sequence[float]], length: float, signal: float, variances: Sequence[float], y: Sequence[float],
    correlation: Callable[[float], float] = _smooth,
) -> tuple[float, list[float], list[list[float]]]:  # fmt: skip
    """Return the log likelihood, the weights of the posterior mean, and the kernel without noise."""
    kernel = [[signal * correlation(d / (length * length)) for d in row] for row in squares]
    noisy = [row[:i] + [row[i] + variances[i] + _JITTER * signal] + row[i + 1 :] for i, row in enumerate(kernel)]
    lower = _cholesky(noisy)
    half = _forward(lower, y)
    likelihood = -0.5 * sum(h * h for h in half) - sum(math.log(lower[i][i]) for i in range(len(y)))
    return likelihood, _backward(lower, half), kernel


def _cholesky(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    lower: list[list[float]] = []
    for i, row in enumerate(matrix):
        new: list[float] = []
        for j in range(i):
            new.append((row[j] - sum(a * b for a, b in zip(new, lower[j], strict=False))) / lower[j][j])
        rest = row[i] - sum(a * a for a in new)
        lower.append([*new, math.sqrt(max(rest, 1e-12 * row[i]))])
    return lower


def _forward(lower: Sequence[Sequence[float]], y: Sequence[float]) -> list[float]:
    found: list[float] = []
    for row, value in zip(lower, y, strict=True):
        found.append((value - sum(a * b for a, b in zip(row, found, strict=False))) / row[-1])
    return found


def _backward(lower: Sequence[Sequence[float]], y: Sequence[float]) -> list[float]:
    found = list(y)
    for i in range(len(y) - 1, -1, -1):
        found[i] = (found[i] - sum(lower[k][i] * found[k] for k in range(i + 1, len(y)))) / lower[i][i]
    return found
