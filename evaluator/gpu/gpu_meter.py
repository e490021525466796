"""Measures what each running command uses of its GPUs: memory, utilization, energy and time.

Samples NVML once a second in one thread. Knows no trial; needs only the standard library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.evaluator.gpu.gpus import nvml_device, nvml_value
from tunesmith.evaluator.supervision.memory_use import descendants

SAMPLE_S = 1.0
"""Sampling interval; a shorter peak of memory may be missed."""
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUsage:
    """What one command used of its GPUs; None is not measured.

    Attributes:
        mem_gib: peak memory on the GPU where it used most.
        busy: mean utilization of its GPUs, from 0 to 1.
        energy_j: energy of its GPUs; the energy of a shared GPU is divided equally.
        share_s: GPU seconds; those of a shared GPU are divided equally.
    """

    mem_gib: float | None = None
    busy: float | None = None
    energy_j: float | None = None
    share_s: float = 0.0


class GpuMeter:
    """Measures running commands until each ends.

    Args:
        nvml: the module pynvml after nvmlInit, or an object that behaves like it.
        clock: monotonic seconds.
    """

    def __init__(self, nvml: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml, self._clock = nvml, clock
        self._readings: list[_Reading] = []
        self._energy_j: dict[str, float | None] = {}
        self._lock = threading.Lock()
        self._sampled_at = 0.0
        self._thread: threading.Thread | None = None

    def begin(self, pid: int, ids: Sequence[str]) -> _Reading:
        """Start measuring what a process and its descendants use of these GPUs."""
        with self._lock:
            self._sample()
            reading = _Reading(pid=pid, baseline={})
            for part in ids:
                device = nvml_device(self._nvml, part)
                if part not in self._sharing():
                    self._energy_j[part] = None if device is None else self._counter_j(device)
                reading.baseline[part] = (self._used_bytes(device) or 0.0) if device is not None else 0.0
            self._readings.append(reading)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_sampling, daemon=True)
                self._thread.start()
        return reading

    def end(self, reading: _Reading) -> GpuUsage:
        """Stop measuring and return what was used."""
        with self._lock:
            self._sample()
            self._readings.remove(reading)
        return reading.usage()

    def _keep_sampling(self) -> None:
        while True:
            time.sleep(SAMPLE_S)
            with self._lock:
                if not self._readings:
                    self._thread = None
                    return
                self._sample()

    def _sharing(self) -> dict[str, int]:
        """Return the number of measured commands on each GPU."""
        counts: dict[str, int] = {}
        for reading in self._readings:
            for part in reading.baseline:
                counts[part] = counts.get(part, 0) + 1
        return counts

    def _sample(self) -> None:
        now = self._clock()
        passed_s, self._sampled_at = now - self._sampled_at, now
        for part, sharing in self._sharing().items():
            device = nvml_device(self._nvml, part)
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
        """Return the energy since the last sample: from the GPU's counter, else from its power now."""
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

    def _ask(self, function: str, device: Any) -> Any:
        return nvml_value(self._nvml, function, device)


@dataclass(slots=True, eq=False)
class _Reading:
    """What was measured so far of one command. `baseline`: bytes in use on each of its GPUs before it started."""

    pid: int
    baseline: dict[str, float]
    peak_bytes: float | None = None
    energy_j: float | None = None
    busy_s: float = 0.0
    measured_s: float = 0.0
    share_s: float = 0.0

    def add_energy(self, energy_j: float | None, sharing: int) -> None:
        if energy_j is not None:
            self.energy_j = (self.energy_j or 0.0) + energy_j / sharing

    def add_busy(self, busy: float | None, passed_s: float) -> None:
        if busy is not None:
            self.busy_s += busy * passed_s
            self.measured_s += passed_s

    def add_memory(self, part: str, by_pid: Mapping[int, int], used: float | None) -> None:
        """Record the memory of its processes; if NVML lists none of them, what was added to the baseline."""
        own = {self.pid, *(pid for pid, _ in descendants(self.pid))} & by_pid.keys()
        if own:
            memory = float(sum(by_pid[pid] for pid in own))
        elif used is not None and not by_pid:
            # In a container NVML lists no processes, or lists them under other pids.
            memory = max(used - self.baseline[part], 0.0)
        else:
            return
        self.peak_bytes = max(self.peak_bytes or 0.0, memory)

    def usage(self) -> GpuUsage:
        return GpuUsage(
            mem_gib=None if self.peak_bytes is None else self.peak_bytes / _GIB,
            busy=self.busy_s / self.measured_s if self.measured_s else None,
            energy_j=self.energy_j,
            share_s=self.share_s,
        )
