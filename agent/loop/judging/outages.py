"""Says when the judge of a run gives no answer, and keeps it in the history, where `status` reads it."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.agent.text_judge.asker import Asker
from tunesmith.history.write import Recorder
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.findings.judge_line import OUTAGE_EVENT, judge_outage

SAY_AGAIN_S = 3600.0
"""Seconds after which an outage is mentioned again once the pauses between questions no longer grow."""


class JudgeOutages:
    """The outages of one run's judge.

    Args:
        recorder: writes the history.
        now: the wall clock.
        note: shows a line to the user.
    """

    def __init__(self, recorder: Recorder, now: Callable[[], float], note: Callable[[str], None]) -> None:
        self._recorder, self._now, self._note = recorder, now, note
        self._pauses = 0
        self._since = self._said_at = self._said_pause_s = 0.0
        if judge_outage(recorder.history.events(recorder.study_id, OUTAGE_EVENT)) is not None:
            # That of an earlier run: this run has not asked yet.
            recorder.record_event(OUTAGE_EVENT, now(), detail={"reason": ""})

    def update(self, asker: Asker) -> None:
        """Take in whether the judge answers; call after each look at its answers."""
        if asker.pauses == self._pauses:
            return
        self._pauses, now = asker.pauses, self._now()
        if asker.down is None:
            self._recorder.record_event(OUTAGE_EVENT, now, detail={"reason": ""})
            self._note("the judge answers again")
            return
        pause_s, is_first = asker.pause_left_s, asker.pauses == 1
        self._since = now if is_first else self._since
        detail = {"reason": asker.down.reason, "since": self._since, "next": now + pause_s}
        self._recorder.record_event(OUTAGE_EVENT, now, detail=detail)
        if is_first or pause_s > 1.5 * self._said_pause_s or now - self._said_at >= SAY_AGAIN_S:
            self._said_at, self._said_pause_s = now, pause_s
            what = "gives no answer" if is_first else f"has given no answer for {short_seconds(now - self._since)}"
            wait = short_seconds(pause_s)
            self._note(f"the judge {what}, so trials wait for it: {asker.down.reason}; asked again in {wait}")
