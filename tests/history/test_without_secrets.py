"""Trials are recorded and returned without secrets, so that what is shown reads as what is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import make_spec, proposal

from tunesmith.agent.loop.notices.announcer import Announcer
from tunesmith.agent.loop.notices.events import LoopEvent, Note
from tunesmith.agent.loop.notices.notifications import Notifier
from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, TrialState, Usage

KEY = "sk-proj-abcDEF0123456789abcdef"


@pytest.mark.parametrize("key", [KEY, "hf_abcdefghijklmnopqrstuvwxyz", "value-of-a-variable-9"])
def test_a_key_as_metric_reason_log_or_note_is_neither_stored_nor_returned(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "value-of-a-variable-9")
    with Recorder(tmp_path / "h.db", make_spec(), project="", now=0.0) as recorder:
        proposed = replace(proposal(0.1), rationale=f"because of {key}", fallback_reason=f"401: {key}")
        trial = recorder.record_proposal(proposed, 0.0)
        trial = recorder.record_start(trial, 0, 0.0)
        reported = Observation(metric=key, step=1, value=2.0, at=0.0)
        recorder.record_observations([ObservationBatch(trial=trial, observations=[reported])])
        failure = Failure(kind=FailureKind.CRASH, reason=f"bad key {key}", tail=f"log of {key}")
        outcome = Outcome(state=TrialState.FAILED, values={key: 2.0}, failure=failure, note=f"odd {key}", usage=Usage())
        ended = recorder.record_outcome(trial, outcome, 1.0, rest=[reported])
        assert key not in repr(ended)
        assert "[redacted]" in repr(ended)
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_note_is_shown_without_keys() -> None:
    shown: list[LoopEvent] = []
    announcer = Announcer(shown.append, Notifier(make_spec(), project=Path()))
    announcer.note(f"no edit of the code: 401 bad key {KEY}")
    assert shown == [Note(text="no edit of the code: 401 bad key [redacted]")]
