"""Samples where the main thread of a trial is, and writes at its end how long each line of the project took.

Python imports this module when it starts, since its folder is on the trial's PYTHONPATH. It needs only the standard
library, any Python from 3.8 on, and never raises: a training must not end because of its profile.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import linecache
import os
import sys
import threading
import time
from types import FrameType
from typing import Tuple  # noqa: UP035  # Python 3.8 evaluates what follows

FIRST_INTERVAL_S = 0.01
SAMPLES_PER_INTERVAL = 500
"""Number of samples after which the time between two of them doubles, so that a long run costs no more."""
MAX_INTERVAL_S = 1.0
MAX_LINES = 8

LOADERS = ("torch/utils/data/", "tensorflow/python/data/", "datasets/iterable_dataset.py", "torchvision/datasets/")
"""Parts of the paths of modules that hand out training data."""

Place = Tuple[str, int, str, bool]  # noqa: UP006
"""Path, line and function, and whether training data are handed out there."""


def main() -> None:
    """Start sampling if this is a trial, and give way to another module of this name."""
    with contextlib.suppress(Exception):
        path = os.environ.get("TUNESMITH_PROFILE")
        if path:
            start(path)
    with contextlib.suppress(Exception):
        import_other()


def start(path: str) -> None:
    """Sample in a thread until the process ends, then write to `path`."""
    seconds: dict[Place, float] = {}
    root = os.path.realpath(os.getcwd())
    atexit.register(write, path, seconds, root, os.getpid())
    arguments = (seconds, threading.main_thread().ident, root)
    threading.Thread(target=sample, args=arguments, name="tunesmith-profile", daemon=True).start()


def sample(seconds: dict[Place, float], thread: int, root: str) -> None:
    """Add to `seconds` how long the thread was at each place, without end."""
    interval, before, taken = FIRST_INTERVAL_S, time.monotonic(), 0
    while True:
        time.sleep(interval)
        # No variable keeps the frame while this thread sleeps: it would keep all local variables of the training.
        now, place = time.monotonic(), place_of(sys._current_frames().get(thread), root)
        if place is None:
            return
        seconds[place] = seconds.get(place, 0.0) + now - before
        before, taken = now, taken + 1
        if taken % SAMPLES_PER_INTERVAL == 0:
            interval = min(2.0 * interval, MAX_INTERVAL_S)


def place_of(frame: FrameType | None, root: str) -> Place | None:
    """Return the innermost line of the project on the stack; without one, the innermost line of all."""
    found, innermost, is_loading, is_importing = None, frame, False, False
    while frame is not None:
        path = os.path.join(root, frame.f_code.co_filename)
        is_loading = is_loading or any(part in path.replace("\\", "/") for part in LOADERS)
        is_importing = is_importing or "<frozen importlib" in path
        if found is None and is_own(path, root):
            found = frame
        frame = frame.f_back
    chosen = found or innermost
    if chosen is None:
        return None
    path = os.path.join(root, chosen.f_code.co_filename)
    return (path, chosen.f_lineno, chosen.f_code.co_name, is_loading and not is_importing)


def is_own(path: str, root: str) -> bool:
    """Return whether a path is a file of the project; code without a file, as of frozen modules, has a name in <>."""
    return path.startswith(root + os.sep) and "site-packages" not in path and "<" not in path


def write(path: str, seconds: dict[Place, float], root: str, process: int) -> None:
    """Append the profile of this process as one line of JSON; a process that was forked off writes none."""
    if os.getpid() != process:
        return
    with contextlib.suppress(Exception):
        known = list(seconds.items())
        lines: dict[tuple[str, int, str], float] = {}
        for (file, line, function, _), spent in known:
            lines[file, line, function] = lines.get((file, line, function), 0.0) + spent
        longest = sorted(lines.items(), key=lambda item: -item[1])[:MAX_LINES]
        profile = {
            "seconds": sum(spent for _, spent in known),
            "loading": sum(spent for place, spent in known if place[3]),
            "lines": [
                {
                    "place": f"{os.path.relpath(file, root) if is_own(file, root) else os.path.basename(file)}:{line}",
                    "function": function,
                    "code": linecache.getline(file, line).strip()[:100],
                    "seconds": spent,
                }
                for (file, line, function), spent in longest
            ],
        }
        with open(path, "a", encoding="utf-8") as file_out:
            file_out.write(json.dumps(profile) + "\n")


def import_other() -> None:
    """Import the `sitecustomize` that this one hides, as those of Linux distributions."""
    here = os.path.realpath(os.path.dirname(__file__))
    others = [folder for folder in sys.path if os.path.realpath(folder) != here]
    if not any(os.path.isfile(os.path.join(folder, "sitecustomize.py")) for folder in others):
        return
    paths, own = list(sys.path), sys.modules.pop("sitecustomize")
    sys.path[:] = others
    try:
        importlib.import_module("sitecustomize")
    finally:
        sys.path[:] = [*sys.path, *(path for path in paths if path not in sys.path)]
        sys.modules.setdefault("sitecustomize", own)


if __name__ == "sitecustomize":
    main()
