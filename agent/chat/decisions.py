"""A person's decisions in the form of LangChain's middleware, with the words that a model reads of a refusal."""

from __future__ import annotations

from typing import Any

from tunesmith.agent.chat.events import Approval, Decision, ProposedAction
from tunesmith.history.redact import redact


def approve_all(approval: Approval) -> Any:
    """Return the input that continues an agent once every action is approved."""
    from langgraph.types import Command

    approve = Decision("approve")
    return Command(resume={"decisions": [to_langchain(approve, action) for action in approval.actions]})


def to_langchain(decision: Decision, action: ProposedAction) -> dict[str, Any]:
    """Return a person's decision on an action as LangChain's middleware reads it."""
    if decision.kind == "reject":
        return {"type": "reject", "message": _refusal(decision.reason)}
    arguments = action.arguments if decision.arguments is None else decision.arguments
    if decision.kind == "approve" and action.requested in (None, arguments):
        return {"type": "approve"}
    # The arguments that were shown run, since the model's own, such as "best", may mean something else by now.
    return {"type": "edit", "edited_action": {"name": action.name, "args": dict(arguments)}}


def _refusal(reason: str) -> str:
    if not reason:
        return "The person said no. Do not try it again unless asked."
    return f"Not done. The person said: {redact(reason)}\nDo what they ask for; call this again only if that fits."
