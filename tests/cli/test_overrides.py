"""Options of the command line that replace values of study.toml."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.studies import make_spec

from tunesmith.cli.session.overrides import Overrides

SECRET = {"Authorization": "Bearer $NAME"}


@pytest.mark.parametrize(
    ("planner", "options", "is_kept"),
    [
        ({"model": "m", "base_url": "http://a/v1"}, {"base_url": "http://b/v1"}, False),
        ({"model": "openai:gpt-5"}, {"model": "anthropic:claude"}, False),
        ({"model": "openai:gpt-5"}, {"model": "m", "base_url": "http://b/v1"}, False),
        ({"model": "openai:gpt-5"}, {"model": "openai:gpt-5-mini"}, True),
        ({"model": "m", "base_url": "http://a/v1"}, {"model": "n"}, True),
        ({"model": "openai:gpt-5"}, {"trials": 9}, True),
    ],
)
def test_headers_and_body_go_to_no_other_server(planner: Any, options: Any, is_kept: bool) -> None:
    spec = make_spec(planner={**planner, "headers": SECRET, "body": {"top_p": 0.9}})
    found = Overrides(**options).apply_to(spec).planner
    assert (dict(found.headers), dict(found.body)) == ((SECRET, {"top_p": 0.9}) if is_kept else ({}, {}))
