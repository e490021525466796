"""Shows a run for as long as somebody reads: a closed pipe or terminal ends the printing, not the run."""

from __future__ import annotations

import sys
from typing import Protocol

from tunesmith.agent.loop.notices.events import LoopEvent
from tunesmith.cli.exits import discard_output


class Display(Protocol):
    """What shows the events of a run."""

    def show(self, event: LoopEvent) -> None:
        """Show one event."""

    def close(self) -> None:
        """Restore the terminal."""


class UntilClosed:
    """Shows events until its output is closed, as by `tunesmith run | head`; then the run continues unseen.

    Args:
        display: writes to standard output.
    """

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def show(self, event: LoopEvent) -> None:
        """Show one event."""
        if self._display is None:
            return
        try:
            self._display.show(event)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Restore the terminal."""
        if self._display is None:
            return
        try:
            self._display.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._display = None
        discard_output(sys.stdout)
        why = "is closed" if isinstance(error, BrokenPipeError) else f"cannot be written ({error.strerror})"
        try:
            print(
                f"the output {why}; the study continues, and `tunesmith status` shows it", file=sys.stderr, flush=True
            )
        except OSError:
            discard_output(sys.stderr)
