"""Limits BLAS to one thread while the sampler computes.

Trials need the other cores, and for matrices of this size threads cost more than they save. A sum over several threads
may also round differently from run to run, and then a resumed study would differ from an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread inside the block."""
    with _controller().limit(limits=1):
        yield


@cache
def _controller() -> Any:
    # The controller looks for BLAS libraries once, so scipy, which ships its own, must be loaded before.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
