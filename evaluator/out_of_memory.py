"""Recognises "out of memory" in the words of libraries and systems, and tells one that a script overcame from one that
ended it. Reads text only.
"""

from __future__ import annotations

import re
from itertools import pairwise

_MEMORY = re.compile(
    r"""
    # PyTorch, CUDA and its libraries
    CUDA\ out\ of\ memory | CUDA\ (?:driver\ |runtime\ )?error:?\ (?:2:\ )?out\ of\ memory
    | cudaMalloc\ failed:\ out\ of\ memory
    | CUDA_ERROR_OUT_OF_MEMORY | cudaErrorMemoryAllocation | Cuda\ failure\ 2\b | Cuda\ failure\ '?out\ of\ memory
    | \[(?:CUDA|GPU)\]\ out\ of\ memory | (?:GPU|device)\ (?:is\ |ran\ |run\ |running\ )?out\ of\ memory
    | CU(?:BLAS|DNN|SPARSE|SOLVER|FFT|RAND)_(?:STATUS_)?ALLOC(?:ATION)?_FAILED | CUDNN_STATUS_NOT_ENOUGH_WORKSPACE
    | NCCL\ .{0,80}out\ of\ memory | (?:^|\W)Error\ out\ of\ memory\ at\ line | out_of_memory:\ (?:CUDA|cuda)
    # other accelerators
    | (?:HIP|ROCm|XPU|NPU|MPS|TPU)\b(?:\ backend)?(?:\ error:)?\ out\ of\ memory | hipErrorOutOfMemory
    | HIP(?:BLAS|DNN|SPARSE)_STATUS_ALLOC_FAILED | ROCBLAS_STATUS_MEMORY_ERROR | MIOPEN_STATUS_ALLOC_FAILED
    | OUT_OF_(?:DEVICE|HOST)_MEMORY | UR_RESULT_ERROR_OUT_OF_RESOURCES | CL_MEM_OBJECT_ALLOCATION_FAILURE
    | kIOGPUCommandBufferCallbackErrorOutOfMemory | \[metal::malloc\] | \[malloc(?:_or_wait)?\]\ Unable\ to\ allocate
    # XLA, JAX, TensorFlow, vLLM
    | RESOURCE_EXHAUSTED(?!.{0,80}(?:quota|rate)) | ResourceExhaustedError | OOM\ when\ allocating
    | Out\ of\ memory\ while\ trying\ to\ allocate | Ran\ out\ of\ memory\ in\ memory\ space
    | [Ff]ailed\ to\ allocate\ (?:request\ for\ )?\d[\d.]{0,20}\ ?[KMGTkmgt]?i?[Bb] | Failed\ to\ allocate\ memory
    | No\ available\ memory\ for\ the\ cache\ blocks | KV\ cache\ is\ needed,\ which\ is\ larger\ than
    | tokens\ that\ can\ be\ stored\ in\ KV\ cache | Free\ memory\ on\ device\ .{0,120}less\ than\ desired
    # Python, NumPy, Arrow, polars
    | (?:^|[\s.\]:])(?:\w*ArrayMemoryError|MemoryError|ArrowMemoryError)\b
    | \bUnable\ to\ allocate\ [\d.]{1,20}\ ?[KMGTPE]i?B
    | (?:^|[\s.'\[])OutOfMemory(?:Error|Exception)\b | _OutOfMemoryError | malloc\ of\ size\ \d{1,20}\ failed
    | DefaultCPUAllocator:\ (?:can't\ allocate|not\ enough)\ memory | not\ enough\ memory:\ you\ tried\ to\ allocate
    | [Uu]nable\ to\ mmap\ \d{1,20}\ bytes | Insufficient\ [Mm]emory | Out\ of\ Memory\ Error:
    # other languages
    | (?:std::)?bad_alloc\b | cannot\ allocate\ vector\ of\ (?:size|length) | vector\ memory\ (?:exhausted|limit)
    | memory\ allocation\ of\ \d{1,20}\ bytes\ failed | runtime:\ out\ of\ memory | JavaScript\ heap\ out\ of\ memory
    | java\.lang\.OutOfMemoryError | GC\ overhead\ limit\ exceeded | virtual\ memory\ exhausted
    | Out\ of\ memory\.\ Requested
    | [Ii]nsufficient\ virtual\ memory | \bout\ of\ memory:\ (?:allocation|unable)
    # the system and its batch queues
    | Cannot\ allocate\ memory | \bENOMEM\b | oom[-_ ]?kill | Out\ of\ memory:\ Kill | OOM\ [Kk]ille[rd] | OOMKilled
    | (?:Exceeded|exceeded)\ (?:job|step)\ memory\ limit
    | (?:^|[\s\d])Killed[ \t]{1,40}(?:\S*/)?(?:python|torchrun|accelerate)
    | DataLoader\ worker\ .{0,60}killed\ by\ signal:\ Killed | excessive\ memory\ usage
    | node\ (?:was\ )?running\ low\ on\ memory
    | worker\ .{0,80}(?:killed|exceeded)\ .{0,40}memory
    """,
    re.VERBOSE | re.MULTILINE,
)
_TRACEBACK = re.compile(
    r"^[^\w\n]{0,100}+(?:rank\d{1,5}[^\w\n]{1,4}+)?Traceback \(most recent call last\)", re.MULTILINE
)
_FRAME = re.compile(r'(?:\[rank\d{1,5}\]:)?\s{0,40}File ".{1,1000}", line \d')
_CAUSED = "The above exception was the direct cause of the following exception"
_FROM_OTHERS = re.compile(
    r"^\[rank\d|ChildFailedError|CalledProcessError|DistBackendError|ProcessRaisedException|ProcessExitedException"
    r"|BrokenProcessPool|TerminatedWorkerError|RayTaskError|DataLoader worker|Connection (?:reset|closed) by peer"
    r"|EngineDeadError|Engine core initialization failed|BrokenPipeError|ConnectionResetError|EOFError",
    re.MULTILINE,
)
_WORD = re.compile(r"[a-z]+")
_HARMLESS = {"warn", "warning", "userwarning", "runtimewarning", "info", "debug", "notice", "retrying"}
"""Words at the beginning of a line that only tells."""


def find_out_of_memory(text: str) -> str:
    """Return the line of the error that ended a command for want of memory, "" if another error did or none.

    One before the last traceback was overcome, unless that traceback was caused by it, or belongs to a process that
    only lost another one.
    """
    lines = text[_start_of_last_error(text) :].split("\n")
    # The line of code that a traceback shows below a frame is not what happened; code without a file shows none.
    shown = {
        index + 1
        for index, (line, below) in enumerate(pairwise(lines))
        if _FRAME.match(line) and _indent(below) > _indent(line)
    }
    hits = [line.strip() for index, line in enumerate(lines) if index not in shown and _MEMORY.search(line[:2000])]
    serious = [line for line in hits if not _HARMLESS.intersection(_WORD.findall(line[:100].lower())[:8])]
    return serious[0] if serious else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if not line.startswith("[rank") else _indent(line.partition(":")[2])


def last_traceback(text: str) -> int | None:
    """Return where the last traceback begins; None if there is none."""
    found = [match.start() for match in _TRACEBACK.finditer(text)]
    return found[-1] if found else None


def _start_of_last_error(text: str) -> int:
    starts = [match.start() for match in _TRACEBACK.finditer(text)]
    if not starts or _FROM_OTHERS.search(text, starts[-1]):
        return 0
    chosen = len(starts) - 1
    while chosen and _CAUSED in text[starts[chosen - 1] : starts[chosen]]:
        chosen -= 1
    return starts[chosen]
