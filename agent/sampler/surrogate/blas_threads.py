"""Keeps the sampler's linear algebra on one core.

The trials need the others, threads that wait for each other cost more than they bring at our sizes, and a sum over
threads may round differently from run to run, which a resumed study must not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_core() -> Iterator[None]:
    """Limit BLAS to one thread inside the block."""
    with _controller().limit(limits=1):
        yield


@cache
def _controller() -> Any:
    # Looks once at what is loaded, so everything that brings a BLAS of its own has to be there by now.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
