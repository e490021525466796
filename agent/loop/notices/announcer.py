"""Passes each loop event on to the display and to the notifier. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.agent.loop.notices.events import LoopEvent, Note
from tunesmith.agent.loop.notices.notifications import Notifier
from tunesmith.history.redact import redact


class Announcer:
    """Hands events to the display first, then to the notifier.

    Args:
        display: called with every event, from the loop's thread.
        notifier: sends the messages of [notify].

    Attributes:
        notifier: as above.
    """

    def __init__(self, display: Callable[[LoopEvent], None], notifier: Notifier) -> None:
        self._display = display
        self.notifier = notifier

    def emit(self, event: LoopEvent) -> None:
        """Pass on one event."""
        self._display(event)
        self.notifier.handle(event)

    def note(self, text: str) -> None:
        """Pass on one line of text for the user, without secrets."""
        self.emit(Note(text=redact(text)))
