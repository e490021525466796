"""Prices of models, from the package genai-prices (offline data) with the user's own list on top.

The price of a model that neither lists is unknown, never zero.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.agent.llm.client.model_names import split_model_name
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.optional_packages import require

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

_SAMPLE_TOKENS = 1000
"""Tokens for which prices are looked up: few enough for the lowest tier, which holds for every prompt of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of a model: dollars per million tokens, and dollars per request.

    Attributes:
        cached: price of input tokens that the server read from its cache.
    """

    input: float
    cached: float
    output: float
    request: float = 0.0

    def cost_usd(self, usage: TokenUse, *, requests: int = 1) -> float | None:
        """Return the dollars for one or more requests; None when the server did not report their tokens."""
        if usage.input is None or usage.output is None:
            return None
        cached = min(usage.cached or 0, usage.input)
        tokens_usd = self.input * (usage.input - cached) + self.cached * cached + self.output * usage.output
        return tokens_usd / 1e6 + self.request * requests


OwnPrices = Mapping[str, Mapping[str, Price]]
"""The user's prices, by provider and then by the start of the model's name."""


def read_own_prices(path: Path | None = None) -> OwnPrices:
    """Return the user's price list; empty without a file.

    Args:
        path: a TOML file; None for the one that TUNESMITH_PRICES names, or ~/.config/tunesmith/prices.toml.

    Raises:
        SpecError: the file is not a valid price list.
    """
    path = path or Path(os.environ.get("TUNESMITH_PRICES", "~/.config/tunesmith/prices.toml")).expanduser()
    return _parse_prices(path) if path.is_file() else {}


def find_price(name: str, own_prices: OwnPrices, *, base_url: str | None = None) -> Price | None:
    """Return the price of a model, or None when it is unknown.

    The user's list decides first; the longest matching start of a name wins. Behind a `base_url` the price is known
    only when genai-prices knows the provider at that address, so a local server has none unless the user lists one.

    Args:
        name: "provider:model" as LangChain writes it, or a bare model name.
        own_prices: of `read_own_prices`.
        base_url: address of the server; None for the provider's own.

    Raises:
        ProjectError: genai-prices is not installed.
    """
    provider, model = split_model_name(name, base_url=base_url)
    return _own_price(name, provider, model, own_prices) or _listed_price(provider, model, base_url)


def _own_price(name: str, provider: str, model: str, own_prices: OwnPrices) -> Price | None:
    """Look a model up in the user's list, whose tables may also name providers that LangChain does not know."""
    prefix, _, rest = name.partition(":")
    if rest and prefix in own_prices:
        provider, model = prefix, rest
    own = own_prices.get(provider or "openai", {})
    matches = [start for start in own if model.startswith(start)]
    return own[max(matches, key=len)] if matches else None


def _listed_price(provider: str, model: str, base_url: str | None) -> Price | None:
    """Look a model up in genai-prices, in the data that comes with the package."""
    require("genai_prices", purpose="the price of a model", extra="llm")
    from genai_prices import Usage, calc_price  # 0.2 s

    def sample(**tokens: int) -> PriceCalculation:
        if base_url:
            return calc_price(Usage(**tokens), model, provider_api_url=base_url)
        return calc_price(Usage(**tokens), model, provider_id=provider or None)

    try:
        input_tokens = sample(input_tokens=_SAMPLE_TOKENS)
        cached_tokens = sample(input_tokens=_SAMPLE_TOKENS, cache_read_tokens=_SAMPLE_TOKENS)
        output_tokens = sample(output_tokens=_SAMPLE_TOKENS)
    except (LookupError, ValueError):
        return None
    if input_tokens.model_price.input_mtok is None or input_tokens.model_price.output_mtok is None:
        return None  # listed without a price, as free tiers are
    per_million = 1e6 / _SAMPLE_TOKENS
    return Price(
        input=float(input_tokens.input_price) * per_million,
        cached=float(cached_tokens.input_price) * per_million,
        output=float(output_tokens.output_price) * per_million,
        request=float(input_tokens.total_price - input_tokens.input_price - input_tokens.output_price),
    )


def _parse_prices(path: Path) -> OwnPrices:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            provider: {model: _parse_price(price) for model, price in models.items()}
            for provider, models in document.items()
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        expected = (
            'expected [openai] and under it "model" = { input = 1.0, output = 2.0 }, in dollars per million tokens'
        )
        message = f"is not a valid price list; {expected} ({error})"
        raise SpecError([Mistake("", message)], where=str(path)) from None


def _parse_price(table: Mapping[str, float]) -> Price:
    price = float(table["input"])
    return Price(input=price, cached=float(table.get("cached", price)), output=float(table["output"]))
