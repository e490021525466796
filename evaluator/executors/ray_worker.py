"""What runs inside a Ray cluster: the hub between loop and workers, and one trial in a folder of its own on its node.

The project comes as Ray's working_dir (code and data, once per node), the trial's orders and words go through the hub,
and its files go back through it in pieces. Needs the standard library and Ray alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import shutil
import tarfile
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.evaluator.executors.base import Cause, Exit, Launch
from tunesmith.evaluator.executors.worker import KILL, placed, work
from tunesmith.evaluator.tree_walk import Unmeasurable, remove, size_below, walk

PROJECT = "project"
"""Where the project lies in the working_dir. Not at its top: that is on every worker's import path."""
COPY_BYTES = 2**20
"""Larger files of the project are linked into a trial's folder, smaller ones copied, as in evaluator/workspace.py."""
PIECE_BYTES = 4 * 2**20
ROOM_BYTES = 64 * 2**20
"""The hub holds about so much; workers with more to say wait."""
MEASURE_S = 1.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of interest, in order."""

    lines: list[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file at an offset; the path is relative to the trial's folder."""

    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """A file of the project that the trial removed from its copy."""

    path: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker took the trial up."""


News = Lines | Piece | Gone | Begun | Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A launch as the loop's machine sees it, and what its worker needs beside the project.

    Attributes:
        links: files of the project that are too large to be sent, by their path in it: they are read where they stand.
        beside: the folders that the launch reads, as archives.
    """

    launch: Launch
    links: Mapping[str, str]
    beside: Sequence[bytes]


class Hub:
    """Holds what workers say until the loop takes it, and what the loop orders until a worker asks. A Ray actor."""

    def __init__(self) -> None:
        self._news: list[tuple[int, News]] = []
        self._bytes = 0
        self._come, self._taken = asyncio.Event(), asyncio.Event()
        self._orders: defaultdict[int, asyncio.Queue[str]] = defaultdict(asyncio.Queue)

    async def send(self, number: int, news: Sequence[News]) -> None:
        """Take in what the worker of a job says; waits while there is no room."""
        while self._bytes > ROOM_BYTES:
            await self._taken.wait()
        self._news += [(number, item) for item in news]
        self._bytes += sum(len(item.data) for item in news if isinstance(item, Piece))
        self._come.set()

    async def take(self, timeout_s: float) -> list[tuple[int, News]]:
        """Return everything said since the last call, in order; waits for something for at most `timeout_s`."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._come.wait(), timeout_s)
        found, self._news, self._bytes = self._news, [], 0
        self._come.clear()
        self._taken.set()
        self._taken = asyncio.Event()
        return found

    async def order(self, number: int, letter: str) -> None:
        """Take an order for a job; "" releases whoever waits for one."""
        await self._orders[number].put(letter)

    async def next_order(self, number: int) -> str:
        """Wait for a job's next order."""
        return await self._orders[number].get()

    async def forget(self, number: int) -> None:
        """Drop what is left of a job that is over."""
        self._orders.pop(number, None)


def run_task(hub: Any, number: int, order: Order) -> None:
    """Run a trial on this node, telling the hub; its folder here is removed at the end."""
    import ray

    place = Path(tempfile.mkdtemp(prefix="tunesmith-"))
    woken = threading.Event()
    letters: list[str] = []

    def listen() -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            while letter := ray.get(hub.next_order.remote(number)):
                letters.append(letter)
                woken.set()

    try:
        ray.get(hub.send.remote(number, [Begun()]))
        launch, shipped = lay_out(order, place, Path.cwd() / PROJECT)
        threading.Thread(target=listen, daemon=True).start()
        wire = _HubWire(hub, number, letters, launch)
        end = work(launch, wire, woken=woken)
        ray.get(hub.order.remote(number, ""))
        wire.finish(place, shipped, end)
    finally:
        remove(place)


class _HubWire:
    def __init__(self, hub: Any, number: int, letters: list[str], launch: Launch) -> None:
        self._hub, self._number, self._letters, self._launch = hub, number, letters, launch
        followed = [path for path in (launch.log, launch.report) if path is not None]
        self._folder = launch.folder or launch.cwd
        self._read = dict.fromkeys(followed, 0)
        self._next_look_at = 0.0
        self._is_over_quota = False

    def orders(self) -> str:
        taken, self._letters[:] = "".join(self._letters), []
        return taken + (KILL if self._fills_the_disk() else "")

    def send(self, lines: Sequence[str]) -> None:
        news: list[News] = [Lines(list(lines))] if lines else []
        news += [piece for path in self._read for piece in self._appended(path)]
        self._tell(news)

    def finish(self, place: Path, shipped: Mapping[str, tuple[int, int]], end: Exit) -> None:
        """Send back what the trial wrote, and last how it ended."""
        for path in changed_files(place, shipped, without=self._read):
            for piece in _pieces(path, str(path.relative_to(place)), 0):
                self._tell([piece])
        gone = [Gone(name) for name in shipped if not os.path.lexists(place / name)]
        self._tell([*gone, replace(end, cause=Cause.QUOTA) if self._is_over_quota else end])

    def _appended(self, path: Path) -> Iterator[Piece]:
        for piece in _pieces(path, str(path.relative_to(self._folder)), self._read[path]):
            self._read[path] = piece.offset + len(piece.data)
            yield piece

    def _tell(self, news: Sequence[News]) -> None:
        import ray

        if news:
            ray.get(self._hub.send.remote(self._number, news))

    def _fills_the_disk(self) -> bool:
        now = time.monotonic()
        if now >= self._next_look_at and not self._is_over_quota:
            try:
                # The log has a cap of its own.
                used = size_below(*(path for path in self._folder.iterdir() if path.is_dir()))
                self._is_over_quota = used > self._launch.file_bytes
            except Unmeasurable:
                self._is_over_quota = True
            self._next_look_at = now + max(MEASURE_S, 20 * (time.monotonic() - now))
        return self._is_over_quota


def lay_out(order: Order, place: Path, project: Path) -> tuple[Launch, dict[str, tuple[int, int]]]:
    """Make the trial's folder on this node; return the launch as it is here, and the project's files laid into it.

    Args:
        order: the launch with its paths on the loop's machine.
        place: an empty folder, which takes the place of the launch's own.
        project: the project's files on this node.
    """
    launch = order.launch
    folder = launch.folder or launch.cwd
    cwd = place / launch.cwd.relative_to(folder)
    cwd.mkdir(parents=True, exist_ok=True)
    moves = {str(folder): str(place)}
    for number, (path, archive) in enumerate(zip(launch.reads, order.beside, strict=True)):
        copy = place / ".beside" / str(number)
        unpack(archive, copy)
        moves[str(path)] = str(copy)
    (place / "artifacts").mkdir(exist_ok=True)
    if launch.report is not None:
        (place / launch.report.relative_to(folder)).touch()
    shipped = _fill(cwd, project, order.links)
    laid = {str((cwd / name).relative_to(place)): stamp for name, stamp in shipped.items()}
    return moved(launch, moves), laid


def moved(launch: Launch, moves: Mapping[str, str]) -> Launch:
    """Return a launch with other folders in the place of these, wherever it names them."""
    # A folder within another one goes first.
    olds = sorted(moves, key=len, reverse=True)
    pattern = re.compile("|".join(rf"{re.escape(old)}(?![\w.-])" for old in olds))

    def here(text: str) -> str:
        return pattern.sub(lambda match: moves[match[0]], text)

    return replace(
        launch,
        argv=[here(word) for word in launch.argv],
        cwd=Path(here(str(launch.cwd))),
        environment=placed({name: here(value) for name, value in launch.environment.items()}, os.environ),
        log=Path(here(str(launch.log))),
        folder=Path(here(str(launch.folder or launch.cwd))),
        report=None if launch.report is None else Path(here(str(launch.report))),
        reads=[Path(here(str(path))) for path in launch.reads],
    )


def changed_files(
    place: Path, shipped: Mapping[str, tuple[int, int]], *, without: Mapping[Path, int]
) -> Iterator[Path]:
    """Yield each file that the trial made or changed; links and what was handed to it to read are no such."""
    for entry in walk(place):
        path = Path(entry.path)
        name = str(path.relative_to(place))
        if path in without or name.startswith(".beside/") or not entry.is_file(follow_symlinks=False):
            continue
        if shipped.get(name) != _stamp(path):
            yield path


def pack(folder: Path) -> bytes:
    """Return a folder as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=".")
    return buffer.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Lay an archive out in a new folder."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(folder, filter="data")


def _fill(cwd: Path, project: Path, links: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Lay the project's files into a folder; return the size and time of each copy, to tell later what changed."""
    copies: dict[str, tuple[int, int]] = {}
    for entry in walk(project):
        name = os.path.relpath(entry.path, project)
        target = cwd / name
        if entry.is_dir():
            target.mkdir(exist_ok=True)
        elif entry.stat().st_size > COPY_BYTES:
            target.symlink_to(entry.path)
        else:
            shutil.copy2(entry.path, target)
            copies[name] = _stamp(target)
    for name, origin in links.items():
        (cwd / name).parent.mkdir(parents=True, exist_ok=True)
        (cwd / name).symlink_to(origin)
    return copies


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _pieces(path: Path, name: str, offset: int) -> Iterator[Piece]:
    """Yield what a file holds from an offset on; an empty file gives one empty piece when read from its beginning."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            is_first = offset == 0
            while (data := stream.read(PIECE_BYTES)) or is_first:
                yield Piece(name, offset, data)
                offset += len(data)
                is_first = False
    except OSError:
        return
