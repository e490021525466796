"""`tunesmith watch` through Textual's own pilot, over a real history, and once in a real terminal."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from pathlib import Path

import pytest
from fakes.machine.terminal import TMUX, terminal
from fakes.projects import command, make_project, start

pytest.importorskip("textual", reason="textual is not installed")

from textual.widgets import DataTable, Static

from tunesmith.cli.watch.app import WatchApp
from tunesmith.cli.watch.snapshot import SnapshotReader


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("watch") / "p", trials=9)
    assert command("run", cwd=project).returncode == 0
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "p")


def text(app: WatchApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize(("columns", "rows"), [(60, 24), (60, 50), (120, 40)])
def test_trials_best_and_curves_are_shown_at_any_width(project: Path, columns: int, rows: int) -> None:
    async def watch() -> None:
        app = WatchApp(SnapshotReader(project, None).read, gpus=lambda: ["GPU 0: 42% busy, 10 of 80 MiB"])
        async with app.run_test(size=(columns, rows)) as pilot:
            await pilot.pause()
            await pilot.pause(0.1)
            assert app.query_one(DataTable).row_count == 9
            assert "ended: trial budget reached" in text(app, "head")
            assert "best" in text(app, "head")
            assert "best loss over trials" in text(app, "plot")
            assert "GPU 0: 42% busy" in text(app, "slots")
            await pilot.press("down", "down", "down")
            await pilot.pause(0.1)
            assert "loss of #5" in text(app, "plot")
            assert text(app, "why").startswith("#5 ")
            for widget in app.query("Static, DataTable"):
                if widget.display:
                    assert widget.region.right <= columns
            await pilot.press("escape")
            await pilot.pause(0.1)
            assert "best loss over trials" in text(app, "plot")
            await pilot.press("q")

    asyncio.run(watch())


def test_it_waits_for_a_study_follows_it_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    database = project / ".tunesmith" / "history.db"
    parked = tmp_path / "parked.db"
    database.rename(parked)

    async def watch() -> None:
        reader = SnapshotReader(project, None)
        app = WatchApp(reader.read, gpus=list)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            assert "no history at" in text(app, "head")
            assert not database.exists()
            parked.rename(database)
            before = hashlib.sha256(database.read_bytes()).hexdigest()
            app.refresh_study()
            assert app.query_one(DataTable).row_count == 9
            assert hashlib.sha256(database.read_bytes()).hexdigest() == before
            assert command("run", "--trials", "11", cwd=project).returncode == 0
            app.refresh_study()
            assert app.query_one(DataTable).row_count == 11
        reader.close()

    asyncio.run(watch())


@pytest.mark.skipif(TMUX is None, reason="tmux is not installed")
def test_a_running_study_is_watched_from_another_terminal(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=40, more="--sleep 2", parallel=2)
    process = start("run", cwd=project)
    try:
        until = time.monotonic() + 30
        while not (project / ".tunesmith" / "toy" / "trials").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        with terminal("watch", cwd=project, columns=60, rows=44) as screen:
            shown = screen.wait_for("2 running", "slot 0: #", "slot 1: #")
            assert max(len(line) for line in shown.splitlines()) <= 60
            screen.resize(120, 40)
            screen.wait_for("2 running", "note")
            screen.keys("q")
            screen.wait_for("left with 0")
    finally:
        process.kill()
        process.communicate()


def test_without_a_terminal_it_says_what_to_use(project: Path) -> None:
    done = command("watch", cwd=project)
    assert done.returncode == 2
    assert "tunesmith status" in done.stderr
