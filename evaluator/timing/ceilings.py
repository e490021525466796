"""What this machine can do at most: operations and bytes per second, so that a faster result is known to be none.

Measured with numpy on all cores that the judge may use. The margins are wide, since numpy reaches less than the
hardware can: the ceiling finds work that was not done, not work that was done well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

FLOPS_MARGIN = 4.0
"""How much more than numpy's float32 product: processors have units for shorter types."""
BYTES_MARGIN = 3.0
_PRODUCT = 1024
_CACHE_BYTES, _MEMORY_BYTES = 2**18, 2**28
"""Sizes of buffers within and beyond the caches."""
_REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Upper limits of this machine, margins included.

    Attributes:
        flops: operations per second.
        cache_bytes: bytes per second while all of them fit into the caches.
        memory_bytes: bytes per second beyond that.
    """

    flops: float
    cache_bytes: float
    memory_bytes: float

    def bytes_per_second(self, size: float) -> float:
        """Return the limit for a call that moves this many bytes; what fits may be in caches."""
        return self.memory_bytes if size > 4 * last_level_cache() else self.cache_bytes


def last_level_cache() -> int:
    """Return the bytes of the largest cache, 32 MiB where the system does not say."""
    found = 0
    for index in range(5):
        try:
            with open(f"/sys/devices/system/cpu/cpu0/cache/index{index}/size") as stream:
                text = stream.read().strip()
            found = max(found, int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]])
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return found or 2**25


def cold_caches() -> Callable[[], None]:
    """Return what fills the caches with other data."""
    other = np.zeros(2 * last_level_cache() // 8)

    def evict() -> None:
        np.add(other, 1.0, out=other)

    return evict


@cache
def measured_peaks() -> Peaks:
    """Return the limits of this machine; takes about a second."""
    cores = len(os.sched_getaffinity(0))
    a = np.random.default_rng(0).random((_PRODUCT, _PRODUCT), dtype=np.float32)
    flops = _fastest(lambda: a @ a, 2 * _PRODUCT**3, cores)
    cache_bytes = max(_copying(_CACHE_BYTES // 8, cores), _copying(_CACHE_BYTES, cores))
    memory_bytes = _copying(_MEMORY_BYTES // cores, cores)
    return Peaks(
        flops=FLOPS_MARGIN * flops,
        cache_bytes=BYTES_MARGIN * max(cache_bytes, memory_bytes),
        memory_bytes=BYTES_MARGIN * memory_bytes,
    )


def _copying(size: int, cores: int) -> float:
    source = np.ones(size // 8)
    repeats = max(1, 2**24 // size)

    def copy() -> None:
        target = np.empty_like(source)
        for _ in range(repeats):
            np.copyto(target, source)

    return _fastest(copy, 2 * size * repeats, cores)


def _fastest(action: Callable[[], object], amount: float, cores: int) -> float:
    """Return the largest amount per second with one thread a core; numpy gives up the interpreter's lock meanwhile."""
    best = 0.0
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(_REPEATS):
            started = time.perf_counter()
            for done in [pool.submit(action) for _ in range(cores)]:
                done.result()
            best = max(best, cores * amount / (time.perf_counter() - started))
    return best
