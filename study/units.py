"""Parses and renders quantities: durations ("10m", "1.5h"), sizes ("2G"), times of day ("07:00"), short numbers."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

JOULES_PER_KWH = 3.6e6
"""Joules in a kilowatt-hour."""
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_seconds(text: str | float) -> float:
    """Return seconds for 90, "90s", "10m", "1.5h", "1h30m".

    Raises:
        ValueError: the text is not a positive duration.
    """
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise ValueError("not a duration")
    if not isinstance(text, str):
        seconds = float(text)
    else:
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
        spelled = "".join(f"{number}{unit}" for number, unit in parts)
        if not parts or spelled != re.sub(r"\s", "", text.lower()) or any(u not in {"", *_SECONDS} for _, u in parts):
            raise ValueError("not a duration")
        seconds = sum(float(number) * _SECONDS[unit or "s"] for number, unit in parts)
    if not 0 < seconds < float("inf"):
        raise ValueError("not above 0")
    return seconds


def parse_bytes(text: str | int) -> int:
    """Return bytes for 1048576, "500M", "10G", "1.5 GiB".

    Raises:
        ValueError: the text is not a positive size.
    """
    if isinstance(text, bool) or not isinstance(text, int | str):
        raise ValueError("not a size")
    if isinstance(text, int):
        size = text
    else:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt])?i?b?", text.strip().lower())
        if not match:
            raise ValueError("not a size")
        size = int(float(match[1]) * _BYTES[match[2] or "b"])
    if size <= 0:
        raise ValueError("not above 0")
    return size


def parse_clock(text: str) -> time:
    """Return the time of day for "07:00" or "7:30:15".

    Raises:
        ValueError: the text is not a time of day.
    """
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text.strip())
    if not match:
        raise ValueError("not a time of day")
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


def next_at(clock: time, now: float) -> float:
    """Return the next moment (seconds since the epoch) at which the local clock shows `clock`, after `now`."""
    # The UTC offset may differ between the two days: when summer time ends, 07:00 is an hour further away.
    today = datetime.fromtimestamp(now).astimezone().date()
    moments = (datetime.combine(today + timedelta(days=days), clock).astimezone().timestamp() for days in (0, 1))
    return next(moment for moment in moments if moment > now)


def short_seconds(seconds: float) -> str:
    """Return a duration in at most two units: 0.4 s, 31 s, 6 min 12 s, 6 h 12 m, 2 d 3 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def short_number(value: float, digits: int = 4) -> str:
    """Return a number with `digits` significant digits, very large and small ones with an exponent: 0.4120, 8.10e-5.

    Trailing zeros stay, so that numbers below each other line up.
    """
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if isinstance(value, int) and abs(value) < 10**7:
        return str(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 10**6:
        shown = f"{value:#.{digits}g}".rstrip(".")
        # 98,270 in four digits is 98270 to people, not 9.827e+04.
        return f"{value:.0f}" if "e" in shown else shown
    mantissa, exponent = f"{value:.{max(digits - 2, 1)}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
