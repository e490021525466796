"""Calls one function or one program when the judge of time asks for it. Runs in the project's Python, by its path.

    worker.py REQUESTS REPLIES MEMORY

The arguments are descriptors: a pipe with one request a line, a pipe for one reply each, and a file in memory, in which
inputs and results are values (worker_values.py). Measures nothing: the clock is the judge's, since code that is judged
may replace any function in this process.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import mmap
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker_device import (  # type: ignore[import-not-found]  # a module in the same folder, not in a package
    device_peaks,
    device_synchronizer,
    devices_of,
    no_device,
)
from worker_values import decode, encode  # type: ignore[import-not-found]

TRACE_CHARS = 2000


def find_function(target: str, argv: Sequence[str]) -> Callable[..., Any]:
    """Return the function `FILE.py:NAME` of the working directory, or one that runs a program on its standard input.

    Raises:
        AttributeError: the file has no such function.
        Exception: what importing the file raises.
    """
    if argv:
        return lambda *given, **named: run_program(argv, program_input(given, named))
    path, _, name = target.rpartition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_name = path.removesuffix(".py").replace("/", ".")
    parent = module_name.rpartition(".")[0]
    if parent:
        importlib.import_module(parent)
    spec = importlib.util.spec_from_file_location(module_name, os.path.join(folder, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise AttributeError(f"{path} has no function {name}")
    return found  # type: ignore[no-any-return]  # any callable


def program_input(given: Sequence[Any], named: Mapping[str, Any]) -> bytes | str:
    """Return what a program reads: the one text that the function of `inputs` returned; nothing without that function.

    Raises:
        TypeError: it returned something else.
    """
    if not given and not named:
        return b""
    if len(given) == 1 and not named and isinstance(given[0], (bytes, str)):
        return given[0]
    what = type(given[0]).__name__ if len(given) == 1 else "several values"
    raise TypeError(f"the function of `inputs` returned {what}, but a program reads one text or bytes")


def run_program(argv: Sequence[str], text: bytes | str) -> bytes:
    """Return the standard output of a program that gets `text` as its standard input.

    Raises:
        RuntimeError: it ended with another status than 0.
    """
    given = text.encode() if isinstance(text, str) else text
    done = subprocess.run(argv, input=given, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"exit status {done.returncode}{': ' if lines else ''}{''.join(lines)}")
    return done.stdout


def arguments_of(made: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a made input means: a tuple is several, a table with texts as keys is by name."""
    if type(made) is tuple:
        return made, {}
    if type(made) is dict and made and all(type(key) is str for key in made):
        return (), made
    return (made,), {}


class Worker:
    """The function that is called, and what it is called with.

    Args:
        memory: descriptor of the file in memory.
    """

    def __init__(self, memory: int) -> None:
        self._descriptor = memory
        self._memory: Any = None
        self._call: Callable[..., Any] | None = None
        self._make: Callable[..., Any] | None = None
        self._options: dict[str, Any] = {}
        self._staged: list[Any] = []
        self._results: list[Any] = []
        self._synchronize: Callable[[], object] = no_device

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a request asks for; return the reply."""
        action: Callable[[Mapping[str, Any]], dict[str, Any] | None] = getattr(self, f"_do_{request['do']}")
        return action(request) or {}

    def _do_load(self, request: Mapping[str, Any]) -> None:
        self._call = find_function(request["target"], request["argv"])
        self._options = dict(request["arguments"])

    def _do_prepare_inputs(self, request: Mapping[str, Any]) -> None:
        self._make = find_function(request["target"], ()) if request["target"] else lambda seed: ()

    def _do_map(self, request: Mapping[str, Any]) -> None:
        self._memory = mmap.mmap(self._descriptor, request["bytes"])

    def _do_size(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make one input and call the function with it; return both sizes, the device, and about how long it took."""
        assert self._make is not None and self._call is not None  # noqa: S101, PT018  # the judge's order of requests
        made = self._make(request["seed"], **request["case"])
        device = next(iter(devices_of(made) - {"cpu"}), "")
        if device:
            self._synchronize = device_synchronizer()
        size = encode(made, None, 0, 0)
        args, named = arguments_of(made)
        started = time.perf_counter()
        result = self._call(*args, **named, **self._options)
        self._synchronize()
        seconds = time.perf_counter() - started
        out = encode(result, None, 0, 0)
        return {
            "in": size,
            "out": out,
            "seconds": seconds,
            "device": device,
            "is_empty": type(result) is bytes and not result,
        }

    def _do_make(self, request: Mapping[str, Any]) -> None:
        assert self._make is not None  # noqa: S101
        for index, seed in enumerate(request["seeds"]):
            made = self._make(seed, **request["case"])
            encode(made, self._memory, index * request["stride"], request["stride"])

    def _do_call(self, request: Mapping[str, Any]) -> None:
        """Read each input, call the function, write its result: all of it is timed."""
        memory, function, options = self._memory, self._call, self._options
        assert function is not None  # noqa: S101
        stride, out, room = request["stride"], request["out"], request["room"]
        for index in range(request["count"]):
            args, named = arguments_of(decode(memory, index * stride))
            encode(function(*args, **named, **options), memory, out + index * room, room)

    def _do_stage(self, request: Mapping[str, Any]) -> None:
        """Bring inputs to the device, before the clock runs."""
        if self._synchronize is no_device:
            self._synchronize = device_synchronizer()
        self._staged = [decode(self._memory, index * request["stride"]) for index in range(request["count"])]
        self._synchronize()

    def _do_call_staged(self, request: Mapping[str, Any]) -> None:
        function, options = self._call, self._options
        assert function is not None  # noqa: S101
        calls = [arguments_of(made) for made in self._staged]
        self._results = [function(*args, **named, **options) for args, named in calls]
        self._synchronize()

    def _do_fetch(self, request: Mapping[str, Any]) -> None:
        """Bring results, and inputs as they are now, to the host."""
        for index, (made, result) in enumerate(zip(self._staged, self._results, strict=True)):
            encode(result, self._memory, request["out"] + index * request["room"], request["room"])
            encode(made, self._memory, index * request["stride"], request["stride"])
        self._staged, self._results = [], []

    def _do_device_peaks(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return dict(device_peaks())


def main() -> None:
    """Answer requests until the pipe ends."""
    # The project's own modules come first from here on, also those named like ours.
    sys.path.pop(0)
    requests, replies, memory = map(int, sys.argv[1:4])
    worker = Worker(memory)
    waiting = b""
    while True:
        while b"\n" not in waiting:
            part = os.read(requests, 65536)
            if not part:
                return
            waiting += part
        line, _, waiting = waiting.partition(b"\n")
        request = json.loads(line)
        try:
            reply = worker.answer(request)
        except BaseException as error:  # noqa: BLE001  # the code that is judged may raise anything, SystemExit included
            if isinstance(error, KeyboardInterrupt):
                raise
            text = f"{type(error).__name__}: {error}"
            reply = {"error": text[:500], "kind": type(error).__name__, "trace": traceback.format_exc()[-TRACE_CHARS:]}
        os.write(replies, json.dumps({"id": request["id"], **reply}).encode() + b"\n")


if __name__ == "__main__":
    main()
