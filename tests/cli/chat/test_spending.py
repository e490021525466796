"""What a chat may spend: the dollars of [budget] bound planner and chat together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.projects import make_project

from tunesmith.cli.chat.spending import limit_text, total_usd
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.config.budget import PurposeUsage, Spent


def spent(*, planner: float, chat: float) -> Spent:
    purposes = (
        PurposeUsage(purpose="propose", calls=1, tokens=10, usd=planner),
        PurposeUsage(purpose="chat", calls=1, tokens=10, usd=chat),
    )
    return Spent(llm_usd=planner + chat, llm_purposes=purposes)


@pytest.mark.parametrize(
    ("known", "chat_usd", "total"),
    [
        (Spent(), 0.0, 0.0),
        (Spent(), 0.5, 0.5),
        (Spent(llm_usd=1.0), 0.5, 1.5),
        (spent(planner=1.0, chat=0.5), 0.5, 1.5),
        (spent(planner=1.0, chat=0.2), 0.5, 1.5),
        (spent(planner=1.0, chat=0.9), 0.5, 1.9),
    ],
)
def test_calls_of_the_chat_count_once_whether_they_are_charged_yet_or_not(
    known: Spent, chat_usd: float, total: float
) -> None:
    assert total_usd(known, chat_usd) == pytest.approx(total)


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


def test_at_the_limit_no_model_is_asked_and_the_reason_says_what_to_do(session: StudySession) -> None:
    assert limit_text(session, 2.99) == ""
    text = limit_text(session, 3.01)
    assert text.startswith("$3.01 of $3 are used, which bound planner and chat together")
    assert "`/budget llm_usd 6`" in text


def test_without_a_limit_or_a_study_nothing_is_refused(tmp_path: Path) -> None:
    assert limit_text(StudySession(tmp_path, None, by="test"), 100.0) == ""
    assert limit_text(StudySession(make_project(tmp_path / "p"), None, by="test"), 100.0) == ""
