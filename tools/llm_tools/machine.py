"""A tool that tells what the machine has: GPUs with their memory, processors, memory, disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments

_ASKED = "index,name,memory.used,memory.total,utilization.gpu"


def machine(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return GPUs, processors, memory and free disk."""
    import psutil

    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(context.project or Path.cwd())
    load = os.getloadavg()[0]
    return "\n".join(
        [
            *_gpus(),
            f"{os.cpu_count()} CPU cores, load {load:.1f}",
            f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
            f"disk: {short_number(disk.free / 2**30)} of {short_number(disk.total / 2**30)} GiB free",
        ]
    )


def _gpus() -> list[str]:
    command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ["no NVIDIA GPU was found"]
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines() if line.count(",") == 4]  # noqa: PLR2004
    return [f"GPU {i}: {name}, {used} of {total} MiB used, {busy}% busy" for i, name, used, total, busy in rows] or [
        "no NVIDIA GPU was found"
    ]


MACHINE = StudyTool("machine", NoArguments, machine)
