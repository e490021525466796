"""A fake of nvidia-ml-py: the functions of NVML that are used, for GPUs that a JSON file describes.

Put this folder first on the path, and name the file in FAKE_NVML. The file is read at every call, so a GPU may change
while a test runs. Next to it is a folder `held`: a process that writes `GPU BYTES` into `held/PID` holds that much of
a GPU's memory for as long as it lives, as a training script does.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BORN = time.monotonic()


class NVMLError(Exception):
    """What NVML raises for everything."""


@dataclass(frozen=True)
class Memory:
    """Bytes, as NVML has them."""

    total: int
    used: int


@dataclass(frozen=True)
class Utilization:
    """Percent."""

    gpu: int


@dataclass(frozen=True)
class Process:
    """A process with its bytes on a GPU."""

    pid: int
    usedGpuMemory: int  # noqa: N815  # NVML's spelling


def nvmlInit() -> None:  # noqa: N802, D103
    if not Path(os.environ.get("FAKE_NVML", "")).is_file():
        raise NVMLError("Driver Not Loaded")


def nvmlDeviceGetCount() -> int:  # noqa: N802, D103
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802, D103
    if index >= len(_gpus()):
        raise NVMLError("Invalid Argument")
    return index


def nvmlDeviceGetHandleByUUID(uuid: str) -> int:  # noqa: N802, D103
    found = [index for index, gpu in enumerate(_gpus()) if gpu["uuid"] == uuid]
    if not found:
        raise NVMLError("Not Found")
    return found[0]


def nvmlDeviceGetName(handle: int) -> str:  # noqa: N802, D103
    return str(_gpus()[handle]["name"])


def nvmlDeviceGetMemoryInfo(handle: int) -> Memory:  # noqa: N802, D103
    used = sum(size for gpu, size in _held().values() if gpu == handle)
    return Memory(total=_gpus()[handle]["memory"], used=used)


def nvmlDeviceGetUtilizationRates(handle: int) -> Utilization:  # noqa: N802, D103
    return Utilization(gpu=_told(handle, "busy"))


def nvmlDeviceGetPowerUsage(handle: int) -> int:  # noqa: N802, D103
    return int(_told(handle, "watt") * 1000)


def nvmlDeviceGetTotalEnergyConsumption(handle: int) -> int:  # noqa: N802, D103
    """In mJ since this process began; an old GPU has no such counter."""
    if _gpus()[handle].get("old"):
        raise NVMLError("Not Supported")
    return int(_told(handle, "watt") * 1000 * (time.monotonic() - BORN))


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[Process]:  # noqa: N802, D103
    if _gpus()[handle].get("hides"):
        return []
    return [Process(pid, size) for pid, (gpu, size) in _held().items() if gpu == handle]


def _told(handle: int, name: str) -> Any:
    gpu = _gpus()[handle]
    if name not in gpu:
        raise NVMLError("Not Supported")
    return gpu[name]


def _gpus() -> list[dict[str, Any]]:
    gpus: list[dict[str, Any]] = json.loads(Path(os.environ["FAKE_NVML"]).read_text())
    return gpus


def _held() -> dict[int, tuple[int, int]]:
    found = {}
    for path in Path(os.environ["FAKE_NVML"]).with_name("held").glob("*"):
        words = path.read_text().split()
        if len(words) == 2 and Path("/proc", path.name).exists():
            found[int(path.name)] = int(words[0]), int(words[1])
    return found
