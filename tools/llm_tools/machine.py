"""A tool that reports the machine's GPUs, memory and disk, the date, and the conversation's own model and cost."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from tunesmith.evaluator.gpu.gpus import gpu_loads
from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments


def machine(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return GPUs, processors, memory, free disk, the date, and the model that asks with its cost."""
    import psutil

    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(context.project or Path.cwd())
    load = os.getloadavg()[0]
    speaker = context.speaker() if context.speaker is not None else ""
    return "\n".join(
        [
            *_gpu_lines(),
            f"{os.cpu_count()} CPU cores, load {load:.1f}",
            f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
            f"disk: {short_number(disk.free / 2**30)} of {short_number(disk.total / 2**30)} GiB free",
            f"now: {datetime.now().astimezone():%A, %Y-%m-%d %H:%M %Z}",
            *([f"this conversation: {speaker}"] if speaker else []),
        ]
    )


def _gpu_lines() -> list[str]:
    return [
        f"GPU {gpu.index}: {gpu.name}, {gpu.used_mib} of {gpu.total_mib} MiB used, {gpu.busy_percent}% busy"
        for gpu in gpu_loads(timeout_s=10)
    ] or ["no NVIDIA GPU was found"]


MACHINE = StudyTool("machine", NoArguments, machine)
