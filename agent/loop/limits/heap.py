"""Keeps the heap of a long run small. Knows nothing of studies.

Trials, requests and readers each have threads. By default glibc gives threads heaps of their own and keeps what they
freed, which doubles the memory of a run within minutes. Elsewhere than on glibc nothing is changed.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

HEAPS = 1
"""Number of heaps that all threads share; the interpreter runs one thread at a time anyway."""
KEPT_BYTES = 2**17
"""Size from which a block is returned as soon as it is free, and most free memory that is kept at the end of a heap."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_heap_small() -> None:
    """Have threads share heaps, and large blocks returned at once, from now on."""
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, HEAPS)
        libc.mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def return_free_memory() -> None:
    """Return what is free within heaps to the system; takes a fraction of a second."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
