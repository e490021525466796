"""Plays the answers of a conversation on the screen, and asks about what the LLM wants to do.

An answer that waits for trials continues in the background, so that the person can type meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from tunesmith.agent.chat.events import ChatEvent, ToolStarted
from tunesmith.cli.chat.approvals import Approvals
from tunesmith.cli.chat.display.screen import Screen
from tunesmith.tools.llm_tools.waiting import WAIT

if TYPE_CHECKING:
    from tunesmith.agent.chat.conversation import Conversation


class Turns:
    """The turns of one conversation, one at a time.

    Args:
        conversation: answers and calls tools.
        screen: shows the answers.
        approvals: asks the person about actions.
        interruption: ends a wait when it is set.
        may_type: whether the person can type while an answer waits; False for a pipe.
    """

    def __init__(
        self,
        conversation: Conversation,
        screen: Screen,
        approvals: Approvals,
        interruption: threading.Event,
        *,
        may_type: bool,
    ) -> None:
        self._conversation, self._screen, self._approvals = conversation, screen, approvals
        self._interruption = interruption
        self._may_type = may_type
        self._playing: asyncio.Task[None] | None = None
        self._waits = asyncio.Event()

    @property
    def in_background(self) -> asyncio.Task[None] | None:
        """The answer that waits for trials while the person may type; None without one."""
        return self._playing

    async def send(self, text: str, *, news: str = "") -> None:
        """Answer a message; return when the answer has ended, or once it waits in the background."""
        await self.end_wait()
        self._approvals.new_turn()
        await self._play(self._conversation.send(text, news=news))
        await self.ask_for_approvals()

    async def end_wait(self) -> None:
        """Let an answer that waits come to its end."""
        if self._playing is not None:
            self._interruption.set()
            await self._ended(self._playing)
            await self.ask_for_approvals()

    async def ask_for_approvals(self) -> None:
        """Ask about each pending action, also about those pending since the last chat, while no answer is under way."""
        while self._playing is None and (pending := await self._conversation.pending()) is not None:
            await self._play(self._conversation.decide(await self._approvals.decide(pending.actions)))

    async def has_ended(self) -> bool:
        """Take note of an answer in the background that has ended; tell whether it left something to approve."""
        if self._playing is not None and self._playing.done():
            await self._ended(self._playing)
        return self._playing is None and await self._conversation.pending() is not None

    def stop(self) -> bool:
        """Stop the answer; return whether there was one."""
        if self._playing is None:
            return False
        self._interruption.set()
        self._playing.cancel()
        return True

    async def _play(self, events: AsyncIterator[ChatEvent]) -> None:
        """Show an answer as it arrives, to its end or until it waits in the background."""
        self._interruption.clear()
        self._waits.clear()
        playing = self._playing = asyncio.create_task(self._show(events))
        waits = asyncio.create_task(self._waits.wait())
        await asyncio.wait({playing, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        if playing.done():
            await self._ended(playing)

    async def _show(self, events: AsyncIterator[ChatEvent]) -> None:
        with self._screen.answer() as answer:
            async for event in events:
                if isinstance(event, ToolStarted) and event.name == WAIT.name and self._may_type:
                    answer.go_to_background()
                    self._waits.set()
                answer.show(event)

    async def _ended(self, playing: asyncio.Task[None]) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({playing})
        self._playing = None
        if playing.cancelled():
            self._screen.line("(stopped; a running study continues)", "dim")
        else:
            playing.result()
