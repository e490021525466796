"""Renders GPU usage and energy as text for people."""

from __future__ import annotations

from tunesmith.study.trials.trial import Usage
from tunesmith.study.units import short_number


def energy_line(kwh: float, co2_g_per_kwh: float | None) -> str:
    """Return an amount of energy, with its CO2 if a factor is given: "3.1 kWh (1.2 kg CO2)"."""
    text = f"{short_number(kwh, 3)} kWh"
    return text if co2_g_per_kwh is None else f"{text} ({short_number(kwh * co2_g_per_kwh / 1000, 3)} kg CO2)"


def gpu_line(usage: Usage) -> str:
    """Return the measured GPU usage of a trial: "peak 7.2 GiB, 83% busy, 41 Wh"; "" if nothing was measured."""
    parts = []
    if usage.gpu_mem_gib is not None:
        parts.append(f"peak {usage.gpu_mem_gib:.1f} GiB")
    if usage.gpu_busy is not None:
        parts.append(f"{usage.gpu_busy:.0%} busy")
    if usage.energy_j is not None:
        parts.append(f"{short_number(usage.energy_j / 3600, 3)} Wh")
    return ", ".join(parts)
