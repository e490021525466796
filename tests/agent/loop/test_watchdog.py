"""A turn of the loop that takes too long is written down, with where the loop was; the others leave nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fakes.trials import wait_until

from tunesmith.agent.loop.limits.watchdog import THREAD_SLICE_S, Watchdog, short_thread_slices


def busy_reading(watchdog: Watchdog, wanted: int) -> None:
    watchdog.beat()
    wait_until(lambda: watchdog.entries >= wanted)


def test_a_long_turn_is_written_down_once_with_where_it_was(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path / "slow", longest_turn_s=0.05)
    watchdog.start()
    busy_reading(watchdog, 1)
    busy_reading(watchdog, 2)
    watchdog.close()
    watchdog.join()
    text = (tmp_path / "slow").read_text(encoding="utf-8")
    assert text.count("a turn of the main loop has taken") == 2
    assert "in busy_reading" in text


def test_threads_take_turns_more_often_while_a_loop_runs() -> None:
    before = sys.getswitchinterval()
    with short_thread_slices():
        assert sys.getswitchinterval() == pytest.approx(THREAD_SLICE_S)
    assert sys.getswitchinterval() == before


def test_short_turns_leave_no_file(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path / "slow", longest_turn_s=60.0)
    watchdog.start()
    for _ in range(1000):
        watchdog.beat()
    watchdog.close()
    watchdog.join()
    assert not (tmp_path / "slow").exists()


def test_a_folder_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path / "gone" / "slow", longest_turn_s=0.02)
    watchdog.start()
    busy_reading(watchdog, 1)
    watchdog.close()
    watchdog.join()
