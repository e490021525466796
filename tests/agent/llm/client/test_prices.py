"""Prices of models: genai-prices' offline data, the user's list on top, and unknown prices."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.agent.llm.client.prices import Price, find_price, read_own_prices
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.study.errors import ProjectError, SpecError


def own_list(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_listed_model_has_the_prices_of_the_package() -> None:
    price = find_price("openai:gpt-4o-mini", {})
    assert price == Price(input=pytest.approx(0.15), cached=pytest.approx(0.075), output=pytest.approx(0.6))


@pytest.mark.parametrize(
    "name", ["anthropic:claude-haiku-4-5", "google_genai:gemini-2.5-pro", "gpt-4o-mini-2024-07-18"]
)
def test_providers_are_named_as_in_langchain_and_versions_of_models_have_a_price(name: str) -> None:
    assert find_price(name, {}) is not None


def test_a_price_with_tiers_is_that_of_short_prompts() -> None:
    price = find_price("google_genai:gemini-2.5-pro", {})
    assert price is not None
    assert price.cost_usd(TokenUse(input=1_000_000, output=0)) == pytest.approx(1.25)


def test_fees_per_request_are_part_of_the_cost() -> None:
    price = find_price("perplexity:sonar", {})
    assert price is not None
    assert price.cost_usd(TokenUse(input=0, output=0), requests=3) == pytest.approx(3 * price.request)
    assert price.request > 0


@pytest.mark.parametrize(
    ("name", "base_url"),
    [
        ("openai:a-model-of-tomorrow", None),
        ("ollama:llama3", None),
        ("openai:gpt-4o-mini", "http://127.0.0.1:11434/v1"),
        ("github-copilot:gpt-3.5-turbo", None),
    ],
)
def test_an_unlisted_model_has_no_price(name: str, base_url: str | None) -> None:
    assert find_price(name, {}, base_url=base_url) is None


def test_a_known_address_has_the_prices_of_its_provider() -> None:
    at_address = find_price("openai:gpt-4o-mini", {}, base_url="https://api.openai.com/v1")
    assert at_address == find_price("openai:gpt-4o-mini", {})


def test_the_users_list_overrides_the_package_and_the_longest_name_wins(tmp_path: Path) -> None:
    text = '[openai]\n"gpt-4o" = { input = 1.0, output = 2.0 }\n"gpt-4o-mini" = { input = 5, cached = 1, output = 9 }\n'
    own = read_own_prices(own_list(tmp_path, text))
    assert find_price("openai:gpt-4o-mini-2024-07-18", own) == Price(input=5.0, cached=1.0, output=9.0)
    assert find_price("gpt-4o", own) == Price(input=1.0, cached=1.0, output=2.0)
    local = find_price("openai:gpt-4o", own, base_url="http://127.0.0.1:1/v1")
    assert local == Price(input=1.0, cached=1.0, output=2.0)
    assert find_price("openai:gpt-4.1", own) == find_price("openai:gpt-4.1", {})


def test_the_users_list_has_a_price_for_a_name_with_colons_behind_a_server_of_ones_own(tmp_path: Path) -> None:
    own = read_own_prices(own_list(tmp_path, '[openai]\n"qwen3:8b" = { input = 1.0, output = 2.0 }\n'))
    for name in ("qwen3:8b", "openai:qwen3:8b"):
        assert find_price(name, own, base_url="http://127.0.0.1:11434/v1") == Price(input=1.0, cached=1.0, output=2.0)
    assert find_price("llama3:8b", own, base_url="http://127.0.0.1:11434/v1") is None


def test_the_users_list_is_found_by_its_environment_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_PRICES", str(own_list(tmp_path, '[x]\n"m" = { input = 1.0, output = 2.0 }\n')))
    assert find_price("x:m", read_own_prices()) == Price(input=1.0, cached=1.0, output=2.0)
    monkeypatch.setenv("TUNESMITH_PRICES", str(tmp_path / "missing.toml"))
    assert read_own_prices() == {}


@pytest.mark.parametrize(
    "text", ["gpt = 3", '[openai]\n"m" = { input = 1.0 }', "[", '[openai]\n"m" = { input = "a", output = 1 }']
)
def test_a_price_list_that_is_not_valid_shows_the_expected_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match=r"is not a valid price list; expected \[openai\]"):
        read_own_prices(own_list(tmp_path, text))


def test_cached_tokens_cost_less_and_unreported_tokens_have_an_unknown_cost() -> None:
    price = Price(input=2.0, cached=0.5, output=8.0)
    assert price.cost_usd(TokenUse(input=1000, cached=400, output=100)) == pytest.approx(0.0022)
    assert price.cost_usd(TokenUse(input=1000, cached=5000, output=0)) == pytest.approx(0.0005)
    assert price.cost_usd(TokenUse(input=1000)) is None
    assert price.cost_usd(TokenUse()) is None


def test_prices_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert find_price("openai:gpt-5-mini", {}) is not None


def test_without_genai_prices_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ProjectError, match=r"pip install .*\[llm\]'"):
        find_price("openai:gpt-5-mini", {})
    own = {"openai": {"gpt-5-mini": Price(input=1.0, cached=1.0, output=2.0)}}
    assert find_price("openai:gpt-5-mini", own) is not None
