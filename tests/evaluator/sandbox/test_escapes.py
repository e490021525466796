"""Training scripts that try to escape or to cheat change nothing outside of their trial, as root and as a user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.machine.escapes import CHEATS, ESCAPES, HONEST, NETWORK, Escape
from fakes.machine.prison import Prison

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem

PROBLEM = sandbox_problem()
pytestmark = pytest.mark.skipif(PROBLEM != "" and os.environ.get("CI") != "true", reason=PROBLEM)
USERS = ["nobody", "root"] if os.getuid() == 0 else ["me"]


def _case(user: str, escape: Escape) -> Any:
    # Neither namespaces nor read-only mounts depend on the user, so these two kinds run as root only at night.
    is_repetition = user == "root" and escape in [*NETWORK, *CHEATS]
    # One worker runs all escapes of a user, so at most two of them fill memory and processes at once.
    marks = [pytest.mark.xdist_group(f"escapes-{user}"), *([pytest.mark.nightly] if is_repetition else [])]
    return pytest.param(user, escape, id=f"{user}-{escape.name}", marks=marks)


CASES = [_case(user, escape) for user in USERS for escape in ESCAPES]


@pytest.fixture(scope="module")
def prison(request: pytest.FixtureRequest) -> Iterator[Prison]:
    assert sandbox_problem() == ""
    with Prison(request.param) as opened:
        answer = opened.run("print('a first trial, whose files others try to read')", {})
        assert answer["values"] == {"loss": 0.75}, answer
        yield opened


@pytest.mark.parametrize(("prison", "escape"), CASES, indirect=["prison"], scope="module")
def test_no_script_escapes_or_cheats(prison: Prison, escape: Escape) -> None:
    answer: dict[str, Any] = prison.run(escape.script, escape.run)
    assert prison.traces() == []
    assert "ESCAPED" not in answer["log"], answer
    if escape.ends == HONEST:
        assert (answer["state"], answer["values"]["loss"]) == ("complete", 0.75), answer
        return
    assert answer["kind"] in escape.ends.split("|"), answer
    assert answer["values"].get("loss") is None, answer
    reasons = [escape.because] if isinstance(escape.because, str) else escape.because
    assert any(reason in answer["reason"] for reason in reasons), answer
