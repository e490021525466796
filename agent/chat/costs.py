"""Cost of each conversation, in a JSON file next to the conversations. Knows no LangChain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.agent.chat.events import ChatCost
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.study.commands import Charge
from tunesmith.study.files import write_atomic


class CostFile:
    """The costs of all conversations of one folder.

    Args:
        path: the file; created at the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, thread: str) -> ChatCost:
        """Return the cost of a conversation; zero when the file has no valid entry."""
        try:
            return ChatCost(**self._entries().get(thread, {}))
        except TypeError:
            return ChatCost()

    def write(self, thread: str, cost: ChatCost) -> None:
        """Replace the entry of a conversation."""
        write_atomic(self._path, json.dumps({**self._entries(), thread: asdict(cost)}))

    def _entries(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


@dataclass(frozen=True, slots=True)
class Account:
    """Where a conversation's cost is charged.

    Attributes:
        charge: called with what each turn cost, so that the study's budget counts it.
        limit: returns why no model may be asked; "" while one may.
    """

    charge: Callable[[Charge], None]
    limit: Callable[[], str]


NO_ACCOUNT = Account(charge=lambda charge: None, limit=lambda: "")  # noqa: ARG005
"""Of a conversation that nothing charges or limits."""


def add_usage(cost: ChatCost, model: LangChainModel, usage: Mapping[str, Any], calls: int) -> ChatCost:
    """Return the cost after `calls` further calls.

    Args:
        cost: the cost before.
        model: prices the tokens.
        usage: LangChain's usage metadata, by model name; empty when the server reports none.
        calls: number of calls that the usage covers.
    """
    used = [_token_use(metadata) for metadata in usage.values()]
    prices = [model.cost_usd(tokens, requests=calls if index == 0 else 0) for index, tokens in enumerate(used)]
    return replace(
        cost,
        calls=cost.calls + calls,
        input_tokens=cost.input_tokens + sum(tokens.input or 0 for tokens in used),
        output_tokens=cost.output_tokens + sum(tokens.output or 0 for tokens in used),
        usd=cost.usd + sum(price or 0.0 for price in prices),
        unpriced=cost.unpriced + (calls if _is_unpriced(prices) else 0),
    )


def charged(before: ChatCost, after: ChatCost, model: str) -> Charge:
    """Return what a conversation cost between two moments, for the study's budget."""
    return Charge(
        purpose="chat",
        model=model,
        calls=after.calls - before.calls,
        input_tokens=after.input_tokens - before.input_tokens,
        output_tokens=after.output_tokens - before.output_tokens,
        cost_usd=None if after.unpriced > before.unpriced else after.usd - before.usd,
    )


def _is_unpriced(prices: Sequence[float | None]) -> bool:
    return not prices or any(price is None for price in prices)


def _token_use(metadata: Mapping[str, Any]) -> TokenUse:
    return TokenUse(
        input=metadata.get("input_tokens"),
        output=metadata.get("output_tokens"),
        cached=(metadata.get("input_token_details") or {}).get("cache_read"),
    )
