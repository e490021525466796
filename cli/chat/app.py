"""`tunesmith chat`: reads a line, passes it to a slash command or to the conversation, and shows the answer.

Without an LLM only the slash commands work, and the chat prints how to add one.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.agent.chat.events import ChatEvent
from tunesmith.cli.chat.approvals import Approvals
from tunesmith.cli.chat.input_reader import InputReader, input_reader
from tunesmith.cli.chat.screen import Screen
from tunesmith.cli.chat.slash import CHAT_COMMANDS, COMMANDS, help_text, run_slash
from tunesmith.cli.chat.study_changes import StudyChanges
from tunesmith.cli.exits import DONE
from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.config.planner_tables import PlannerTable
from tunesmith.study.errors import InputError, ProposalError, ToolRefused, TunesmithError
from tunesmith.study.formatting import count
from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.registry import ALL

if TYPE_CHECKING:
    from tunesmith.agent.chat.conversation import Conversation

NO_MODEL = """No LLM is set up, so only the slash commands work (/help). To add one:
  cloud   export OPENAI_API_KEY=…   tunesmith chat --model openai:gpt-5-mini
  local   tunesmith chat --model openai:qwen3 --base-url http://127.0.0.1:11434/v1"""
CHANGES_INTERVAL_S = 2.0
"""Seconds between two looks for changes of the study while the person types."""
UNREPORTED_CHANGES = 10
"""Number of changes that the LLM is shown with the next message."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The LLM that answers; None for that of study.toml."""

    name: str | None
    base_url: str | None


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
        self._chosen = chosen
        self._folder = session.history.parent
        self._reader: InputReader = input_reader(
            [f"/{name}" for name in (*COMMANDS, *CHAT_COMMANDS)], self._folder / "chat-typed.txt"
        )
        self._changes = StudyChanges(session)
        self._unreported: list[str] = []
        self._approvals = Approvals(self._reader, screen, session)
        self._conversation: Conversation | None = None
        self._answering: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    async def run(self) -> int:
        """Greet, then take turns until the person leaves."""
        with suppress(NotImplementedError, ValueError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)
        self._screen.line(self._greeting())
        async with self._stack:
            await self._open()
            await self._finish_approvals()
            while (text := await self._next()) is not None:
                if text.strip() in ("/quit", "/exit"):
                    break
                await self._turn(text.strip())
        self._farewell()
        return DONE

    # -- turns --------------------------------------------------------------------------------------------------

    async def _next(self) -> str | None:
        """Return the next input; changes of the study are shown while the person types."""
        self._show_changes()
        polling = asyncio.create_task(self._poll_changes())
        try:
            return await self._reader.line()
        except KeyboardInterrupt:
            self._screen.line("(/quit leaves; a running study continues)", "dim")
            return ""
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    async def _turn(self, text: str) -> None:
        if not text:
            return
        try:
            if text.startswith("/"):
                await self._slash(text)
            elif self._conversation is None:
                self._screen.line(NO_MODEL)
            else:
                await self._converse(self._conversation, text)
        except (InputError, ToolRefused, ProposalError) as error:
            self._screen.line(str(error), "yellow")

    async def _slash(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        match name:
            case "help":
                self._screen.line(help_text())
            case "cost":
                self._screen.line(self._cost())
            case "model":
                await self._model(rest.strip())
            case "allow":
                self._allow(rest.strip())
            case _:
                self._screen.line(await asyncio.to_thread(run_slash, text, self._session))

    async def _converse(self, conversation: Conversation, text: str) -> None:
        self._show_changes()
        changes, self._unreported = "; ".join(self._unreported), []
        await self._play(conversation.send(text, news=changes))
        await self._finish_approvals()

    async def _finish_approvals(self) -> None:
        """Ask about each pending action, also about those pending since the last chat."""
        conversation = self._conversation
        if conversation is None:
            return
        while (pending := await conversation.pending()) is not None:
            decisions = [await self._approvals.decide(action) for action in pending.actions]
            await self._play(conversation.decide(decisions))

    async def _play(self, events: AsyncIterator[ChatEvent]) -> None:
        """Show an answer as it arrives; Ctrl-C stops it."""

        async def show() -> None:
            with self._screen.answer() as answer:
                async for event in events:
                    answer.show(event)

        self._answering = asyncio.create_task(show())
        try:
            await self._answering
        except asyncio.CancelledError:
            self._screen.line("(stopped; a running study continues)", "dim")
        finally:
            self._answering = None

    def _interrupted(self) -> None:
        """Stop the answer; without one do nothing, so that pressing Ctrl-C twice does not end the chat.

        At the prompt of a terminal, Ctrl-C is a key and raises no signal.
        """
        if self._answering is not None:
            self._answering.cancel()

    # -- the model ----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Open the conversation; without an LLM, or with one that cannot be reached, print how to add one."""
        name, base_url = self._chosen.name, self._chosen.base_url
        loaded = self._loaded_study()
        planner = loaded.spec.planner if loaded else PlannerTable()
        if name is None:
            name, base_url = planner.model, base_url or planner.base_url
        if name is None:
            self._screen.line(NO_MODEL)
            return
        from tunesmith.agent.chat.conversation import Conversation
        from tunesmith.agent.llm.client.client import LangChainModel
        from tunesmith.agent.llm.client.options import RequestOptions

        conversation = Conversation(
            LangChainModel(name, base_url=base_url, options=RequestOptions.from_planner(planner)),
            ALL,
            self._session.context,
            store=self._folder / "chat.db",
            thread=self._session.file.name,
        )
        try:
            self._conversation = await self._stack.enter_async_context(conversation)
        except InputError:
            raise
        except TunesmithError as error:
            self._screen.line(f"{error}\n{NO_MODEL}")

    async def _model(self, name: str) -> None:
        if not name:
            self._screen.line(self._conversation.model if self._conversation else NO_MODEL)
            return
        await self._stack.aclose()
        self._conversation = None
        self._chosen = ModelChoice(name, self._chosen.base_url)
        await self._open()
        if self._conversation is not None:
            self._screen.line(f"{self._conversation.model} answers from now on")

    def _allow(self, text: str) -> None:
        trials = int(text) if text.isdigit() else None
        if trials is None:
            raise ToolRefused("give a number of trials, for example /allow 5; /allow 0 asks for every trial again")
        if self._conversation is None:
            raise ToolRefused("no LLM is set up that could queue trials; /model NAME sets one up")
        self._conversation.allowance = trials
        self._screen.line(
            f"up to {count(int(text), 'trial')} may be queued without approval"
            if int(text)
            else "every trial needs approval"
        )

    def _cost(self) -> str:
        if self._conversation is None:
            return "no LLM is set up, so this conversation costs nothing"
        cost = self._conversation.cost
        tokens = f"{cost.calls} calls, {cost.input_tokens:,} tokens in, {cost.output_tokens:,} out"
        dollars = f", ${cost.usd:.4f}" if cost.usd or not cost.unpriced else ""
        unknown = f"; the price of {cost.unpriced} calls is unknown" if cost.unpriced else ""
        return f"{tokens}{dollars}{unknown}"

    # -- the study ----------------------------------------------------------------------------------------------

    def _greeting(self) -> str:
        mistakes = self._session.mistakes()
        if mistakes:
            return mistakes
        loaded = self._session.loaded()
        if loaded is None:
            return "This folder has no study yet. Say what to tune, for example: tune train.py for val_loss, 40 trials"
        record, control = loaded.reader.record(), loaded.context.control
        running = control is not None and control.is_running()
        if record is None:
            return f"{loaded.spec.study.name} has not run yet. Ask anything, or start it with /run; see /help."
        best = _best_text(loaded)
        state = "is running" if running else "is not running"
        trials = count(record.spent.trials, "trial")
        return f"{record.name} {state} ({trials} so far{best}). Ask anything; /help lists the commands."

    def _farewell(self) -> None:
        loaded = self._loaded_study()
        if loaded is not None and loaded.context.control is not None and loaded.context.control.is_running():
            name = loaded.spec.study.name
            self._screen.line(
                f"{name} continues; `tunesmith status` shows it, `tunesmith chat` returns to this chat", "dim"
            )

    def _loaded_study(self) -> LoadedStudy | None:
        try:
            return self._session.loaded()
        except InputError:
            return None

    def _show_changes(self) -> None:
        lines = self._changes.poll()
        self._unreported = [*self._unreported, *lines][-UNREPORTED_CHANGES:]
        for line in lines:
            self._screen.line(f"· {line}", "dim")

    async def _poll_changes(self) -> None:
        while True:
            await asyncio.sleep(CHANGES_INTERVAL_S)
            self._show_changes()


def _best_text(loaded: LoadedStudy) -> str:
    from tunesmith.study.trials.winner import incumbent

    view = loaded.reader.view()
    best = incumbent(view.trials, view)
    return f", best {short_number(best.values[view.objectives[0].metric])}" if best else ""
