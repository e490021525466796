"""Asks a person about each thing that the LLM wants to do: yes, no, edit, yes to all, or what to do instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tunesmith.agent.chat.events import Decision, ProposedAction
from tunesmith.cli.chat.argument_editor import edited_arguments
from tunesmith.cli.chat.display.screen import Screen
from tunesmith.cli.chat.input_reader import PROMPT, InputInterrupted, InputReader
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import Effect, find_tool

YES = ("y", "yes", "ok", "a", "approve")
YES_TO_ALL = ("all", "yes to all", "approve all")
NO = ("n", "no", "r", "reject")
EDIT = ("e", "edit")
QUESTION = f"[Enter = yes, n = no, e = edit, all = yes to all, or what to do instead]\n{PROMPT}"
QUESTION_TO_A_PIPE = f"[y = yes, n = no, e = edit, all = yes to all, or what to do instead]\n{PROMPT}"
"""Without Enter: an empty line of a pipe is more often an accident than a person's yes."""


class Approvals:
    """Asks about the actions of a conversation.

    Args:
        reader: reads the person's answers.
        screen: shows what the actions would do.
        session: the study that the actions are about.
        slash: carries out a slash command, which a person may type instead of an answer.
        may_type: whether the input is a terminal, at which Enter is a yes.
    """

    def __init__(
        self,
        reader: InputReader,
        screen: Screen,
        session: StudySession,
        slash: Callable[[str], Awaitable[None]],
        *,
        may_type: bool,
    ) -> None:
        self._reader, self._screen, self._session, self._slash = reader, screen, session, slash
        self._may_type = may_type
        self._all = False

    def new_turn(self) -> None:
        """Ask again about everything: a yes to all holds until the person's next message."""
        self._all = False

    async def decide(self, actions: Sequence[ProposedAction]) -> list[Decision]:
        """Return a decision for each action; Ctrl-C and the end of input are a no."""
        return [await self._decide(action) for action in actions]

    async def _decide(self, action: ProposedAction) -> Decision:
        self._screen.action(action)
        if self._all and not _always_asks(action):
            self._screen.line("  (yes to all)", "dim")
            return Decision("approve")
        while True:
            decision = await self._answered(action, (await self._answer()).strip())
            if decision is not None:
                return decision

    async def _answered(self, action: ProposedAction, answer: str) -> Decision | None:
        """Return what an answer means; None if the question has to be asked again."""
        word, _, rest = answer.partition(" ")
        if answer.startswith("/"):
            await self._slash(answer)
            return None
        if not answer and not self._may_type:
            return None
        if answer.lower() in YES_TO_ALL:
            self._all = True
            return Decision("approve")
        if not answer or answer.lower() in YES:
            return Decision("approve")
        if word.lower().rstrip(",:") in NO:
            return Decision("reject", reason=rest.strip())
        if answer.lower() in EDIT:
            return await self._edited(action)
        return Decision("reject", reason=answer)

    async def _answer(self) -> str:
        try:
            line = await self._reader.line(QUESTION if self._may_type else QUESTION_TO_A_PIPE)
        except InputInterrupted:
            return "no"
        finally:
            self._screen.typed()
        return line if line is not None else "no nobody is there to decide"

    async def _edited(self, action: ProposedAction) -> Decision | None:
        """Let the person change the arguments and look at what they would do; None if nothing valid was changed."""
        try:
            arguments = await edited_arguments(action, self._reader)
            if arguments is None or arguments == dict(action.arguments):
                self._screen.line("nothing was changed", "dim")
                return None
            tool, context = find_tool(ALL, action.name), self._session.context()
            arguments = tool.frozen(context, arguments)
            preview = tool.preview_text(context, arguments)
        except ToolRefused as error:
            self._screen.line(str(error), "yellow")
            return None
        self._screen.preview(preview)
        return Decision("edit", arguments)


def _always_asks(action: ProposedAction) -> bool:
    """Tell whether a person must see this action by itself: it runs or applies edited code."""
    return find_tool(ALL, action.name).effect >= Effect.EDIT
