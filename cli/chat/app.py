"""`tunesmith chat`: reads a line, hands it to a slash command or the conversation, shows what comes, asks first.

Without a model only the slash commands work, and how to add one is said in three lines.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.agent.chat.events import Approval, ChatEvent, Decision, ProposedAction
from tunesmith.cli.chat.input_reader import InputReader, input_reader
from tunesmith.cli.chat.screen import Screen
from tunesmith.cli.chat.slash import COMMANDS, OUTSIDE, help_text, run_slash
from tunesmith.cli.chat.study_changes import StudyChanges
from tunesmith.cli.exits import DONE
from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.errors import InputError, ProposalError, ToolRefused, TunesmithError
from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import find_tool

if TYPE_CHECKING:
    from tunesmith.agent.chat.conversation import Conversation

NO_MODEL = """No LLM is set up, so only the slash commands work (/help). To add one:
  cloud   export OPENAI_API_KEY=…   tunesmith chat --model openai:gpt-5-mini
  local   tunesmith chat --model openai:qwen3 --base-url http://127.0.0.1:11434/v1"""
NEWS_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that answers; None for none."""

    name: str | None
    base_url: str | None


def run_chat(study: Path, *, history: Path | None, model: str | None, base_url: str | None) -> int:
    """Talk until the person leaves; return the exit status.

    Raises:
        InputError: the study's folder cannot be read, or the conversation cannot be kept.
    """
    wiring = StudySession(study, history, by="chat")
    chat = Chat(wiring, Screen(), Chosen(model, base_url))
    with suppress(KeyboardInterrupt):
        return asyncio.run(chat.run())
    return DONE


class Chat:
    """One chat in one terminal."""

    def __init__(self, wiring: StudySession, screen: Screen, chosen: Chosen) -> None:
        self._wiring = wiring
        self._screen = screen
        self._chosen = chosen
        self._folder = wiring.history.parent
        self._typist: InputReader = input_reader(
            [f"/{name}" for name in (*COMMANDS, *OUTSIDE)], self._folder / "chat-typed.txt"
        )
        self._news = StudyChanges(wiring)
        self._untold: list[str] = []
        self._talk: Conversation | None = None
        self._showing: asyncio.Task[None] | None = None
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
        """Return what the person says next; news of the study are shown meanwhile."""
        self._tell_news()
        watching = asyncio.create_task(self._watch())
        try:
            return await self._typist.line()
        except KeyboardInterrupt:
            self._screen.line("(/quit leaves; a study that runs goes on)", "dim")
            return ""
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _turn(self, text: str) -> None:
        if not text:
            return
        try:
            if text.startswith("/"):
                await self._slash(text)
            elif self._talk is None:
                self._screen.line(NO_MODEL)
            else:
                await self._converse(text)
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
                self._screen.line(await asyncio.to_thread(run_slash, text, self._wiring))

    async def _converse(self, text: str) -> None:
        talk = self._conversation()
        self._tell_news()
        news, self._untold = "; ".join(self._untold), []
        await self._play(talk.send(text, news=news))
        await self._finish_approvals()

    async def _finish_approvals(self) -> None:
        """Ask about whatever waits, until nothing does; also what waited when the chat last ended."""
        if self._talk is None:
            return
        talk = self._conversation()
        while (waiting := await talk.pending()) is not None:
            await self._play(talk.decide(await self._ask(waiting)))

    async def _play(self, events: AsyncIterator[ChatEvent]) -> None:
        """Show an answer while it comes; Ctrl-C stops it."""

        async def show() -> None:
            with self._screen.answer() as answer:
                async for event in events:
                    answer.show(event)

        self._showing = asyncio.create_task(show())
        try:
            await self._showing
        except asyncio.CancelledError:
            self._screen.line("(stopped; a study that runs goes on)", "dim")
        finally:
            self._showing = None

    def _interrupted(self) -> None:
        """Stop the answer. Without one, Ctrl-C does nothing, so that pressing it twice does not end the chat.

        At the prompt of a terminal it never comes here: there it is a key like any other.
        """
        if self._showing is not None:
            self._showing.cancel()

    # -- approvals ----------------------------------------------------------------------------------------------

    async def _ask(self, waiting: Approval) -> list[Decision]:
        return [await self._decide(action) for action in waiting.actions]

    async def _decide(self, action: ProposedAction) -> Decision:
        self._screen.action(action)
        while True:
            try:
                said = await self._typist.line("[approve / edit / reject] ")
            except KeyboardInterrupt:
                said = "reject"
            word, _, rest = (said if said is not None else "reject nobody is there to decide").strip().partition(" ")
            if word in ("a", "y", "yes", "approve"):
                return Decision("approve")
            if word in ("r", "n", "no", "reject"):
                return Decision("reject", reason=rest)
            if word in ("e", "edit"):
                edited = await self._edited(action)
                if edited is not None:
                    return edited
            else:
                self._screen.line("type approve, edit, or reject and why (a, e, r do)", "yellow")

    async def _edited(self, action: ProposedAction) -> Decision | None:
        """Let the person change the arguments; None when what came of it cannot be done."""
        text = await self._typist.line("arguments: ", default=json.dumps(dict(action.arguments)))
        try:
            given = json.loads(text or "")
            if not isinstance(given, dict):
                raise ValueError("no object")
            shown = find_tool(ALL, action.name).preview_text(self._wiring.context(), given)
        except ValueError:
            self._screen.line('these are no arguments; write JSON, such as {"number": 3}', "yellow")
            return None
        except ToolRefused as error:
            self._screen.line(str(error), "yellow")
            return None
        self._screen.line(shown)
        return Decision("edit", given)

    # -- the model ----------------------------------------------------------------------------------------------

    def _conversation(self) -> Conversation:
        assert self._talk is not None  # noqa: S101  # only asked when there is one
        return self._talk

    async def _open(self) -> None:
        """Open the conversation; without a model, or with one that cannot be reached, say how to add one."""
        name, base_url = self._chosen.name, self._chosen.base_url
        if name is None:
            wired = self._sound()
            name = wired.spec.planner.model if wired else None
            base_url = base_url or (wired.spec.planner.base_url if wired else None)
        if name is None:
            self._screen.line(NO_MODEL)
            return
        from tunesmith.agent.chat.conversation import Conversation
        from tunesmith.agent.llm.client.client import LangChainModel

        talk = Conversation(
            LangChainModel(name, base_url=base_url),
            ALL,
            self._wiring.context,
            store=self._folder / "chat.db",
            thread=self._wiring.file.name,
        )
        try:
            self._talk = await self._stack.enter_async_context(talk)
        except InputError:
            raise
        except TunesmithError as error:
            self._screen.line(f"{error}\n{NO_MODEL}")

    async def _model(self, name: str) -> None:
        if not name:
            self._screen.line(self._conversation().model if self._talk else NO_MODEL)
            return
        await self._stack.aclose()
        self._talk = None
        self._chosen = Chosen(name, self._chosen.base_url)
        await self._open()
        if self._talk is not None:
            self._screen.line(f"{self._conversation().model} answers from here on")

    def _allow(self, text: str) -> None:
        if not text.isdigit():
            raise ToolRefused("give a number of trials, such as /allow 5; /allow 0 asks for each again")
        if self._talk is None:
            raise ToolRefused("there is no model that could queue trials")
        self._conversation().allowance = int(text)
        self._screen.line(f"up to {text} trials are queued without asking" if int(text) else "every trial is asked for")

    def _cost(self) -> str:
        if self._talk is None:
            return "no model, no cost"
        bill = self._conversation().cost
        tokens = f"{bill.calls} calls, {bill.input_tokens:,} tokens in, {bill.output_tokens:,} out"
        dollars = f", ${bill.usd:.4f}" if bill.usd or not bill.unpriced else ""
        unknown = f"; the price of {bill.unpriced} calls is unknown" if bill.unpriced else ""
        return f"{tokens}{dollars}{unknown}"

    # -- the study ----------------------------------------------------------------------------------------------

    def _greeting(self) -> str:
        mistakes = self._wiring.mistakes()
        if mistakes:
            return mistakes
        wired = self._wiring.wired()
        if wired is None:
            return "There is no study here yet. Say what to tune, such as: tune train.py for val_loss, 40 trials"
        record, control = wired.facts.record(), wired.context.control
        running = control is not None and control.is_running()
        if record is None:
            return f"{wired.spec.study.name} has not run yet. Ask anything, or /run; /help lists the commands."
        best = _best_words(wired)
        state = "is running" if running else "is not running"
        return f"{record.name} {state} ({record.spent.trials} trials so far{best}). Ask anything, or /help."

    def _farewell(self) -> None:
        wired = self._sound()
        if wired is not None and wired.context.control is not None and wired.context.control.is_running():
            name = wired.spec.study.name
            self._screen.line(f"{name} goes on; `tunesmith status` shows it, `tunesmith chat` comes back", "dim")

    def _sound(self) -> LoadedStudy | None:
        try:
            return self._wiring.wired()
        except InputError:
            return None

    def _tell_news(self) -> None:
        lines = self._news.since()
        self._untold = [*self._untold, *lines][-10:]
        for line in lines:
            self._screen.line(f"· {line}", "dim")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(NEWS_EVERY_S)
            self._tell_news()


def _best_words(wired: LoadedStudy) -> str:
    from tunesmith.study.trials.results import incumbent

    view = wired.facts.view()
    best = incumbent(view.trials, view.objectives, view.constraints)
    return f", best {short_number(best.values[view.objectives[0].metric])}" if best else ""
