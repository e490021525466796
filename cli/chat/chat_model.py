"""The LLM of a chat: opened while the person already types, exchanged for another one, its cost and its allowance."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli.chat.approvals import Approvals
from tunesmith.cli.chat.display.screen import Screen
from tunesmith.cli.chat.spending import ChatCharges
from tunesmith.cli.chat.turns import Turns
from tunesmith.cli.session.overrides import server_of
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.config.tables.planner import PlannerTable
from tunesmith.study.errors import InputError, ToolRefused, TunesmithError
from tunesmith.study.formatting import count
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import CHAT

if TYPE_CHECKING:
    from tunesmith.agent.chat.conversation import Conversation
    from tunesmith.agent.chat.events import ChatCost

NO_MODEL = """No LLM is set up, so only the slash commands work (/help). To add one:
  cloud   export OPENAI_API_KEY=…   tunesmith chat --model openai:gpt-5-mini
  local   tunesmith chat --model openai:qwen3 --base-url http://127.0.0.1:11434/v1"""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The LLM that answers; None for that of study.toml."""

    name: str | None
    base_url: str | None


class ChatModel:
    """The model and its conversation. Use `stack` as an async context manager around everything else.

    Args:
        session: the study that the conversation is about.
        screen: where messages and answers go.
        approvals: asks the person about actions.
        chosen: the model of the command line.
        may_type: whether the person can type while an answer waits.
    """

    def __init__(
        self, session: StudySession, screen: Screen, approvals: Approvals, chosen: ModelChoice, *, may_type: bool
    ) -> None:
        self._session, self._screen, self._approvals, self._chosen = session, screen, approvals, chosen
        self._may_type = may_type
        self._charges = ChatCharges(session)
        self._conversation: Conversation | None = None
        self._opening: asyncio.Task[None] | None = None
        self.turns: Turns | None = None
        self.stack = AsyncExitStack()

    def start_opening(self) -> None:
        """Open the model in the background, which takes seconds: its packages are large."""
        self._opening = asyncio.create_task(self._open())

    @property
    def is_opening(self) -> bool:
        """Whether the model is being opened."""
        return self._opening is not None and not self._opening.done()

    @property
    def in_background(self) -> asyncio.Task[None] | None:
        """What happens while the person types: opening the model, or an answer that waits; None without either."""
        if self.is_opening:
            return self._opening
        return self.turns.in_background if self.turns is not None else None

    async def opened(self) -> Turns | None:
        """Return the turns of the conversation once the model is open; None without a model.

        Raises:
            InputError: the conversation cannot be stored.
        """
        if self._opening is not None:
            await self._opening
        return self.turns

    async def exchange(self, name: str) -> str:
        """Let another model answer from now on; without a name only say which one answers."""
        await self.opened()
        if not name:
            return self._conversation.model if self._conversation else NO_MODEL
        await self.stack.aclose()
        self._conversation = self.turns = None
        self._chosen = ModelChoice(name, self._chosen.base_url)
        await self._open()
        return f"{self._conversation.model} answers from now on" if self._conversation else ""

    async def start_anew(self) -> str:
        """Forget the conversation so far; what it cost stays counted."""
        await self.opened()
        if self._conversation is None:
            return NO_MODEL
        await self._conversation.forget()
        return "a new conversation: the model remembers nothing of the earlier one; the study is as it was"

    async def allow(self, text: str) -> str:
        """Let the model queue some trials without approval; edits of the code always ask.

        Raises:
            ToolRefused: the text is not a number, or there is no model.
        """
        if not text.isdigit():
            raise ToolRefused("give a number of trials, for example /allow 5; /allow 0 asks for every trial again")
        await self.opened()
        if self._conversation is None:
            raise ToolRefused("no LLM is set up that could queue trials; /model NAME sets one up")
        self._conversation.allowance = int(text)
        trials = count(int(text), "trial")
        return f"up to {trials} may be queued without approval" if int(text) else "every trial needs approval"

    @property
    def unbilled_usd(self) -> float:
        """Dollars of the chat that the study has not counted yet."""
        return self._charges.unbilled_usd

    async def cost_text(self) -> str:
        """Return calls, tokens and dollars of the conversation."""
        await self.opened()
        if self._conversation is None:
            return "no LLM is set up, so this conversation costs nothing"
        return _cost_text(self._conversation.cost)

    async def _open(self) -> None:
        """Open the conversation; without an LLM, or with one that cannot be reached, print how to add one."""
        name, base_url = self._chosen.name, self._chosen.base_url
        planner = self._planner()
        if name is None:
            name, base_url = planner.model, base_url or planner.base_url
        if name is None:
            self._screen.line(NO_MODEL)
            return
        try:
            conversation = await asyncio.to_thread(self._prepare, name, base_url, planner)
            self._conversation = await self.stack.enter_async_context(conversation)
        except InputError:
            raise
        except TunesmithError as error:
            self._screen.line(f"{error}\n{NO_MODEL}")
            return
        self.turns = Turns(
            self._conversation, self._screen, self._approvals, self._session.interruption, may_type=self._may_type
        )

    def _prepare(self, name: str, base_url: str | None, planner: PlannerTable) -> Conversation:
        """Import what a conversation needs (2 s), outside the thread in which the person types."""
        from tunesmith.agent.chat.conversation import Conversation, load_packages
        from tunesmith.agent.chat.costs import Account
        from tunesmith.agent.llm.client.client import LangChainModel
        from tunesmith.agent.llm.client.options import RequestOptions

        load_packages()
        options = RequestOptions.from_planner(planner)
        if server_of({"model": name, "base_url": base_url}) != server_of(planner.model_dump()):
            options = replace(options, headers={}, body={})
        model = LangChainModel(name, base_url=base_url, options=options)
        others = [LangChainModel(other, base_url=base_url, options=options) for other in planner.fallbacks]
        store: Path = self._session.history.parent / "chat.db"
        return Conversation(
            model,
            CHAT,
            self._context,
            store=store,
            thread=self._session.file.name,
            fallbacks=others,
            account=Account(self._charges.add, self._charges.limit_text),
        )

    def _context(self) -> ToolContext:
        """Return what the tools work on; they also know which model calls them."""
        return replace(self._session.context(), speaker=self._speaker)

    def _speaker(self) -> str:
        if self._conversation is None:
            return ""
        return f"{self._conversation.model}; {_cost_text(self._conversation.cost)}"

    def _planner(self) -> PlannerTable:
        try:
            loaded = self._session.loaded()
        except InputError:
            loaded = None
        return loaded.spec.planner if loaded else PlannerTable()


def _cost_text(cost: ChatCost) -> str:
    """Return calls, tokens and dollars of a conversation."""
    tokens = f"{cost.calls} calls, {cost.input_tokens:,} tokens in, {cost.output_tokens:,} out"
    dollars = f", ${cost.usd:.4f}" if cost.usd or not cost.unpriced else ""
    unknown = f"; the price of {cost.unpriced} calls is unknown" if cost.unpriced else ""
    return f"{tokens}{dollars}{unknown}"
