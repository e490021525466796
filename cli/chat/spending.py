"""What a chat costs the study: its calls are charged to [budget], whose llm_usd bounds planner and chat together.

A charge is a command to the study's loop, which counts it when it next runs; until then it waits in the inbox. What a
chat costs before there is a study is charged to the first study that it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.commands import Charge, Command, Limit, parse_command
from tunesmith.study.errors import InputError, ProjectError, ToolRefused
from tunesmith.tools.control.inbox import Inbox


class ChatCharges:
    """The charges of one chat.

    Args:
        session: the study that is charged.
    """

    def __init__(self, session: StudySession) -> None:
        self._session = session
        self._held: list[Charge] = []

    def add(self, charge: Charge) -> None:
        """Charge the study; without a study hold the charge until there is one."""
        self._held.append(charge)
        loaded = self._loaded()
        if loaded is None:
            return
        inbox = _inbox(loaded)
        while self._held:
            try:
                inbox.submit(self._held[0], by="chat")
            except ProjectError:
                return
            del self._held[0]

    @property
    def unbilled_usd(self) -> float:
        """Dollars of this chat, and of earlier ones, that the study has not counted yet."""
        loaded = self._loaded()
        return _usd(self._held) + (waiting_usd(_inbox(loaded)) if loaded is not None else 0.0)

    def limit_text(self) -> str:
        """Return why the chat may not ask its model again; "" while llm_usd of [budget] is not used up."""
        loaded = self._loaded()
        if loaded is None:
            return ""
        try:
            record, limit = loaded.reader.record(), _limit(loaded)
        except InputError:
            return ""
        used = (record.spent.llm_usd if record is not None else 0.0) + self.unbilled_usd
        if limit is None or used < limit:
            return ""
        return (
            f"${_amount(used)} of ${limit:g} are used, which bound planner and chat together, so no model is asked; "
            f"`/budget llm_usd {max(limit * 2, 1):g}` allows more, and slash commands cost nothing"
        )

    def _loaded(self) -> LoadedStudy | None:
        try:
            return self._session.loaded()
        except InputError:
            return None


def waiting_usd(inbox: Inbox) -> float:
    """Return the dollars of the charges that wait for a study's next run."""
    return _usd([command for command in _waiting(inbox) if isinstance(command, Charge)])


def _limit(loaded: LoadedStudy) -> float | None:
    """Return llm_usd as the study has it, or as the person has set it for the next run."""
    limits = [c.value for c in _waiting(_inbox(loaded)) if isinstance(c, Limit) and c.name == "llm_usd"]
    wanted = limits[-1] if limits else loaded.reader.spec.budget.llm_usd
    return wanted if isinstance(wanted, int | float) else None


def _waiting(inbox: Inbox) -> list[Command]:
    """Return the valid commands that no loop has read yet."""
    found = []
    for waiting in inbox.pending():
        with suppress(ToolRefused):
            found.append(parse_command(waiting.text))
    return found


def _amount(usd: float) -> str:
    """Return an amount in cents; in fractions of them where it is less than one."""
    return f"{usd:.2f}" if usd >= 0.01 else f"{usd:.4f}"  # noqa: PLR2004  # a cent


def _usd(charges: Sequence[Charge]) -> float:
    return sum(charge.cost_usd or 0.0 for charge in charges)


def _inbox(loaded: LoadedStudy) -> Inbox:
    assert loaded.context.folder is not None  # noqa: S101  # every study of a session has a folder
    return Inbox(loaded.context.folder)
