"""Failures out of real log tails: for each exit status, cause and text, the kind and the reason that a user reads."""

from __future__ import annotations

import math

import pytest

from tunesmith.evaluator.executors.base import Cause, CommandResult
from tunesmith.evaluator.failures import TAIL_CHARS, command_failure, metric_failure
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
