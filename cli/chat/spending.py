"""What a chat costs the study: its calls are charged to [budget], whose llm_usd bounds planner and chat together."""

from __future__ import annotations

from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.config.budget import Spent
from tunesmith.study.errors import InputError


def total_usd(spent: Spent, chat_usd: float) -> float:
    """Return the dollars of planner and chat together; calls that are not charged yet included."""
    charged = sum(purpose.usd for purpose in spent.llm_purposes if purpose.purpose == "chat")
    return max(spent.llm_usd - charged, 0.0) + max(charged, chat_usd)


def limit_text(session: StudySession, chat_usd: float) -> str:
    """Return why the chat may not ask its model again; "" while llm_usd of [budget] is not used up."""
    try:
        loaded = session.loaded()
        record = loaded.reader.record() if loaded is not None else None
    except InputError:
        return ""
    if loaded is None:
        return ""
    limit = loaded.reader.spec.budget.llm_usd
    used = total_usd(record.spent if record is not None else Spent(), chat_usd)
    if limit is None or used < limit:
        return ""
    return (
        f"${used:.2f} of ${limit:g} are used, which bound planner and chat together, so no model is asked; "
        f"`/budget llm_usd {max(limit * 2, 1):g}` allows more, and slash commands cost nothing"
    )
