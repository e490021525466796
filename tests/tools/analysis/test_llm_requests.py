"""Requests of an LLM wait for the person until the study meets them, whoever changed it."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.agent.llm.requests import Request
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.analysis.llm_requests import REQUEST_KEY, open_requests

SPACE = {
    "lr": {"type": "float", "low": 0.01, "high": 1.0},
    "opt": {"type": "choice", "choices": ["adam", "sgd"]},
    "depth": {"type": "int", "low": 1, "high": 8},
}


def _spec(**more: Any) -> StudySpec:
    study = {"study": {"name": "s", "metric": "loss"}, "run": {"command": "python t.py {lr}"}, "space": SPACE}
    return parse_spec({**study, **more})


def asked(**fields: Any) -> Event:
    return Event(at=0.0, kind="llm", detail={REQUEST_KEY: Request(**fields).to_json()})


def pinned(**pins: Any) -> Event:
    return Event(at=0.0, kind="order", detail={"steering": {"pins": pins, "vetoes": []}})


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"action": "range", "name": "lr", "high": 3.0}, "/bounds lr LOW HIGH"),
        ({"action": "range", "name": "depth", "low": 0}, "/bounds depth LOW HIGH"),
        ({"action": "parameter", "name": "dropout", "low": 0.0, "high": 0.5}, "[space.dropout]"),
        ({"action": "derive", "name": "width", "condition": "depth * 64"}, "[derived]"),
        ({"action": "permit", "condition": "depth > 6"}, "`forbid`"),
        ({"action": "unpin", "name": "lr"}, "/unpin lr"),
    ],
)
def test_an_open_request_says_what_to_do_and_is_named_once(fields: Any, how: str) -> None:
    study = _spec(forbid=["depth > 6"])
    found = open_requests([pinned(lr=0.1), asked(**fields), asked(**fields)], study)
    assert len(found) == 1
    assert how in found[0]
    assert Request(**fields).text in found[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "range", "name": "lr", "high": 0.9},
        {"action": "range", "name": "depth", "low": 1, "high": 8},
        {"action": "parameter", "name": "opt"},
        {"action": "derive", "name": "width", "condition": "depth * 64"},
        {"action": "permit", "condition": "depth > 6"},
        {"action": "unpin", "name": "lr"},
    ],
)
def test_what_the_study_has_is_no_request_any_more(fields: Any) -> None:
    study = _spec(derived={"width": "depth * 64"})
    assert open_requests([pinned(lr=0.1), asked(**fields), pinned()], study) == []
