"""Counts what a study's LLM has used, warns before a limit is reached, and keeps the calls for the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.units import short_number

_WARNINGS = (0.8, 1.0)


class LLMBudget:
    """The LLM's limits and usage in one study.

    Args:
        name: name of the model, for messages.
        limits: only the three limits on the LLM are used here.
        spent: usage of earlier runs of the study.
        when_spent: what follows once a limit is reached, for people.

    Attributes:
        limits: as above; commands may replace them while the study runs.
        spent: usage including earlier runs; only its three LLM fields are updated here.
    """

    def __init__(
        self, name: str, limits: Budget, spent: Spent, *, when_spent: str = "only the sampler proposes now"
    ) -> None:
        self._name, self._when_spent = name, when_spent
        self.limits = limits
        self.spent = spent
        self._calls: list[LoggedCall] = []
        self._notes: list[str] = []
        self._unknown_price_is_noted = False
        self._warned_at = self._passed_warning()

    @property
    def used(self) -> float:
        """Used fraction of the tightest limit; 0 without a limit."""
        return max((share.fraction for share in self.limits.llm_limit_usage(self.spent)), default=0.0)

    def change_limits(self, limits: Budget) -> None:
        """Continue with other limits."""
        self.limits = limits
        self._warned_at = self._passed_warning()

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        """Keep calls for the history and count them."""
        self._calls += calls
        for logged in calls:
            self._add_usage(logged)
            self._notes += logged.call.notes

    def drain_calls(self) -> list[LoggedCall]:
        """Return the calls since the last call of this method."""
        calls, self._calls = self._calls, []
        return calls

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        notes, self._notes = self._notes, []
        return notes

    def _add_usage(self, logged: LoggedCall) -> None:
        """Add one call to the usage. When the server reports no tokens, they are estimated from the texts."""
        usage = logged.call.usage
        if usage.input is not None and usage.output is not None:
            tokens = usage.input + usage.output
        elif logged.call.requests:
            tokens = sum(estimate_tokens(m.text) for m in logged.messages) + estimate_tokens(logged.answer)
        else:
            tokens = 0
        self.spent = replace(
            self.spent,
            llm_calls=self.spent.llm_calls + 1,
            llm_tokens=self.spent.llm_tokens + tokens,
            llm_usd=self.spent.llm_usd + (logged.call.cost_usd or 0.0),
        )
        if logged.call.requests and logged.call.cost_usd is None:
            self._warn_of_unknown_price()
        self._warn_of_budget()

    def _warn_of_unknown_price(self) -> None:
        if self.limits.llm_usd is not None and not self._unknown_price_is_noted:
            self._unknown_price_is_noted = True
            problem = f"the price of {self._name} is unknown, so the limit llm_usd cannot be enforced"
            self._notes.append(f"{problem}; set llm_tokens instead, or add the model to your price list")

    def _passed_warning(self) -> float:
        return max((level for level in _WARNINGS if self.used >= level), default=0.0)

    def _warn_of_budget(self) -> None:
        passed = self._passed_warning()
        if passed > self._warned_at:
            self._warned_at = passed
            tightest = max(self.limits.llm_limit_usage(self.spent), key=lambda share: share.fraction)
            amounts = f"{short_number(tightest.used)} of {short_number(tightest.limit)}"
            state = f"is spent; {self._when_spent}" if passed >= 1.0 else "is used to 80%"
            self._notes.append(f"the LLM's budget {state} ({tightest.name} {amounts})")
