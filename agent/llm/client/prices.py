"""What tokens cost, by model. A model that nobody priced costs "unknown", never nothing."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.study.errors import Mistake, SpecError


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens."""

    input: float
    cached: float
    output: float

    def of(self, usage: TokenUse) -> float | None:
        """Return the dollars for a call; None when the server did not say how many tokens it was."""
        if usage.input is None or usage.output is None:
            return None
        cached = min(usage.cached or 0, usage.input)
        return (self.input * (usage.input - cached) + self.cached * cached + self.output * usage.output) / 1e6


Prices = Mapping[str, Mapping[str, Price]]
"""By provider, then by the start of the model's name."""


def read_prices(own: Path | None = None) -> Prices:
    """Return the bundled prices with the user's over them.

    Args:
        own: the user's file; None for the one that TUNESMITH_PRICES names, or ~/.config/tunesmith/prices.toml.

    Raises:
        SpecError: the user's file cannot be understood.
    """
    prices = _parsed(Path(__file__).with_name("prices.toml"))
    path = own or Path(os.environ.get("TUNESMITH_PRICES", "~/.config/tunesmith/prices.toml")).expanduser()
    if path.is_file():
        for provider, models in _parsed(path).items():
            prices[provider] = {**prices.get(provider, {}), **models}
    return prices


def price_of(name: str, prices: Prices, *, own_server: bool) -> Price | None:
    """Return the price of "provider:model"; None when it is unknown, as for a server of one's own."""
    provider, _, model = name.rpartition(":")
    if own_server:
        return None
    known = prices.get(provider or "openai", {})
    fitting = [start for start in known if model.startswith(start)]
    return known[max(fitting, key=len)] if fitting else None


def _parsed(path: Path) -> dict[str, Mapping[str, Price]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            provider: {
                model: Price(float(p["input"]), float(p.get("cached", p["input"])), float(p["output"]))
                for model, p in models.items()
            }
            for provider, models in document.items()
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = 'is no price list; write ["openai"] and under it "model" = { input = 1.0, output = 2.0 }'
        raise SpecError([Mistake("", f"{message} ({error})")], where=str(path)) from None
