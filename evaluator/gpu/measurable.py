"""Checks at the start of a study that this machine's GPUs report the measured resources that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunesmith.evaluator.gpu.gpus import Gpu, nvml_device, nvml_value, open_nvml
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.observed.resources import RESOURCES

_READINGS: Mapping[str, tuple[str, ...]] = {
    "run/gpu_mem_gib": ("nvmlDeviceGetMemoryInfo",),
    "run/gpu_kwh": ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"),
}
"""What NVML must answer for a resource; one of them is enough."""


def require_measurable(names: Iterable[str], gpus: Iterable[Gpu], *, nvml: Callable[[], Any] = open_nvml) -> None:
    """Check that this machine can measure the resources among some metrics.

    Args:
        names: the metrics.
        gpus: the GPUs that trials run on.
        nvml: opens NVML; returns None where it is missing.

    Raises:
        ProjectError: it cannot.
    """
    wanted = [name for name in names if name in _READINGS]
    opened = nvml() if wanted else None
    for name in wanted:
        about = f"{name} ({RESOURCES[name].about}) cannot be measured on this machine"
        if opened is None:
            raise ProjectError(f'{about}: it takes NVML, NVIDIA\'s library; pip install "tunesmith[gpu]"')
        silent = [gpu for gpu in gpus if not _is_read(opened, gpu, _READINGS[name])]
        if silent:
            known = f"{silent[0].name or 'the GPU'} ({silent[0].id})"
            raise ProjectError(f"{about}: {known} does not report it; remove it from the study")


def _is_read(nvml: Any, gpu: Gpu, functions: Iterable[str]) -> bool:
    device = nvml_device(nvml, gpu.id)
    return device is not None and any(nvml_value(nvml, function, device) is not None for function in functions)
