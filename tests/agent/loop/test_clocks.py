"""Deadlines when the machine sleeps, its clock is set, or the run is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from fakes.projects import events, invoke, make_project
from fakes.studies import make_spec

from tunesmith.agent.loop.limits.clocks import ClockDrift, Clocks, clock_jump_text, resolve_budget
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import LoopEvent, Note, Observed
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.cli.commands import run
from tunesmith.cli.session import full_disk
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.record import Event
from tunesmith.study.errors import DiskFull


@dataclass
class SettableClocks:
    """Clocks that a test sets forward or back; otherwise they run with the real ones."""

    wall_s: float = 0.0
    steady_s: float = 0.0

    def wall(self) -> float:
        return time.time() + self.wall_s

    def steady(self) -> float:
        return time.monotonic() + self.steady_s


def test_sleep_uses_up_no_hours_but_until_follows_the_wall_clock(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3, more="--sleep 0.1")
    clock, received = SettableClocks(), list[LoopEvent]()

    def on_event(event: LoopEvent) -> None:
        received.append(event)
        if isinstance(event, Observed) and event.trial.number == 1 and not clock.wall_s:
            clock.wall_s = 5 * 3600.0

    database = project / ".tunesmith" / "history.db"
    spec = load_spec(project)
    budget = spec.budget.model_copy(update={"hours": 4.0})
    options = RunOptions(project=project, history=database, cpus=1, clocks=Clocks(clock.wall, clock.steady))
    Loop(spec.model_copy(update={"budget": budget}), options, on_event=on_event).run()
    with History.open(database) as history:
        record = history.study("toy")
        assert record.ended_by == "trials"
        assert record.spent.hours < 0.1
        assert [e.detail["jump_s"] for e in history.events(record.id, "clock")] == pytest.approx([18000.0], abs=1.0)
    assert [n.text for n in received if isinstance(n, Note)] == [clock_jump_text(18000.0)]


def test_until_is_reached_when_the_machine_slept_through_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=50, more="--sleep 0.2")
    clock = SettableClocks()

    def on_event(event: LoopEvent) -> None:
        if isinstance(event, Observed):
            clock.wall_s = 7200.0

    at = datetime.fromtimestamp(time.time() + 3600).astimezone().time().replace(microsecond=0)
    spec = load_spec(project)
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"until": at})})
    clocks = Clocks(clock.wall, clock.steady)
    options = RunOptions(project=project, history=tmp_path / "h.db", cpus=1, clocks=clocks)
    ended = Loop(spec, options, on_event=on_event).run()
    assert ended.by == "until"


def test_small_corrections_of_the_clock_are_ignored_and_setting_it_back_is_reported() -> None:
    clock = SettableClocks()
    drift = ClockDrift(Clocks(clock.wall, clock.steady))
    clock.wall_s = 2.0
    assert drift.jump_s() == 0.0
    clock.wall_s = -3600.0
    assert drift.jump_s() == pytest.approx(-3600.0, abs=0.1)
    assert drift.jump_s() == 0.0


def test_a_killed_run_keeps_its_deadline_and_an_ended_one_means_the_next_day() -> None:
    table = make_spec(budget={"until": "07:00"}).budget
    seven = table.starting_at(1_790_000_000.0).until
    assert seven is not None
    kept = [Event(at=seven - 9000, kind="deadline", detail={"until": "07:00:00", "moment": seven})]
    assert resolve_budget(table, seven + 60, deadlines=kept).until == seven
    assert resolve_budget(table, seven + 3601, deadlines=kept).until != seven
    ended = [Event(at=seven + 1, kind="ended")]
    assert resolve_budget(table, seven + 60, deadlines=kept, ends=ended).until == pytest.approx(seven + 86400, abs=3601)
    other = make_spec(budget={"until": "08:00"}).budget
    assert resolve_budget(other, seven + 60, deadlines=kept).until == pytest.approx(seven + 3600, abs=3601)


def killed_before_its_deadline(project: Path) -> datetime:
    """Leave the history of a killed run whose deadline was ten seconds ago, and return that: no run ended."""
    at = datetime.fromtimestamp(time.time() - 10).astimezone().replace(microsecond=0)
    with Recorder(project / ".tunesmith" / "history.db", load_spec(project), project=str(project), now=0.0) as recorder:
        detail = {"until": at.time().isoformat(), "moment": at.timestamp()}
        recorder.record_event("deadline", at.timestamp() - 60, detail=detail)
    return at


def test_a_run_that_starts_just_after_its_deadline_waits_for_no_room_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p", trials=5)
    at, looks = killed_before_its_deadline(project), list[float]()

    def refuse(*_: object, **__: object) -> None:
        raise DiskFull("the history cannot be written: disk is full")

    def look(folder: Path) -> bool:  # noqa: ARG001
        looks.append(time.time())
        return len(looks) > 3

    monkeypatch.setattr(run, "Loop", refuse)
    monkeypatch.setattr(full_disk, "CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(full_disk, "has_free_disk", look)
    done = invoke("run", "--until", at.strftime("%H:%M:%S"), cwd=project)
    assert done.returncode == 2
    assert "the disk is full" in done.stdout
    assert looks == []


def test_a_run_that_starts_just_after_the_deadline_of_one_that_was_killed_ends_at_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=5000, more="--sleep 0.3")
    at = killed_before_its_deadline(project)
    printed = events(invoke("run", "--json", "--until", at.strftime("%H:%M:%S"), cwd=project).stdout)
    assert printed[-1]["by"] == "until"
    assert [e for e in printed if e["event"] == "started"] == []


def test_seven_oclock_is_seven_oclock_in_the_night_of_a_change_of_time() -> None:
    # 2026-10-24 20:00 UTC is 22:00 in Berlin; the clocks go back at 03:00.
    code = """
import time; time.tzset()
from datetime import time as clock
from tunesmith.study.units import next_at
print(next_at(clock(7), 1792872000.0), next_at(clock(7), 1774728000.0))
"""
    zone = {**os.environ, "TZ": "Europe/Berlin"}
    ran = subprocess.run([sys.executable, "-c", code], env=zone, capture_output=True, text=True, check=True)
    winter, summer = map(float, ran.stdout.split())
    assert winter == 1792872000.0 + 10 * 3600  # 06:00 UTC
    assert summer == 1774728000.0 + 9 * 3600  # 2026-03-29 05:00 UTC
