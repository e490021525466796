"""Rides from the stations of a bicycle hire in single hours of four weeks: some to learn from, others to predict."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
COLUMNS = ("station", "hours", "temperature", "humidity", "wind", "docks", "battery", "clouds")
"""`hours` counts from a Monday at midnight; a sensor that failed writes -999."""
STATIONS, HOURS = 30, 28 * 24


def training() -> tuple[Array, Array]:
    """Return (n, 8) features in the order of COLUMNS and (n,) rides; a few counts are twenty times too large."""
    rng = np.random.default_rng(11)
    x, rides = _sample(1500, rng)
    wrong = rng.random(len(rides)) < 0.02
    return x, np.where(wrong, 20.0 * rides + 20.0, rides)


def held_out() -> tuple[Array, Array]:
    """Return the hours that the result is measured on."""
    return _sample(1500, np.random.default_rng(12))


def _sample(count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    size = np.random.default_rng(5).normal(0.0, 0.9, STATIONS)
    station, hours = rng.integers(0, STATIONS, count), rng.integers(0, HOURS, count)
    hour, weekday = hours % 24, hours // 24 % 7
    commute = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 17.5) / 2.0) ** 2))
    leisure = np.exp(-(((hour - 14) / 4.0) ** 2))
    temperature = 12.0 + 6.0 * np.sin((hour - 9) / 24 * 2 * np.pi) + rng.normal(0.0, 4.0, count)
    humidity, wind = rng.uniform(20.0, 100.0, count), rng.gamma(2.0, 6.0, count)
    log_rate = 1.2 + size[station] + np.where(weekday < 5, 1.8 * commute, 1.3 * leisure)
    log_rate += 0.05 * (temperature - 12.0) - 0.012 * (humidity - 60.0) - 0.02 * wind
    rides = rng.poisson(np.exp(log_rate)).astype(float)
    noise = rng.normal(size=(3, count))
    x = np.stack([station.astype(float), hours.astype(float), temperature, humidity, wind, *noise], axis=1)
    x[:, 2:5][rng.random((count, 3)) < 0.12] = -999.0
    return x, rides
