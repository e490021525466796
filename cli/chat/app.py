"""`tunesmith chat`: reads a line, passes it to a slash command or to the conversation, and shows the answer.

Without an LLM only the slash commands work, and the chat prints how to add one.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

from tunesmith.cli.chat.approvals import Approvals
from tunesmith.cli.chat.chat_model import NO_MODEL, ChatModel, ModelChoice
from tunesmith.cli.chat.display.screen import Screen
from tunesmith.cli.chat.input_reader import InputInterrupted, InputReader, TerminalReader, input_reader
from tunesmith.cli.chat.news.status_line import status_line
from tunesmith.cli.chat.news.study_changes import StudyChanges
from tunesmith.cli.chat.news.study_look import look_at
from tunesmith.cli.chat.slash.commands import CHAT_COMMANDS, COMMANDS, help_text, run_slash
from tunesmith.cli.exits import DONE
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import InputError, ProposalError, ToolRefused
from tunesmith.study.formatting import count
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.run_state import ending_text
from tunesmith.tools.llm_tools.studies.finding import listed_names

MAX_NAMED = 6
"""Number of other studies that the greeting names."""
CHANGES_INTERVAL_S = 2.0
"""Seconds between two looks for changes of the study while the person types."""


def run_chat(study: Path, *, history: Path | None, model: str | None, base_url: str | None) -> int:
    """Chat until the person leaves; return the exit status.

    Raises:
        InputError: the study's folder cannot be read, or the conversation cannot be stored.
    """
    session = StudySession(study, history, by="chat")
    chat = Chat(session, Screen(), ModelChoice(model, base_url))
    with suppress(KeyboardInterrupt):
        return asyncio.run(chat.run())
    return DONE


class Chat:
    """One chat in one terminal."""

    def __init__(self, session: StudySession, screen: Screen, chosen: ModelChoice) -> None:
        self._session = session
        self._screen = screen
        self._status = ""
        self._reader: InputReader = input_reader(
            [f"/{name}" for name in (*COMMANDS, *CHAT_COMMANDS)],
            session.history.parent / "chat-typed.txt",
            status=lambda: self._status,
        )
        self._may_type = isinstance(self._reader, TerminalReader)
        self._changes = StudyChanges()
        approvals = Approvals(self._reader, screen, session, self._slash_or_refused, may_type=self._may_type)
        self._model = ChatModel(session, screen, approvals, chosen, may_type=self._may_type)

    async def run(self) -> int:
        """Greet, then take turns until the person leaves."""
        with suppress(NotImplementedError, ValueError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)
        self._screen.line(self._greeting())
        async with self._model.stack:
            self._model.start_opening()
            if not self._may_type and (turns := await self._model.opened()) is not None:
                await turns.ask_for_approvals()
            while (text := await self._next()) is not None:
                if text.strip() in ("/quit", "/exit"):
                    break
                await self._turn(text.strip())
            self._interrupted()
        self._farewell()
        return DONE

    # -- turns --------------------------------------------------------------------------------------------------

    async def _next(self) -> str | None:
        """Return the next input; changes of the study, and an answer that waited, are shown while the person types."""
        self._look_at_study()
        polling = asyncio.create_task(self._poll_study())
        try:
            return await self._read()
        except InputInterrupted:
            if not self._interrupted():
                self._screen.line("(/quit or Ctrl-D leaves the chat; a running study continues)", "dim")
            return ""
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    async def _read(self) -> str | None:
        """Read a line while the model is opened or an answer waits; ask at once about what they leave to approve."""
        reading = asyncio.create_task(self._reader.line())
        while (other := self._model.in_background) is not None:
            await asyncio.wait({reading, other}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                break
            turns = await self._model.opened()
            if turns is not None and await turns.has_ended():
                self._reader.hide()
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading
                await turns.ask_for_approvals()
                reading = asyncio.create_task(self._reader.line())
        return await reading

    async def _turn(self, text: str) -> None:
        if not text:
            return
        self._screen.typed()
        if text.startswith("/"):
            await self._slash_or_refused(text)
            self._screen.line()
            return
        if self._model.is_opening:
            self._screen.line("(opening the model)", "dim")
        if (turns := await self._model.opened()) is None:
            self._screen.line(NO_MODEL)
        else:
            self._look_at_study()
            await turns.send(text, news=self._changes.news_for_model())
        self._screen.line()

    async def _slash_or_refused(self, text: str) -> None:
        try:
            await self._slash(text)
        except (InputError, ToolRefused, ProposalError) as error:
            self._screen.line(str(error), "yellow")

    async def _slash(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        match name:
            case "help":
                self._screen.line(help_text())
            case "cost":
                self._screen.line(await self._model.cost_text())
            case "model":
                self._screen.line(await self._model.exchange(rest.strip()))
            case "new":
                self._screen.line(await self._model.start_anew())
            case "allow":
                self._screen.line(await self._model.allow(rest.strip()))
            case _:
                self._screen.line(await asyncio.to_thread(run_slash, text, self._session))

    def _interrupted(self) -> bool:
        """Stop the answer and return True; without one do nothing, so that Ctrl-C never ends the chat.

        At the prompt of a terminal, Ctrl-C is a key and raises no signal.
        """
        return self._model.turns is not None and self._model.turns.stop()

    # -- the study ----------------------------------------------------------------------------------------------

    def _greeting(self) -> str:
        mistakes = self._session.mistakes()
        if mistakes:
            return mistakes
        look = look_at(self._session)
        others = self._others_text()
        if look is None:
            if others:
                return f"There is no {self._session.file.name} here. {others}"
            return "This folder has no study yet. Say what to tune, for example: tune train.py for val_loss, 40 trials"
        if look.record is None:
            return (
                f"{look.name} has not run yet. Ask anything, or start it with /run; see /help.{others and f' {others}'}"
            )
        ended = ending_text(look.record.ended_by, look.record.spec) if look.record.ended_by else "its process died"
        state = "is running" if look.is_running else f"is not running, {ended}"
        metric = look.view.objectives[0].metric
        best = f", best {short_number(look.best.values[metric])}" if look.best is not None else ""
        trials = count(look.record.spent.trials, "trial")
        text = f"{look.name} {state} ({trials} so far{best}). Ask anything; /help lists the commands. {others}"
        return text.rstrip()

    def _others_text(self) -> str:
        """Return which other studies the folder has; "" without any."""
        context = self._session.context()
        current = context.reader.spec.study.name if context.reader is not None else ""
        names = listed_names(self._session.file.parent, self._session.history)
        others = [name for name in names if name != current]
        if not others:
            return ""
        shown = ", ".join(others[:MAX_NAMED]) + (", …" if len(others) > MAX_NAMED else "")
        return f"Other studies here: {shown} (/switch NAME)." if current else f"Studies here: {shown} (/switch NAME)."

    def _farewell(self) -> None:
        look = look_at(self._session)
        if look is not None and look.is_running:
            self._screen.line(
                f"{look.name} continues; `tunesmith status` shows it, `tunesmith chat` returns to this chat", "dim"
            )

    def _look_at_study(self) -> None:
        """Show the news and update the status line; without such a line, say how many trials finished."""
        look = look_at(self._session)
        for line in self._changes.since_last(look, counts=not self._may_type):
            self._screen.line(f"· {line}", "dim")
        with suppress(InputError):
            self._status = status_line(look, self._model.unbilled_usd) if self._may_type else ""

    async def _poll_study(self) -> None:
        while True:
            await asyncio.sleep(CHANGES_INTERVAL_S)
            self._look_at_study()
