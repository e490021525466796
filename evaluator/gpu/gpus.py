"""Finds this machine's GPUs and says what they are doing. Reads only; needs only the standard library.

NVIDIA's GPUs are read through NVML if the package nvidia-ml-py is installed, and through `nvidia-smi` otherwise. What
is possible with other vendors' GPUs is described in docs/gpus.md. gpu_meter.py measures what one command uses.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = 'memory and energy are not measured; pip install "tunesmith[gpu]"'
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU. `id` is what CUDA_VISIBLE_DEVICES calls it: an index in PCI order, or a UUID."""

    id: str
    name: str = ""
    memory_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInventory:
    """The GPUs that trials can be placed on, and a remark for the user in `note`, "" for none."""

    gpus: tuple[Gpu, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLoad:
    """What one GPU is doing now, each figure as nvidia-smi prints it."""

    index: str
    name: str
    used_mib: str
    total_mib: str
    busy_percent: str


def find_gpus(environment: Mapping[str, str] | None = None) -> GpuInventory:
    """Return the GPUs that this process may use; CUDA_VISIBLE_DEVICES limits them where it is set."""
    environment = os.environ if environment is None else environment
    nvml = open_nvml()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [part.strip() for part in visible.split(",")]
        ids = [part for part in ids if part not in ("", "-1")]
    elif nvml is not None:
        ids = [str(index) for index in range(nvml.nvmlDeviceGetCount())]
    else:
        gpus = _list_by_nvidia_smi()
        return GpuInventory(gpus=gpus, note=NOT_MEASURED if gpus else other_vendors_note())
    gpus = tuple(Gpu(id=part) if nvml is None else _describe(nvml, part) for part in ids)
    return GpuInventory(gpus=gpus, note=(NOT_MEASURED if nvml is None else "") if gpus else other_vendors_note())


def gpu_loads(*, timeout_s: float) -> list[GpuLoad]:
    """Return the load of each NVIDIA GPU; none if there is no GPU, or nvidia-smi does not answer in time."""
    rows = _nvidia_smi("index,name,memory.used,memory.total,utilization.gpu", timeout_s)
    return [
        GpuLoad(index=index, name=name, used_mib=used, total_mib=total, busy_percent=busy)
        for index, name, used, total, busy in rows
    ]


def open_nvml() -> Any:
    """Return the module pynvml, initialized; None if the package or the driver is missing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def nvml_device(nvml: Any, part: str) -> Any:
    """Return NVML's handle of a GPU by index or UUID, None if there is no such GPU."""
    if part.isdigit():
        return nvml_value(nvml, "nvmlDeviceGetHandleByIndex", int(part))
    return nvml_value(nvml, "nvmlDeviceGetHandleByUUID", part)


def nvml_value(nvml: Any, function: str, argument: Any) -> Any:
    """Return the result of an NVML function; None if this GPU does not support it, as old ones and MIG parts do not."""
    try:
        return getattr(nvml, function)(argument)
    except nvml.NVMLError:
        return None


def other_vendors_note() -> str:
    """Return a remark on a GPU that trials cannot be placed on, "" if none is found."""
    if os.path.exists("/dev/kfd") or shutil.which("rocm-smi"):
        return "an AMD GPU was found; trials are not placed on those: leave [run].gpus at 0, and set [run].parallel"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "an Apple GPU was found; trials may use it, but are not placed on it: leave [run].gpus at 0"
    return ""


def _describe(nvml: Any, part: str) -> Gpu:
    device = nvml_device(nvml, part)
    if device is None:
        return Gpu(id=part)
    memory, name = nvml_value(nvml, "nvmlDeviceGetMemoryInfo", device), nvml_value(nvml, "nvmlDeviceGetName", device)
    return Gpu(id=part, name=str(name or ""), memory_gib=None if memory is None else memory.total / _GIB)


def _list_by_nvidia_smi() -> tuple[Gpu, ...]:
    return tuple(
        Gpu(id=index, name=name, memory_gib=float(mib) / 1024 if mib.isdigit() else None)
        for index, name, mib in _nvidia_smi("index,name,memory.total", timeout_s=20)
    )


def _nvidia_smi(fields: str, timeout_s: float) -> list[list[str]]:
    """Return a row per GPU with these fields; none if nvidia-smi is missing, fails or takes longer."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in output.splitlines() if line[:1].isdigit()]
    return [row for row in rows if len(row) == len(fields.split(","))]
