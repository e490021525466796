"""A worker as a process: it is stopped between requests, and every way in which it fails to answer has a name."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tunesmith.evaluator.timing.worker.freezing import descendants
from tunesmith.evaluator.timing.worker.process import WORKER, Program, WorkerFailed, WorkerProcess, start

CODE = """
import os, signal, threading, time

number = 0

def counting():
    global number
    while True:
        number += 1
        os.lseek(file, 0, 0)
        os.write(file, str(number).encode())

file = os.open("count", os.O_CREAT | os.O_RDWR)

def begin():
    if not number:
        threading.Thread(target=counting, daemon=True).start()
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    reached = number + 10
    while number < reached:
        time.sleep(0.001)

def hang():
    signal.pause()

def leave():
    os._exit(3)

def use_all():
    return open("/proc/self/status").read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


def started(folder: Path, name: str) -> Iterator[WorkerProcess]:
    program = Program(
        argv=[sys.executable], cwd=str(folder), environment=dict(os.environ), target=f"code.py:{name}", program=[],
        arguments={},
    )  # fmt: skip
    worker = start(program, owns_orphans=False)
    try:
        worker.share(2**16)
        worker.load()
        yield worker
    finally:
        worker.end()


def call(worker: WorkerProcess, timeout_s: float = 20) -> None:
    # The input is an empty tuple: no arguments.
    worker.memory[0:8] = len(b'[["items", "tuple", []], []]').to_bytes(8, "little")
    worker.memory[8 : 8 + 28] = b'[["items", "tuple", []], []]'
    worker.ask("call", timeout_s=timeout_s, count=1, stride=4096, out=4096, room=4096)


def test_nothing_of_it_runs_between_requests(folder: Path) -> None:
    for worker in started(folder, "begin"):
        call(worker)
        assert len(descendants(worker.pid)) == 2
        before = (folder / "count").read_bytes()
        time.sleep(0.3)
        assert (folder / "count").read_bytes() == before
        call(worker)
        assert int((folder / "count").read_bytes()) > int(before or b"0")
        pids = descendants(worker.pid)
    assert not any(Path(f"/proc/{pid}/stat").exists() for pid in pids[:1])


@pytest.mark.parametrize(("name", "kind", "words"), [("hang", "late", "in time"), ("leave", "ended", "status 3")])
def test_no_answer_has_a_reason(name: str, kind: str, words: str, folder: Path) -> None:
    for worker in started(folder, name):
        with pytest.raises(WorkerFailed, match=words) as caught:
            call(worker, timeout_s=0.5)
        assert caught.value.kind == kind


def test_values_on_a_device_are_brought_there_before_the_call_and_fetched_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps for a GPU, with arrays of the host: only waiting for the device is left out."""
    monkeypatch.syspath_prepend(str(WORKER.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double.py").write_text("def double(x):\n    x[0] = 7\n    return 2 * x\n")
    module = importlib.import_module("worker")
    values = importlib.import_module("worker_values")
    waited = []
    with tempfile.TemporaryFile() as file:
        file.truncate(2**16)
        worker = module.Worker(file.fileno())
        worker._synchronize = lambda: waited.append(True)
        layout = {"count": 2, "stride": 4096, "out": 8192, "room": 4096}
        for request in ({"do": "map", "bytes": 2**16}, {"do": "load", "target": "double.py:double"}):
            worker.answer({"argv": [], "arguments": {}, **request})
        for index in range(2):
            values.encode(np.full(3, index + 1.0), worker._memory, index * 4096, 4096)
        for action in ("stage", "call_staged", "fetch"):
            worker.answer({"do": action, **layout})
        assert values.decode(worker._memory, 8192 + 4096).tolist() == [14, 4, 4]
        assert values.decode(worker._memory, 4096).tolist() == [7, 2, 2]
        assert len(waited) == 2
