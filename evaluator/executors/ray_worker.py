"""Runs inside a Ray cluster: the hub between loop and workers, and one trial in a folder on its node.

The project arrives as Ray's working_dir (code and data, once per node). Requests and messages go through the hub, and
the trial's files go back through it in chunks. Needs only the standard library and Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec
from tunesmith.evaluator.executors.ray_files import (
    INPUTS,
    PROJECT,
    FileChunk,
    FileStamp,
    copy_project,
    files_to_send,
    read_chunks,
    unpack_folder,
)
from tunesmith.evaluator.executors.remote_job import KILL
from tunesmith.evaluator.executors.worker import run_on_worker, with_local_placement
from tunesmith.evaluator.files.tree_walk import Unmeasurable, remove, size_below
from tunesmith.evaluator.output.output_line import OutputLine

HUB_BYTES = 64 * 2**20
"""Approximate size of the messages that the hub holds; beyond it, workers wait before they send more."""
QUOTA_CHECK_S = 1.0
"""Shortest interval at which the size of the trial's folder is checked."""


@dataclass(frozen=True, slots=True)
class OutputLines:
    """Lines of standard output that were asked for, in order."""

    lines: list[OutputLine]


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file of the project that the trial removed from its copy."""

    path: str


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A worker has started the trial."""


WorkerMessage = OutputLines | FileChunk | RemovedFile | TaskStarted | CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInput:
    """A command as the loop's machine sees it, and what its worker needs besides the project.

    Attributes:
        links: files of the project that are too large to send, read where they are: real path by path in the project.
        archives: the folders in `spec.reads`, packed, in the same order.
    """

    spec: CommandSpec
    links: Mapping[str, str]
    archives: Sequence[bytes]


class Hub:
    """Holds the workers' messages until the loop takes them, and the loop's requests until a worker asks. An actor."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, WorkerMessage]] = []
        self._bytes = 0
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._requests: defaultdict[int, asyncio.Queue[str]] = defaultdict(asyncio.Queue)

    async def send(self, number: int, messages: Sequence[WorkerMessage]) -> None:
        """Accept messages of a job's worker; waits while the hub is full."""
        while self._bytes > HUB_BYTES:
            await self._taken.wait()
        self._messages += [(number, message) for message in messages]
        self._bytes += sum(len(message.data) for message in messages if isinstance(message, FileChunk))
        self._arrived.set()

    async def take(self, timeout_s: float) -> list[tuple[int, WorkerMessage]]:
        """Return all messages since the last call, in order; waits at most `timeout_s` for the first."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), timeout_s)
        messages, self._messages, self._bytes = self._messages, [], 0
        self._arrived.clear()
        self._taken.set()
        self._taken = asyncio.Event()
        return messages

    async def request(self, number: int, letter: str) -> None:
        """Accept a request for a job; "" releases a worker that waits for one."""
        await self._requests[number].put(letter)

    async def next_request(self, number: int) -> str:
        """Wait for a job's next request."""
        return await self._requests[number].get()

    async def forget(self, number: int) -> None:
        """Drop what is left of a job that has ended."""
        self._requests.pop(number, None)


def run_task(hub: Any, number: int, task: TaskInput) -> None:
    """Run a trial on this node and send what it does to the hub; its folder here is removed at the end."""
    import ray

    folder = Path(tempfile.mkdtemp(prefix="tunesmith-"))
    wake = threading.Event()
    letters: list[str] = []

    def listen() -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            while letter := ray.get(hub.next_request.remote(number)):
                letters.append(letter)
                wake.set()

    try:
        ray.get(hub.send.remote(number, [TaskStarted()]))
        spec, copies = prepare_folder(task, folder, Path.cwd() / PROJECT)
        threading.Thread(target=listen, daemon=True).start()
        channel = _HubChannel(hub, number, letters, spec)
        result = run_on_worker(spec, channel, wake=wake)
        ray.get(hub.request.remote(number, ""))
        channel.finish(folder, copies, result)
    finally:
        remove(folder)


class _HubChannel:
    """The worker's end of the hub."""

    def __init__(self, hub: Any, number: int, letters: list[str], spec: CommandSpec) -> None:
        self._hub, self._number, self._letters, self._spec = hub, number, letters, spec
        followed = [path for path in (spec.log, spec.report) if path is not None]
        self._folder = spec.folder or spec.cwd
        self._offsets = dict.fromkeys(followed, 0)
        self._next_check_at = 0.0
        self._is_over_quota = False

    def new_requests(self) -> str:
        letters, self._letters[:] = "".join(self._letters), []
        return letters + (KILL if self._exceeds_quota() else "")

    def send(self, lines: Sequence[OutputLine]) -> None:
        messages: list[WorkerMessage] = [OutputLines(list(lines))] if lines else []
        messages += [chunk for path in self._offsets for chunk in self._appended(path)]
        self._send(messages)

    def finish(self, folder: Path, copies: Mapping[str, FileStamp], result: CommandResult) -> None:
        """Send the files that the trial wrote, and the result last."""
        for path in files_to_send(folder, copies, skip=self._offsets):
            for chunk in read_chunks(path, str(path.relative_to(folder)), 0):
                self._send([chunk])
        removed = [RemovedFile(name) for name in copies if not os.path.lexists(folder / name)]
        self._send([*removed, replace(result, cause=Cause.QUOTA) if self._is_over_quota else result])

    def _appended(self, path: Path) -> Iterator[FileChunk]:
        for chunk in read_chunks(path, str(path.relative_to(self._folder)), self._offsets[path]):
            self._offsets[path] = chunk.offset + len(chunk.data)
            yield chunk

    def _send(self, messages: Sequence[WorkerMessage]) -> None:
        import ray

        if messages:
            ray.get(self._hub.send.remote(self._number, messages))

    def _exceeds_quota(self) -> bool:
        now = time.monotonic()
        if now >= self._next_check_at and not self._is_over_quota:
            try:
                # The log has its own limit.
                used = size_below(*(path for path in self._folder.iterdir() if path.is_dir()))
                self._is_over_quota = used > self._spec.file_bytes
            except Unmeasurable:
                self._is_over_quota = True
            self._next_check_at = now + max(QUOTA_CHECK_S, 20 * (time.monotonic() - now))
        return self._is_over_quota


def prepare_folder(task: TaskInput, folder: Path, project: Path) -> tuple[CommandSpec, dict[str, FileStamp]]:
    """Fill the trial's folder on this node; return the command as it runs here, and the stamps of the copied files.

    Args:
        task: the command, with its paths on the loop's machine.
        folder: an empty folder that replaces the command's own.
        project: the project's files on this node.
    """
    spec = task.spec
    original = spec.folder or spec.cwd
    cwd = folder / spec.cwd.relative_to(original)
    cwd.mkdir(parents=True, exist_ok=True)
    moves = {str(original): str(folder)}
    for number, (path, archive) in enumerate(zip(spec.reads, task.archives, strict=True)):
        copy = folder / INPUTS / str(number)
        unpack_folder(archive, copy)
        moves[str(path)] = str(copy)
    (folder / "artifacts").mkdir(exist_ok=True)
    if spec.report is not None:
        (folder / spec.report.relative_to(original)).touch()
    copied = copy_project(project, cwd, task.links)
    copies = {str((cwd / name).relative_to(folder)): stamp for name, stamp in copied.items()}
    return with_moved_folders(spec, moves), copies


def with_moved_folders(spec: CommandSpec, moves: Mapping[str, str]) -> CommandSpec:
    """Return a command with every mention of a folder replaced by its new path.

    Args:
        spec: the command.
        moves: new path by old path.
    """
    # A folder within another one comes first.
    olds = sorted(moves, key=len, reverse=True)
    pattern = re.compile("|".join(rf"{re.escape(old)}(?![\w.-])" for old in olds))

    def moved(text: str) -> str:
        return pattern.sub(lambda match: moves[match[0]], text)

    def moved_path(path: Path) -> Path:
        return Path(moved(str(path)))

    return replace(
        spec,
        argv=[moved(word) for word in spec.argv],
        cwd=moved_path(spec.cwd),
        environment=with_local_placement({name: moved(text) for name, text in spec.environment.items()}, os.environ),
        log=moved_path(spec.log),
        folder=moved_path(spec.folder or spec.cwd),
        report=None if spec.report is None else moved_path(spec.report),
        reads=[moved_path(path) for path in spec.reads],
    )
