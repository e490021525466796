"""Finds in a server's log why it ended. Knows the words of vLLM, SGLang and llama.cpp. Standard library only.

Sources: vllm/config/scheduler.py and parallel.py (combinations), huggingface_hub and transformers (models),
sglang/srt/model_executor/model_runner.py ("Not enough memory"), llama.cpp (src/llama-model-loader.cpp, tools/server),
uvicorn and asyncio (ports).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.evaluator.out_of_memory import find_out_of_memory
from tunesmith.evaluator.supervision.signals import signal_name

MAX_REASON_CHARS = 260
_SIGNALLED = 128
"""A shell gives a program that a signal ended this status, plus the signal's number."""
_PORT = re.compile(
    r"address already in use|EADDRINUSE|couldn't bind (?:to )?(?:HTTP )?server socket|failed to bind"
    r"|port \d+ is (?:already )?(?:in use|occupied|not available|unavailable)",
    re.IGNORECASE,
)
_MEMORY = re.compile(
    r"Not enough memory\. Please try to (?:in|de)crease --mem-fraction-static"
    r"|(?:unable|failed) to allocate [\w ]{0,30}buffer|failed to allocate buffer|failed to fit params to free device"
    r"|KV cache (?:is|are) (?:larger|more) than the available|larger than the (?:available )?KV cache"
    r"|(?:kv|memory) pool .{0,60}out of memory",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"is not a local folder and is not a valid model identifier|Repository ?Not ?Found|Gated ?Repo"
    r"|LocalEntryNotFoundError|Can't load (?:the )?(?:config|model|tokenizer)|does not appear to have a file named"
    r"|Invalid repository ID or local directory|Model path does not exist|failed to open GGUF file"
    r"|gguf_init_from_file: failed|(?:error|failed)[ :]+(?:to load|loading) model(?!.{0,80}alloc)"
    r"|couldn't connect to 'https://huggingface|Cannot find any model weights|HFValidationError",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"unrecognized arguments?:|invalid argument:|unknown argument|error: argument |invalid choice:|No such option"
)
_COMBINATION = re.compile(
    r"must (?:be|have|not)\b|(?:is|are) (?:smaller|larger|greater|less|more|higher|lower) than|not (?:yet )?supported"
    r"|cannot be (?:greater|less|larger|smaller|used|combined|enabled)|not (?:compatible|divisible)|incompatible"
    r"|(?:does not|doesn't|do not) support|should be (?:divisible|a multiple|less|greater|at)|is only supported"
    r"|requires? .{0,60}(?:enabled|set|to be)|validation errors? for|exceeds?\b|conflict|unsupported",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\b\w*(?:Error|Exception)\b\s?:|\berror\b|\bfatal\b|terminate called|panicked|Aborted", re.IGNORECASE
)
_PREFIX = re.compile(
    r"^\s*(?:\([^()]{1,60}pid=\d+\)\s*)?(?:(?:\[[^\]]{1,60}\]|INFO|WARNING|ERROR|CRITICAL|DEBUG)[: ]*)?"
    r"(?:\d\d-\d\d \d\d:\d\d:\d\d\s*)?(?:\[[\w./:-]{1,80}\]\s*)?"
)


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why a server ended.

    Attributes:
        kind: "oom" or "crash".
        reason: in one line.
        is_port: whether its port was taken, so that another one may work.
    """

    kind: str
    reason: str
    is_port: bool = False


def start_failure(lines: Sequence[str], status: int) -> StartFailure:
    """Return why a server ended.

    Args:
        lines: the end of its log.
        status: its exit status; -N when signal N ended it.
    """
    cleaned = [_PREFIX.sub("", line, count=1).strip() for line in lines]
    if port := _find(_PORT, cleaned):
        return StartFailure("crash", f"port taken: {port}", is_port=True)
    if memory := _find(_MEMORY, cleaned) or find_out_of_memory("\n".join(lines)):
        return StartFailure("oom", _cut(_PREFIX.sub("", memory, count=1)))
    if status in (-9, 137):
        return StartFailure("oom", "was killed from outside (SIGKILL), as the system does when memory runs out")
    if option := _find(_OPTION, cleaned):
        return StartFailure("crash", option)
    if model := _find(_MODEL, cleaned):
        return StartFailure("crash", f"model not found: {model}")
    errors = [line for line in cleaned if _ERROR.search(line)]
    if combination := _find(_COMBINATION, errors):
        return StartFailure("crash", f"bad combination: {combination}")
    last = errors[-1] if errors else next((line for line in reversed(cleaned) if line), "no output")
    if status == 0:
        hint = "start it in the foreground, so that it ends with the trial"
        return StartFailure("crash", f"the command ended by itself with status 0; {hint}; its last line: {_cut(last)}")
    if status < 0 or status > _SIGNALLED:
        name = signal_name(-status if status < 0 else status - _SIGNALLED)
        return StartFailure("crash", f"was ended by signal {name}; the last line of its log: {_cut(last)}")
    return StartFailure("crash", f"{_cut(last)} (exit status {status})")


def _find(pattern: re.Pattern[str], lines: Sequence[str]) -> str:
    """Return the last line with a pattern: what servers in several processes repeat at the end is the cause."""
    return next((_cut(line) for line in reversed(lines) if pattern.search(line)), "")


def _cut(line: str) -> str:
    return line[:MAX_REASON_CHARS]
