"""Failures out of real log tails: for each exit status, cause and text, the kind and the reason that a user reads."""

from __future__ import annotations

import math

import pytest

from tunesmith.evaluator.executors.base import Cause, CommandResult
from tunesmith.evaluator.failures import TAIL_CHARS, command_failure, metric_failure, traceback_note
from tunesmith.evaluator.out_of_memory import find_out_of_memory
from tunesmith.study.trials.trial import FailureKind

TORCH_OOM = """\
Epoch 3:  12%|#2        | 31/250 [00:11<01:21,  2.70it/s, loss=2.31]
Traceback (most recent call last):
  File "/home/me/train.py", line 88, in <module>
    loss.backward()
  File "/envs/t/lib/python3.12/site-packages/torch/_tensor.py", line 581, in backward
    torch.autograd.backward(
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of \
which 1.12 GiB is free.
[rank0]:[W1128 02:11:09] Warning: destroy_process_group() was not called
"""
OLD_TORCH_OOM = "RuntimeError: CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported\n"
GCC = "kernel.c: In function 'f':\nkernel.c:3:5: error: expected ';' before '}' token\n    3 | x\n      |  ^"
CUBLAS = "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
JAX_OOM = "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17 GB."
TF_OOM = "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[64,512]"
NUMPY_OOM = """\
  File "train.py", line 4, in <module>
    x = np.zeros((200000, 200000))
numpy._core._exceptions._ArrayMemoryError: Unable to allocate 298. GiB for an array with shape (200000, 200000)
"""
CPU_ALLOCATOR = "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
CPP_OOM = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"
FORK_OOM = "OSError: [Errno 12] Cannot allocate memory"
MPS_OOM = "RuntimeError: MPS backend out of memory (MPS allocated: 17.00 GB, max allowed: 18.13 GB)."
DISK_FULL = """\
  File "/envs/t/lib/python3.12/site-packages/torch/serialization.py", line 852, in save
OSError: [Errno 28] No space left on device: 'checkpoint.pt'
"""
USER_QUOTA = "OSError: [Errno 122] Disk quota exceeded"
NO_MODULE = """\
Traceback (most recent call last):
  File "/home/me/train.py", line 1, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
"""
SHAPES = """\
  File "/home/me/model.py", line 12, in forward
    return x @ self.w
RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 512x10)
"""
ARGPARSE = """\
usage: train.py [-h] [--lr LR]
train.py: error: unrecognized arguments: --momentum 0.9
"""
DATALOADER = "RuntimeError: DataLoader worker (pid 4711) is killed by signal: Killed. "
RICH = "\x1b[31m╭─ Traceback ─╮\x1b[0m\n\x1b[1;31mValueError: \x1b[0mbad \x1b]8;;file://x\x1b\\shape\x1b]8;;\x1b\\\n"
BAR = "  0%|          | 0/10\r 50%|#####     | 5/10\r100%|##########| 10/10\rAssertionError: loss went up\r"
MENTIONS_MEMORY = "memory: 12 GiB\nValueError: out of memory budget for the plan\n"


@pytest.mark.parametrize(
    ("status", "tail", "kind", "reason"),
    [
        (1, TORCH_OOM, "oom", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
        (1, OLD_TORCH_OOM, "oom", "RuntimeError: CUDA error: out of memory"),
        (1, CUBLAS, "oom", "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        (1, JAX_OOM, "oom", "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED"),
        (1, TF_OOM, "oom", "tensorflow.python.framework.errors_impl.ResourceExhaustedError"),
        (1, NUMPY_OOM, "oom", "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 298. GiB"),
        (1, "MemoryError", "oom", "MemoryError"),
        (1, CPU_ALLOCATOR, "oom", "RuntimeError: [enforce fail"),
        (-6, CPP_OOM, "oom", "terminate called after throwing an instance of 'std::bad_alloc'"),
        (1, FORK_OOM, "oom", "OSError: [Errno 12] Cannot allocate memory"),
        (1, MPS_OOM, "oom", "RuntimeError: MPS backend out of memory"),
        (-9, "", "oom", "was killed from outside (SIGKILL), as the system does when memory runs out"),
        (137, "Killed", "oom", "was killed from outside (SIGKILL), as the system does when memory runs out"),
        (1, DISK_FULL, "killed", "filled its disk quota of 2,048 MiB ([run].disk), or the disk"),
        (1, USER_QUOTA, "killed", "filled its disk quota of 2,048 MiB ([run].disk), or the disk"),
        (-25, "", "killed", "filled its disk quota of 2,048 MiB ([run].disk), or the disk"),
        (153, "", "killed", "filled its disk quota of 2,048 MiB ([run].disk), or the disk"),
        (-15, "epoch 3", "killed", "was ended by signal SIGTERM"),
        (-2, "KeyboardInterrupt", "killed", "was ended by signal SIGINT"),
        (-1, "", "killed", "was ended by signal SIGHUP"),
        (-11, "Fatal Python error: Segmentation fault", "crash", "was ended by signal SIGSEGV"),
        (-99, "", "crash", "was ended by signal 99"),
        (1, NO_MODULE, "crash", "ModuleNotFoundError: No module named 'torch' (run by /usr/bin/python3; activate the"),
        (1, SHAPES, "crash", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 512x10)"),
        (2, ARGPARSE, "crash", "train.py: error: unrecognized arguments: --momentum 0.9"),
        (1, GCC, "crash", "kernel.c:3:5: error: expected ';' before '}' token"),
        (
            1,
            "cc1: fatal error: x.c: No such file\ncompilation terminated.",
            "crash",
            "cc1: fatal error: x.c: No such file",
        ),
        (
            1,
            'kernel.cu(12): error: "x" is undefined\n\n1 error detected.',
            "crash",
            'kernel.cu(12): error: "x" is undefined',
        ),
        (1, DATALOADER, "oom", "RuntimeError: DataLoader worker (pid 4711) is killed by signal: Killed."),
        (1, RICH, "crash", "ValueError: bad shape"),
        (1, BAR, "crash", "AssertionError: loss went up"),
        (1, MENTIONS_MEMORY, "crash", "ValueError: out of memory budget for the plan"),
        (1, "x" * 10_000, "crash", "x" * 300),
        (5, "\n \n", "crash", "exit status 5, with no output"),
    ],
)
def test_status_and_log_tail_decide_the_kind(status: int, tail: str, kind: str, reason: str) -> None:
    result = CommandResult(status=status, tail=tail)
    failure = command_failure(result, timeout_s=60, disk_bytes=2**31, program="/usr/bin/python3")
    assert failure is not None
    assert failure.kind.value == kind
    assert failure.reason.startswith(reason)
    assert len(failure.reason) <= 500
    assert len(failure.tail) <= TAIL_CHARS
    assert "\x1b" not in failure.reason + failure.tail


@pytest.mark.parametrize(
    ("cause", "kind", "reason"),
    [
        (Cause.TIMEOUT, "timeout", "ran longer than 1 min 0 s ([run].timeout)"),
        (Cause.MEMORY, "oom", "used more memory than [run].memory allows"),
        (Cause.PROCESSES, "killed", "started more processes and threads than [run].processes allows"),
        (Cause.DISK, "killed", "filled its disk quota ([run].disk) with files that it had deleted"),
        (Cause.QUOTA, "killed", "filled its disk quota ([run].disk)"),
        (Cause.CANCELLED, "killed", "was removed from the cluster by somebody else"),
        (Cause.LOST, "lost", "its machine was lost"),
    ],
)
@pytest.mark.parametrize("tail", ["", TORCH_OOM])
def test_the_cause_counts_more_than_the_log(cause: Cause, kind: str, reason: str, tail: str) -> None:
    failure = command_failure(CommandResult(status=-9, cause=cause, tail=tail), timeout_s=60)
    assert failure is not None
    assert (failure.kind.value, failure.reason) == (kind, reason)


def test_a_timeout_of_the_cluster_names_the_jobs_own_limit() -> None:
    failure = command_failure(CommandResult(status=-9, cause=Cause.TIMEOUT), timeout_s=None)
    assert failure is not None
    assert failure.reason == "ran longer than its job may ([executor].time)"


@pytest.mark.parametrize("cause", [Cause.KILL, Cause.EXIT])
def test_a_trial_that_was_killed_has_the_reason_it_was_killed_for(cause: Cause) -> None:
    result = CommandResult(status=-9, cause=cause, tail=TORCH_OOM)
    failure = command_failure(result, timeout_s=60, killed_for="vetoed")
    assert failure is not None
    assert (failure.kind, failure.reason) == (FailureKind.KILLED, "vetoed")


def test_a_command_that_could_not_start_has_the_reason_of_its_executor() -> None:
    failure = command_failure(CommandResult(status=None, error="x was not found on PATH"), timeout_s=60)
    assert failure is not None
    assert (failure.kind, failure.reason) == (FailureKind.CRASH, "x was not found on PATH")


@pytest.mark.parametrize("tail", ["", TORCH_OOM, DISK_FULL])
def test_exit_status_0_is_no_failure_whatever_was_printed(tail: str) -> None:
    assert command_failure(CommandResult(status=0, tail=tail), timeout_s=60) is None


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        ({}, "no_metric", "it exited with status 0, but never reported loss, acc; print a line such as loss=0.41,"),
        ({"loss": 1.0}, "no_metric", "it exited with status 0, but never reported acc; print a line such as acc=0.41,"),
        ({"loss": math.nan, "acc": 1.0}, "nan", "loss ended as nan"),
        ({"loss": 1.0, "acc": -math.inf}, "nan", "acc ended as -inf"),
    ],
)
def test_every_objective_must_be_a_finite_number(values: dict[str, float], kind: str, reason: str) -> None:
    failure = metric_failure(values, ["loss", "acc"], tail="done")
    assert failure is not None
    assert (failure.kind.value, failure.tail) == (kind, "done")
    assert failure.reason.startswith(reason)


def test_finite_objectives_are_no_failure_although_another_metric_is_nan() -> None:
    assert metric_failure({"loss": 1.0, "grad_norm": math.nan}, ["loss"], tail="") is None


@pytest.mark.parametrize(
    "text",
    [
        "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "Memory allocation error on worker 0: bad_alloc: cudaErrorMemoryAllocation: out of memory",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "RuntimeError: CUDA driver error: out of memory",
        "torch.distributed.DistBackendError: unhandled cuda error\nLast error:\nCuda failure 2 'out of memory'",
        "[LightGBM] [Fatal] [CUDA] out of memory",
        "CatBoostError: Error: Out of memory. Requested 7.2; Free 6.5",
        "RuntimeError: DefaultCPUAllocator: not enough memory: you tried to allocate 1280 bytes.",
        "[rank0]: MemoryError: Unable to allocate 74.5 GiB",
        "TerminatedWorkerError: A worker process was unexpectedly terminated, by excessive memory usage or a segfault",
        "Error: cannot allocate vector of size 3.7 Gb\nExecution halted",
        "memory allocation of 34359738368 bytes failed",
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2 GiB",
        "RuntimeError: XPU out of memory, please use `empty_cache`",
        "Error out of memory at line 380 in file /mmfs1/gscratch/csrc/pythonInterface.c",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
        "jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 512 MiB on device 0: cudaMalloc failed: out of memory",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=17.batch",
        "run.sh: line 3:  4711 Killed                  python train.py",
        "pyarrow.lib.ArrowMemoryError: malloc of size 8589934592 failed",
        "cv2.error: OpenCV(4.9) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 8e9 bytes",
        "Exception in thread main java.lang.OutOfMemoryError: Java heap space",
        "fatal error: runtime: out of memory",
        "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
        "RuntimeError: [metal::malloc] Attempting to allocate 9e9 bytes which is greater than the maximum allowed",
    ],
)
def test_out_of_memory_in_the_words_of_many_libraries(text: str) -> None:
    for result in (CommandResult(status=1, tail=text), CommandResult(status=1, tail="a warning", output_tail=text)):
        failure = command_failure(result, timeout_s=None)
        assert failure is not None
        assert failure.kind is FailureKind.OOM


TRACE = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    go()\n'
CUDA_OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"


@pytest.mark.parametrize(
    ("tail", "kind", "reason"),
    [
        (f"WARNING: CUDA out of memory, halving\n{TRACE}KeyError: 'labels'", "crash", "KeyError: 'labels'"),
        (f"{TRACE}{CUDA_OOM}retrying with 32\n{TRACE}ValueError: x", "crash", "ValueError: x"),
        (f"{TRACE}{CUDA_OOM}{CAUSED}{TRACE}RuntimeError: training failed", "oom", "torch.OutOfMemoryError"),
        (f"{TRACE}{CUDA_OOM}{TRACE}torch.distributed.elastic.ChildFailedError: train.py", "oom", "torch.OutOfMemory"),
        (
            f"[rank0]: {TRACE}[rank0]: {CUDA_OOM}[rank1]: {TRACE}[rank1]: RuntimeError: peer",
            "oom",
            "[rank0]: torch.OutOf",
        ),
        ("WARNING: CUDA out of memory, halving\ntrain.py: error: bad option", "crash", "train.py: error: bad option"),
        (f"{TRACE}RuntimeError: device-side assert\nCompile with TORCH_USE_CUDA_DSA", "crash", "RuntimeError: device-"),
        (f"{TRACE}ValueError: x\nW1128 Warning: destroy_process_group() was not called", "crash", "ValueError: x"),
        (TRACE.replace("go()", "raise X('CUDA out of memory')") + "mine.X: no", "crash", "mine.X: no"),
    ],
)
def test_the_last_error_decides_and_one_that_was_overcome_does_not(tail: str, kind: str, reason: str) -> None:
    failure = command_failure(CommandResult(status=1, tail=tail), timeout_s=None)
    assert failure is not None
    assert (failure.kind.value, failure.reason[: len(reason)]) == (kind, reason)


@pytest.mark.parametrize(
    ("status", "err", "out", "reason"),
    [
        (1, "UserWarning: old API", f"{TRACE}ValueError: x", "ValueError: x"),
        (3, "done with warnings", "ERROR no such data set", "ERROR no such data set (exit status 3)"),
        (2, f"{TRACE}ValueError: x", "RuntimeError: earlier", "ValueError: x (exit status 2)"),
        (4, "just this", "just that", "just this (exit status 4)"),
        (
            101,
            "thread 'main' panicked at src/main.rs:2:5",
            "",
            "thread 'main' panicked at src/main.rs:2:5 (exit",
        ),
    ],
)
def test_a_failure_names_the_last_error_of_either_stream(status: int, err: str, out: str, reason: str) -> None:
    failure = command_failure(CommandResult(status=status, tail=err, output_tail=out), timeout_s=None)
    assert failure is not None
    assert failure.reason.startswith(reason)


@pytest.mark.parametrize(
    ("tail", "out", "note"),
    [
        (
            f"{TRACE}RuntimeError: CUDA error",
            "loss=1",
            "its log ends in a traceback (RuntimeError: CUDA error)",
        ),
        ("a warning", f"loss=1\n{TRACE}RuntimeError: bad", "its log ends in a traceback (RuntimeError: bad), although"),
        (f"{TRACE}ValueError: x\n" + "epoch 2\n" * 9, "", ""),
        ("loss=1", "", ""),
    ],
)
def test_a_complete_trial_says_that_its_log_ends_in_a_traceback(tail: str, out: str, note: str) -> None:
    found = traceback_note(CommandResult(status=0, tail=tail, output_tail=out))
    assert found.startswith(note)
    assert bool(found) == bool(note)


def test_memory_that_runs_out_in_code_without_a_file_is_recognized() -> None:
    log = 'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\nMemoryError: weights'
    assert find_out_of_memory(log) == "MemoryError: weights"
