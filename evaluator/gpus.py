"""Which GPUs this machine has, and what each trial uses of them. Reads only; needs the standard library alone.

NVIDIA's are read through NVML, if the package nvidia-ml-py is installed; without it `nvidia-smi` still tells how many
there are. What other makers' can and cannot do stands in docs/gpus.md.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.evaluator.supervision.resource_monitor import descendants

SAMPLE_S = 1.0
"""A peak of memory that lasts shorter than this may be missed."""
_GIB = 2**30
_QUERY = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU by the id that CUDA_VISIBLE_DEVICES knows it by: an index in the order of PCI, or a UUID."""

    id: str
    name: str = ""
    memory_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The GPUs that trials can be placed on, and in `note` what else is to be known: "" for nothing."""

    gpus: tuple[Gpu, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """What one command used of its GPUs; None is not measured.

    Attributes:
        mem_gib: the peak on the GPU where it used most.
        busy: the mean share of the time in which they computed, from 0 to 1.
        energy_j: their energy, in equal parts for the commands that shared one.
        share_s: seconds of GPU, in equal parts as well.
    """

    mem_gib: float | None = None
    busy: float | None = None
    energy_j: float | None = None
    share_s: float = 0.0


UNMEASURED = 'memory and energy are not measured; pip install "tunesmith[gpu]"'


def discover(environment: Mapping[str, str] | None = None) -> Found:
    """Return the GPUs that this process may use; CUDA_VISIBLE_DEVICES decides where it is set."""
    environment = os.environ if environment is None else environment
    nvml = open_nvml()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [part.strip() for part in visible.split(",")]
        ids = [part for part in ids if part not in ("", "-1")]
    elif nvml is not None:
        ids = [str(index) for index in range(nvml.nvmlDeviceGetCount())]
    else:
        found = _by_command()
        return Found(gpus=found, note=UNMEASURED if found else other_makers())
    gpus = tuple(Gpu(id=part) if nvml is None else _described(nvml, part) for part in ids)
    return Found(gpus=gpus, note=(UNMEASURED if nvml is None else "") if gpus else other_makers())


def open_nvml() -> Any:
    """Return NVML as a module that is ready for use, None where the package or the driver is missing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def other_makers() -> str:
    """Return what to know of a GPU that trials cannot be placed on, "" when none is seen."""
    if os.path.exists("/dev/kfd") or shutil.which("rocm-smi"):
        return "an AMD GPU was found; trials are not placed on those: leave [run].gpus at 0, and set [run].parallel"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "an Apple GPU was found; trials may use it, but are not placed on it: leave [run].gpus at 0"
    return ""


class GpuMeter:
    """Looks at the GPUs of running commands once a second, in a thread of its own.

    Args:
        nvml: the module pynvml, or what behaves like it, after nvmlInit.
        clock: seconds that only grow.
    """

    def __init__(self, nvml: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml, self._clock = nvml, clock
        self._readings: list[_Reading] = []
        self._energy_j: dict[str, float | None] = {}
        self._lock = threading.Lock()
        self._sampled_at = 0.0
        self._thread: threading.Thread | None = None

    def begin(self, pid: int, ids: Sequence[str]) -> _Reading:
        """Start to read what the process and all below it use of these GPUs."""
        with self._lock:
            self._sample()
            reading = _Reading(pid=pid, baseline={})
            for part in ids:
                device = self._device(part)
                if part not in self._in_use():
                    self._energy_j[part] = None if device is None else self._counter_j(device)
                reading.baseline[part] = (self._used_bytes(device) or 0.0) if device is not None else 0.0
            self._readings.append(reading)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_sampling, daemon=True)
                self._thread.start()
        return reading

    def end(self, reading: _Reading) -> GpuUse:
        """Stop reading and return what was used."""
        with self._lock:
            self._sample()
            self._readings.remove(reading)
        return reading.use()

    def _keep_sampling(self) -> None:
        while True:
            time.sleep(SAMPLE_S)
            with self._lock:
                if not self._readings:
                    self._thread = None
                    return
                self._sample()

    def _in_use(self) -> dict[str, int]:
        """Return how many readings there are of each GPU."""
        counts: dict[str, int] = {}
        for reading in self._readings:
            for part in reading.baseline:
                counts[part] = counts.get(part, 0) + 1
        return counts

    def _sample(self) -> None:
        now = self._clock()
        passed_s, self._sampled_at = now - self._sampled_at, now
        for part, sharing in self._in_use().items():
            device = self._device(part)
            if device is None:
                continue
            energy_j = self._spent_j(part, device, passed_s)
            rates = self._ask("nvmlDeviceGetUtilizationRates", device)
            processes = self._ask("nvmlDeviceGetComputeRunningProcesses", device) or []
            by_pid = {process.pid: process.usedGpuMemory or 0 for process in processes}
            used = self._used_bytes(device)
            for reading in self._readings:
                if part in reading.baseline:
                    reading.share_s += passed_s / sharing
                    reading.add_energy(energy_j, sharing)
                    reading.add_busy(None if rates is None else rates.gpu / 100, passed_s)
                    reading.add_memory(part, by_pid, used if sharing == 1 else None)

    def _spent_j(self, part: str, device: Any, passed_s: float) -> float | None:
        """Return the energy since the last look: by the GPU's own counter, else by its power now."""
        before, counter = self._energy_j.get(part), self._counter_j(device)
        self._energy_j[part] = counter
        if counter is not None and before is not None:
            return max(counter - before, 0.0)
        power_mw = self._ask("nvmlDeviceGetPowerUsage", device)
        return None if power_mw is None else power_mw / 1000 * passed_s

    def _counter_j(self, device: Any) -> float | None:
        counter_mj = self._ask("nvmlDeviceGetTotalEnergyConsumption", device)
        return None if counter_mj is None else counter_mj / 1000

    def _used_bytes(self, device: Any) -> float | None:
        memory = self._ask("nvmlDeviceGetMemoryInfo", device)
        return None if memory is None else float(memory.used)

    def _device(self, part: str) -> Any:
        return _device(self._nvml, part)

    def _ask(self, name: str, device: Any) -> Any:
        return _ask(self._nvml, name, device)


@dataclass(slots=True, eq=False)
class _Reading:
    """What was seen so far of one command. `baseline` holds the bytes in use on each of its GPUs before it began."""

    pid: int
    baseline: dict[str, float]
    peak_bytes: float | None = None
    energy_j: float | None = None
    busy_s: float = 0.0
    seen_s: float = 0.0
    share_s: float = 0.0

    def add_energy(self, energy_j: float | None, sharing: int) -> None:
        if energy_j is not None:
            self.energy_j = (self.energy_j or 0.0) + energy_j / sharing

    def add_busy(self, busy: float | None, passed_s: float) -> None:
        if busy is not None:
            self.busy_s += busy * passed_s
            self.seen_s += passed_s

    def add_memory(self, part: str, by_pid: Mapping[int, int], used: float | None) -> None:
        """Add up what its processes use; where none of them is listed, what came on top of the baseline."""
        own = {self.pid, *(pid for pid, _ in descendants(self.pid))} & by_pid.keys()
        if own:
            found = float(sum(by_pid[pid] for pid in own))
        elif used is not None and not by_pid:
            # In a container NVML lists no processes, or under numbers that are not ours.
            found = max(used - self.baseline[part], 0.0)
        else:
            return
        self.peak_bytes = max(self.peak_bytes or 0.0, found)

    def use(self) -> GpuUse:
        return GpuUse(
            mem_gib=None if self.peak_bytes is None else self.peak_bytes / _GIB,
            busy=self.busy_s / self.seen_s if self.seen_s else None,
            energy_j=self.energy_j,
            share_s=self.share_s,
        )


def _described(nvml: Any, part: str) -> Gpu:
    device = _device(nvml, part)
    if device is None:
        return Gpu(id=part)
    memory, name = _ask(nvml, "nvmlDeviceGetMemoryInfo", device), _ask(nvml, "nvmlDeviceGetName", device)
    return Gpu(id=part, name=str(name or ""), memory_gib=None if memory is None else memory.total / _GIB)


def _device(nvml: Any, part: str) -> Any:
    """Return NVML's handle of a GPU, None when it knows no such one."""
    if part.isdigit():
        return _ask(nvml, "nvmlDeviceGetHandleByIndex", int(part))
    return _ask(nvml, "nvmlDeviceGetHandleByUUID", part)


def _ask(nvml: Any, name: str, argument: Any) -> Any:
    """Return what NVML says; None for what this GPU cannot tell, such as the energy of an old one, or of a part."""
    try:
        return getattr(nvml, name)(argument)
    except nvml.NVMLError:
        return None


def _by_command() -> tuple[Gpu, ...]:
    try:
        listed = subprocess.run(_QUERY, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines() if line[:1].isdigit()]
    return tuple(
        Gpu(id=index, name=name, memory_gib=float(mib) / 1024 if mib.isdigit() else None) for index, name, mib in rows
    )
