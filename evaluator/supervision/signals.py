"""Names signals in messages. Needs only the standard library."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL; its number where it has none."""
    return signal.Signals(number).name if number in signal.valid_signals() else str(number)
