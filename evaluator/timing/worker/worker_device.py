"""The GPU as the worker sees it: waiting for its work, where values lie, and what it can do at most.

Imports torch only when it is used. Needs the standard library otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def no_device() -> None:
    """Wait for nothing: values are on the host."""


def devices_of(value: Any) -> set[str]:
    """Return the kinds of devices that the tensors of a value lie on."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return {value.device.type}
    if isinstance(value, list | tuple):
        return set().union(*map(devices_of, value))
    if isinstance(value, dict):
        return set().union(*map(devices_of, value.values()))
    return set()


def device_synchronizer() -> Callable[[], object]:
    """Return what waits for all work of this process on its GPU: the driver's own function; torch's may be replaced."""
    import ctypes

    import torch

    torch.zeros(1, device="cuda")
    driver, by_torch = ctypes.CDLL("libcuda.so.1").cuCtxSynchronize, torch.cuda.synchronize

    def wait() -> None:
        if driver():
            by_torch()  # raises with the error's text

    return wait


def device_peaks() -> dict[str, float]:
    """Return the operations and bytes per second that the GPU reached in large products and copies."""
    import torch

    def fastest(action: Callable[[], object]) -> float:
        found = []
        for _ in range(10):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch
            begin.record()
            action()
            end.record()
            torch.cuda.synchronize()
            found.append(float(begin.elapsed_time(end)) / 1000)
        return min(found)

    size = 8192
    a = torch.randn(size, size, device="cuda", dtype=torch.float16)
    source = torch.empty(2**28, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)
    return {
        "flops": 2 * size**3 / fastest(lambda: a @ a),
        "bytes": 2 * source.nbytes / fastest(lambda: target.copy_(source)),
    }
