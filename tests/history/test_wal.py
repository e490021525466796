"""Damage in the write-ahead log is noticed and said; the end of a transaction that a kill interrupted is not damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.history.database.wal import lost_transactions, wal_path
from tunesmith.history.write import Recorder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history as a killed run leaves it: with a log that is not yet merged."""
    folder = tmp_path_factory.mktemp("wal")
    with Recorder(folder / "a.db", make_spec(), project="", now=1.0) as recorder:
        for n in range(5):
            recorder.record_outcome(recorder.record_proposal(proposal(0.01 * (n + 1)), 1.0), complete(0.5), 2.0)
        for suffix in ("", "-wal"):
            shutil.copyfile(folder / f"a.db{suffix}", folder / f"killed.db{suffix}")
    return folder / "killed.db"


@pytest.fixture
def history(killed: Path, tmp_path: Path) -> Path:
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{killed}{suffix}", tmp_path / f"h.db{suffix}")
    return tmp_path / "h.db"


def overwrite(log: Path, at: int, data: bytes) -> None:
    with log.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


DAMAGE: dict[str, Callable[[Path, int], None]] = {
    "a bit of a page": lambda log, size: overwrite(log, size // 2, b"\x5a\xa5"),
    "a block of zeros": lambda log, size: overwrite(log, size // 2, bytes(4096)),
    "the first page": lambda log, size: overwrite(log, 32 + 24 + 100, b"\xff\xfe\xfd"),  # noqa: ARG005
    "the salts of a page": lambda log, size: overwrite(log, 32 + 3 * 4120 + 8, b"12345678"),  # noqa: ARG005
    "the checksum of a page": lambda log, size: overwrite(log, 32 + 2 * 4120 + 16, b"12345678"),  # noqa: ARG005
    "the header": lambda log, size: overwrite(log, 0, bytes(32)),  # noqa: ARG005
    "the header's checksum": lambda log, size: overwrite(log, 24, b"12345678"),  # noqa: ARG005
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_said_with_what_was_lost_and_the_study_goes_on(history: Path, kind: str) -> None:
    DAMAGE[kind](wal_path(history), wal_path(history).stat().st_size)
    lost = lost_transactions(history)
    assert lost > 0
    with Recorder(history, make_spec(), project="", now=3.0) as recorder:
        assert f"the last {lost} changes" in recorder.damage or lost == 1
        assert "run again" in recorder.damage
        assert len(recorder.history.trials(recorder.study_id)) < 5 or kind.startswith("a ")
        recorder.record_outcome(recorder.record_proposal(proposal(0.5), 4.0), complete(0.4), 5.0)
    assert history.with_name("h.db-wal.damaged").stat().st_size > 0
    with Recorder(history, make_spec(), project="", now=3.0) as again:
        assert again.damage == ""


def test_a_sound_log_and_none_are_no_damage(history: Path, tmp_path: Path) -> None:
    assert lost_transactions(history) == 0
    assert lost_transactions(tmp_path / "none.db") == 0
    with Recorder(history, make_spec(), project="", now=3.0) as recorder:
        assert recorder.damage == ""
        assert len(recorder.history.trials(recorder.study_id)) == 5


@pytest.mark.parametrize("cut", [1, 100, 4096, 4119])
def test_a_last_page_that_a_kill_cut_off_is_no_damage(history: Path, cut: int) -> None:
    with wal_path(history).open("r+b") as log:
        log.truncate(wal_path(history).stat().st_size - cut)
    assert lost_transactions(history) == 0


def test_frames_of_an_earlier_generation_are_no_damage(history: Path) -> None:
    with wal_path(history).open("ab") as log:
        log.write(b"\0\0\0\1\0\0\0\1" + b"oldsalts" + b"checksum" + bytes(4096))
    assert lost_transactions(history) == 0


@pytest.mark.parametrize("content", [b"", b"x", bytes(32), bytes(100_000), b"\x37\x7f\x06\x82" * 9000])
def test_any_content_of_a_log_is_read(history: Path, content: bytes) -> None:
    wal_path(history).write_bytes(content)
    assert lost_transactions(history) >= 0
