"""What a chat may spend: the dollars of [budget] bound planner and chat together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.projects import command, make_project

from tunesmith.cli.chat.slash.commands import run_slash
from tunesmith.cli.chat.spending import ChatCharges
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.commands import Charge
from tunesmith.tools.control.inbox import Inbox


@pytest.fixture
def session(tmp_path: Path) -> Iterator[StudySession]:
    project = make_project(tmp_path / "p")
    file = project / "study.toml"
    file.write_text(file.read_text().replace("[budget]", "[budget]\nllm_usd = 3.0"))
    opened = StudySession(project, None, by="test")
    yield opened
    loaded = opened.loaded()
    assert loaded is not None
    loaded.reader.close()


def charge(usd: float | None) -> Charge:
    return Charge(purpose="chat", model="m", calls=1, cost_usd=usd)


def test_charges_wait_for_the_run_and_count_at_once(session: StudySession) -> None:
    charges = ChatCharges(session)
    for usd in (1.0, None, 0.5):
        charges.add(charge(usd))
    assert charges.unbilled_usd == pytest.approx(1.5)
    # Of an earlier chat, too.
    assert ChatCharges(session).unbilled_usd == pytest.approx(1.5)
    assert charges.limit_text() == ""
    charges.add(charge(1.51))
    text = charges.limit_text()
    assert text.startswith("$3.01 of $3 are used, which bound planner and chat together")
    assert "`/budget llm_usd 6`" in text


@pytest.mark.parametrize(("line", "is_refused"), [("llm_usd 6", False), ("llm_usd none", False), ("llm_usd 2", True)])
def test_a_limit_that_waits_for_the_next_run_counts_already(session: StudySession, line: str, is_refused: bool) -> None:
    charges = ChatCharges(session)
    charges.add(charge(4.0))
    run_slash(f"/budget {line}", session)
    assert bool(charges.limit_text()) is is_refused


def test_what_is_spent_before_there_is_a_study_is_charged_to_it(tmp_path: Path) -> None:
    charges = ChatCharges(StudySession(tmp_path, None, by="test"))
    charges.add(charge(2.0))
    charges.add(charge(3.0))
    assert charges.limit_text() == ""
    make_project(tmp_path)
    charges.add(charge(0.5))
    inbox = Inbox(tmp_path / ".tunesmith" / "toy")
    assert [json.loads(waiting.text)["cost_usd"] for waiting in inbox.pending()] == [2.0, 3.0, 0.5]
    assert charges.unbilled_usd == pytest.approx(5.5)


def test_a_run_counts_them(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    session = StudySession(project, None, by="test")
    charges = ChatCharges(session)
    charges.add(charge(0.25))
    assert command("run", cwd=project).returncode == 0
    loaded = session.loaded()
    assert loaded is not None
    record = loaded.reader.record()
    assert record is not None
    assert record.spent.llm_usd == pytest.approx(0.25)
    assert charges.unbilled_usd == 0.0
    loaded.reader.close()
