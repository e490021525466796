"""Whatever a training script tries, the machine, the study and the judge stay as they were: for root and for a user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.machine.escapes import ESCAPES, HONEST, Escape
from fakes.machine.prison import Prison

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem

pytestmark = pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
USERS = ["root", "nobody"] if os.getuid() == 0 else ["me"]


@pytest.fixture(scope="module", params=USERS)
def prison(request: pytest.FixtureRequest) -> Iterator[Prison]:
    assert sandbox_problem() == ""
    with Prison(request.param) as opened:
        answer = opened.run("print('a first trial, for others to look at')", {})
        assert answer["values"] == {"loss": 0.75}, answer
        yield opened


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)
def test_no_script_gets_out_or_cheats(prison: Prison, escape: Escape) -> None:
    answer: dict[str, Any] = prison.run(escape.script, escape.run)
    assert prison.traces() == []
    assert "ESCAPED" not in answer["log"], answer
    if escape.ends == HONEST:
        assert (answer["state"], answer["values"]["loss"]) == ("complete", 0.75), answer
        return
    assert answer["kind"] in escape.ends.split("|"), answer
    assert answer["values"].get("loss") is None, answer
    reasons = [escape.because] if isinstance(escape.because, str) else escape.because
    assert any(reason in answer["said"] for reason in reasons), answer
