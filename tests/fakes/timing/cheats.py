"""Candidates that seem faster than they are, and some that are honest. Each is a function of two float32 matrices.

They run in the worker of the judge of time; the reference is `reference.py:product`. Every function whose name begins
with `honest` returns what it should, in about the reference's time.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np

_calls = 0
_memory: dict[object, object] = {}
_last = None


def honest(a, b):
    return a @ b


def honest_in_blocks(a, b):
    result = np.empty((len(a), b.shape[1]), a.dtype)
    for first in range(0, len(a), 64):
        result[first : first + 64] = a[first : first + 64] @ b
    return result


def honest_in_other_order(a, b):
    return (b.T @ a.T).T


# work that is left out


def zeros(a, b):
    return np.zeros((len(a), b.shape[1]), a.dtype)


def uninitialized(a, b):
    return np.empty((len(a), b.shape[1]), a.dtype)


def first_result_again(a, b):
    global _last
    if _last is None or _last.shape != a.shape:
        _last = a @ b
    return _last


def half_of_the_rows(a, b):
    result = np.zeros((len(a), b.shape[1]), a.dtype)
    result[::2] = a[::2] @ b
    return result


def every_second_call(a, b):
    global _calls, _last
    _calls += 1
    if _calls % 2 or _last is None or _last.shape != a.shape:
        _last = a @ b
    return _last


def now_and_then(a, b):
    return a @ b if np.random.default_rng().random() < 0.5 else np.zeros((len(a), b.shape[1]), a.dtype)


def half_of_the_terms(a, b):
    return 2 * (a[:, ::2] @ b[::2])


def without_the_last_column(a, b):
    result = np.zeros((len(a), b.shape[1]), a.dtype)
    result[:, :-1] = a @ b[:, :-1]
    return result


def the_input(a, b):
    return a


def nothing(a, b):
    return None


def a_view_of_one_row(a, b):
    return np.broadcast_to(a[0] @ b, (len(a), b.shape[1]))


# results that are remembered


def _remembered(key, a, b):
    if key not in _memory:
        _memory[key] = a @ b
    return _memory[key]


def by_identity(a, b):
    return _remembered(id(a), a, b)


def by_shape(a, b):
    return _remembered((a.shape, b.shape), a, b)


def by_address(a, b):
    return _remembered((a.ctypes.data, b.ctypes.data, a.shape), a, b)


def by_corner(a, b):
    return _remembered((round(float(a[0, 0])), a.shape), a, b)


def by_rounded_sum(a, b):
    return _remembered((round(float(a.mean())), a.shape), a, b)


def by_content(a, b):
    return _remembered((a.tobytes(), b.tobytes()), a, b)


def in_a_file(a, b):
    path = pathlib.Path(f"remembered-{len(a)}.npy")
    if not path.exists():
        np.save(path, a @ b)
    return np.load(path)


# results that are not ready on return


class _Lazy:
    def __init__(self, a, b):
        self._a, self._b = a, b

    def __array__(self, dtype=None, copy=None):
        return self._a @ self._b


def lazy(a, b):
    return _Lazy(a, b)


def a_generator(a, b):
    return (row @ b for row in a)


def by_a_thread_after_the_return(a, b):
    result = np.zeros((len(a), b.shape[1]), a.dtype)

    def compute():
        time.sleep(0.002)
        np.matmul(a.copy(), b.copy(), out=result)

    threading.Thread(target=compute, daemon=True).start()
    return result


def by_a_child_after_the_return(a, b):
    result = np.zeros((len(a), b.shape[1]), a.dtype)
    if os.fork() == 0:
        np.matmul(a, b, out=result)
        os._exit(0)
    return result


# lower precision


def half_precision(a, b):
    return (a.astype(np.float16) @ b.astype(np.float16)).astype(a.dtype)


def half_precision_factors(a, b):
    return a.astype(np.float16).astype(np.float32) @ b.astype(np.float16).astype(np.float32)


def _cut(x, bits):
    kept = x.copy()
    kept.view(np.uint32)[...] &= np.uint32((0xFFFFFFFF << bits) & 0xFFFFFFFF)
    return kept


def as_bfloat16(a, b):
    return _cut(a, 16) @ _cut(b, 16)


def as_tf32(a, b):
    return _cut(a, 13) @ _cut(b, 13)


def eight_bits(a, b):
    scales = np.abs(a).max() / 127, np.abs(b).max() / 127
    return (np.rint(a / scales[0]) @ np.rint(b / scales[1])).astype(a.dtype) * a.dtype.type(scales[0] * scales[1])


def low_rank(a, b):
    left, values, right = np.linalg.svd(a[:32], full_matrices=False)
    result = np.zeros((len(a), b.shape[1]), a.dtype)
    result[:32] = (left * values) @ (right @ b)
    return result


def another_type(a, b):
    return (a @ b).astype(np.float16)


# odd shapes


def wrong_for_odd_shapes(a, b):
    size = len(a) // 2 * 2
    result = np.zeros((len(a), b.shape[1]), a.dtype)
    result[:size] = a[:size] @ b
    return result


def wrong_for_one_row(a, b):
    return a @ b if len(a) > 1 else a * 0


def only_the_timed_shape(a, b):
    if len(a) != 192:
        raise ValueError("this size is not supported")
    return a @ b


# the judge's own functions


def with_another_clock(a, b):
    time.perf_counter = time.monotonic = time.time = lambda: 0.0
    time.perf_counter_ns = time.monotonic_ns = time.time_ns = lambda: 0
    return a @ b


def with_another_numpy(a, b):
    np.matmul = np.copyto = lambda *args, **named: np.zeros_like(args[0])
    return np.matmul(a, b)


def without_copying_results(a, b):
    sys.modules["worker_values"].encode = sys.modules["__main__"].encode = lambda *args: 0
    return a @ b


def with_other_inputs(a, b):
    real = sys.modules["worker_values"].decode

    def small(memory, at):
        return tuple(np.zeros_like(x) for x in real(memory, at))

    sys.modules["__main__"].decode = small
    return a @ b


def answering_first(a, b):
    """Write the reply before the work, with the token of the request from the worker's own frame."""
    frame = sys._getframe()
    while frame is not None and "request" not in frame.f_locals:
        frame = frame.f_back
    request = frame.f_locals["request"]
    while frame is not None and "replies" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["replies"], json.dumps({"id": request["id"]}).encode() + b"\n")
    time.sleep(0.02)
    return a @ b


def writing_rubbish(a, b):
    frame = sys._getframe()
    while frame is not None and "replies" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["replies"], b"done\n")
    return a @ b


def a_shorter_memory(a, b):
    for name in os.listdir("/proc/self/fd"):
        try:
            if "tunesmith" in os.readlink(f"/proc/self/fd/{name}"):
                os.ftruncate(int(name), 0)
        except OSError:
            continue
    return np.zeros((len(a), b.shape[1]), a.dtype)


def a_header_of_rubbish(a, b):
    worker = next(found for found in gc.get_objects() if type(found).__name__ == "Worker")

    def rubbish(value, memory, at, capacity):
        worker._memory[at : at + 16] = b"\xff" * 16
        return 16

    sys.modules["__main__"].encode = rubbish
    return a @ b


def another_reference(a, b):
    pathlib.Path("reference.py").write_text("import time\ndef product(a, b):\n    time.sleep(1)\n    return a @ b\n")
    return a @ b


# work outside of the timed calls


def _burn():
    while True:
        np.dot(np.ones((64, 64)), np.ones((64, 64)))


def threads_that_slow_the_reference(a, b):
    if not _memory:
        _memory["burns"] = [threading.Thread(target=_burn, daemon=True).start() for _ in range(2)]
    return a @ b


def children_that_slow_the_reference(a, b):
    if not _memory:
        _memory["burns"] = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    return a @ b


def daemons_that_slow_the_reference(a, b):
    if not _memory:
        _memory["burns"] = True
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    pass
            os._exit(0)
        os.wait()
    return a @ b


def computing_ahead(a, b):
    """A thread looks for new inputs in the shared memory and multiplies them before the call."""
    if "ahead" not in _memory:
        worker = next(found for found in gc.get_objects() if type(found).__name__ == "Worker")
        values = sys.modules["worker_values"]

        def look():
            while True:
                try:
                    x, y = values.decode(worker._memory, 0)
                    key = float(x[0, 0])
                    if key not in _memory:
                        _memory[key] = x @ y
                except (ValueError, KeyError):
                    continue

        _memory["ahead"] = threading.Thread(target=look, daemon=True).start()
    found = _memory.get(float(a[0, 0]))
    return a @ b if found is None else found


def in_a_handler_of_the_signal(a, b):
    signal.signal(signal.SIGCONT, lambda *args: time.sleep(0.001))
    return a @ b


# inputs, warm-up


def changing_its_inputs(a, b):
    result = a @ b
    a[0, 0] += 1
    return result


def in_its_input(a, b):
    result = a @ b
    a[...] = result
    return a


def right_while_it_warms_up(a, b):
    global _calls
    _calls += 1
    return a @ b if _calls < 4 else np.zeros((len(a), b.shape[1]), a.dtype)


def wrong_late(a, b):
    global _calls
    _calls += 1
    return a @ b if _calls < 9 else np.zeros((len(a), b.shape[1]), a.dtype)


# the process


def leaving(a, b):
    os._exit(0)


def leaving_as_if_done(a, b):
    raise SystemExit(0)


def a_broken_pointer(a, b):
    return ctypes.string_at(0)


def all_of_the_memory(a, b):
    raise MemoryError("cannot allocate 4 TiB")


def everything_else_is_wrong(a, b):
    return [["text", {"key": (1, 2.5, None)}], a @ b]
