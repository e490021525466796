"""Asks a person to approve, edit or reject what the LLM wants to do."""

from __future__ import annotations

import json
from dataclasses import replace

from tunesmith.agent.chat.events import Decision, ProposedAction
from tunesmith.cli.chat.input_reader import InputReader
from tunesmith.cli.chat.screen import Screen
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import find_tool


class Approvals:
    """Asks about one action at a time."""

    def __init__(self, reader: InputReader, screen: Screen, session: StudySession) -> None:
        self._reader, self._screen, self._session = reader, screen, session

    async def decide(self, action: ProposedAction) -> Decision:
        """Show what an action would do and return the person's decision; Ctrl-C and the end of input reject."""
        self._screen.action(action)
        while True:
            word, _, rest = (await self._answer()).strip().partition(" ")
            if word in ("a", "y", "yes", "approve"):
                return Decision("approve")
            if word in ("r", "n", "no", "reject"):
                return Decision("reject", reason=rest)
            if word in ("e", "edit"):
                edited = await self._edited(action)
                if edited is not None:
                    return edited
            else:
                self._screen.line("type approve, edit or reject, or a, e or r; a reason may follow reject", "yellow")

    async def _answer(self) -> str:
        try:
            line = await self._reader.line("[approve / edit / reject] ")
        except KeyboardInterrupt:
            return "reject"
        return line if line is not None else "reject nobody is there to decide"

    async def _edited(self, action: ProposedAction) -> Decision | None:
        """Let the person change the arguments; return None if the result is not valid."""
        text = await self._reader.line("arguments: ", default=json.dumps(dict(action.arguments)))
        try:
            arguments = json.loads(text or "")
            if not isinstance(arguments, dict):
                raise ValueError("not an object")
            tool, context = find_tool(ALL, action.name), self._session.context()
            arguments = tool.frozen(context, arguments)
            edited = replace(action, arguments=arguments, preview=tool.preview_text(context, arguments))
        except ValueError:
            self._screen.line('these arguments are not valid; expected a JSON object such as {"number": 3}', "yellow")
            return None
        except ToolRefused as error:
            self._screen.line(str(error), "yellow")
            return None
        self._screen.action(edited)
        return Decision("edit", arguments)
