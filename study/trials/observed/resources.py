"""The measured resources that may be objectives and bounds, such as `run/seconds`: the only place that names them.

Tunesmith measures them itself, so an unchanged script can be tuned for them. Only a complete trial has them: one that
failed or was stopped early would have taken longer. Knows no executor: the values come from a trial's usage.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.trial import Usage
from tunesmith.study.units import JOULES_PER_KWH, short_number, short_seconds

PREFIX = "run/"
"""What the name of every measured resource starts with."""
SECONDS, USD = "run/seconds", "run/usd"
"""The two that are known wherever a clock is."""
_SECONDS_PER_HOUR = 3600.0
_MISSPELLED = 0.8
"""Likeness from which a name is a resource's, misspelled."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A measured resource.

    Attributes:
        about: what is measured, with its unit, for people.
        noun: the same in a word.
        amount: its value from what a trial used and the price of an hour; None where it was not measured.
        needs_gpu: whether only a GPU has it.
    """

    about: str
    noun: str
    amount: Callable[[Usage, float | None], float | None]
    needs_gpu: bool = False


def _usd(usage: Usage, usd_per_hour: float | None) -> float | None:
    return None if usd_per_hour is None else usage.wall_s / _SECONDS_PER_HOUR * usd_per_hour


def _kwh(usage: Usage) -> float | None:
    return None if usage.energy_j is None else usage.energy_j / JOULES_PER_KWH


RESOURCES: Mapping[str, Resource] = {
    SECONDS: Resource("seconds of wall time of its commands", "seconds", lambda usage, _: usage.wall_s or None),
    "run/rss_gib": Resource(
        "peak memory of its largest process, in GiB", "memory", lambda usage, _: usage.peak_rss_gib or None
    ),
    "run/gpu_mem_gib": Resource(
        "peak GPU memory, in GiB", "GPU memory", lambda usage, _: usage.gpu_mem_gib, needs_gpu=True
    ),
    "run/gpu_kwh": Resource(
        "energy of its GPUs, in kilowatt-hours", "energy", lambda usage, _: _kwh(usage), needs_gpu=True
    ),
    USD: Resource("dollars: its hours of wall time, times [run].usd_per_hour", "dollars", _usd),
}
"""Every measured resource, by the name of its metric."""


_MEANINGS: Mapping[str, frozenset[str]] = {
    SECONDS: frozenset(
        {"s", "sec", "secs", "second", "seconds", "time", "duration", "wall", "walltime", "minutes", "hours"}
    ),
    "run/gpu_mem_gib": frozenset({"vram"}),
    "run/rss_gib": frozenset({"rss", "mem", "memory", "ram"}),
    "run/gpu_kwh": frozenset({"energy", "kwh", "power", "joule", "joules", "watt", "watts", "wh"}),
    USD: frozenset({"usd", "cost", "costs", "dollar", "dollars", "price", "money"}),
}
"""Words that name a resource in other words."""
_PASSED_OVER = frozenset({"gpu", "gib", "gb", "mb", "mib", "peak", "max", "total", "used", "usage", "in", "of", "run"})
"""Words that may stand next to them."""


def meant_resource(name: str) -> str:
    """Return the resource that a metric's name seems to mean, such as `run/time` and `run/second`; "" if none.

    Only names with the prefix of resources mean one: by words for what is measured, or misspelled.
    """
    prefix, slash, rest = name.lower().partition("/")
    if not slash or prefix not in ("run", "runs"):
        return ""
    words = set(re.findall(r"[a-z]+", rest))
    for resource, meanings in _MEANINGS.items():
        if words & meanings and not words - meanings - _PASSED_OVER:
            is_of_gpu = "gpu" in words and resource == "run/rss_gib"
            return "run/gpu_mem_gib" if is_of_gpu else resource
    near = difflib.get_close_matches(f"{PREFIX}{rest}", RESOURCES, n=1, cutoff=_MISSPELLED)
    return near[0] if near else ""


def amount_text(name: str, value: float) -> str:
    """Return an amount of a metric with its unit, for people: "4.1s", "2.3 GiB"; a plain number for no resource."""
    if name == SECONDS:
        return short_seconds(value) if value >= 1 else f"{value:.2g} s"
    if name == USD:
        return f"${short_number(value)}"
    unit = {"run/gpu_kwh": " kWh"}.get(name, " GiB") if name in RESOURCES else f" {name}"
    return f"{short_number(value)}{unit}"


def resource_values(names: Iterable[str], usage: Usage, usd_per_hour: float | None) -> dict[str, float]:
    """Return the measured ones of the resources among these metrics, by name.

    Args:
        names: names of metrics; those of no resource are passed over.
        usage: what the trial used.
        usd_per_hour: the price of one hour of a trial; None without one.
    """
    found = {name: RESOURCES[name].amount(usage, usd_per_hour) for name in names if name in RESOURCES}
    return {name: value for name, value in found.items() if value is not None}


def usage_in_sequence(usages: Sequence[Usage]) -> Usage:
    """Return what runs that continue each other used together; at least one is given."""
    gpu_mem = [usage.gpu_mem_gib for usage in usages if usage.gpu_mem_gib is not None]
    energy = [usage.energy_j for usage in usages if usage.energy_j is not None]
    return Usage(
        wall_s=sum(usage.wall_s for usage in usages),
        cpu_s=sum(usage.cpu_s for usage in usages),
        gpu_s=sum(usage.gpu_s for usage in usages),
        peak_rss_gib=max(usage.peak_rss_gib for usage in usages),
        gpu_mem_gib=max(gpu_mem, default=None),
        gpu_busy=usages[-1].gpu_busy,
        energy_j=sum(energy) if len(energy) == len(usages) else None,
    )
