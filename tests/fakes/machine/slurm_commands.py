"""Fakes of sbatch, srun, sacct and scancel: jobs are processes of this machine, and their states are in files.

`state-ID` in the folder of $FAKE_SLURM overrides the state of the process, so that a test can simulate a lost node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(os.environ.get("FAKE_SLURM", "."))


def install(folder: Path) -> Path:
    """Write the four commands into a folder and return the folder to put on PATH."""
    from submitit.slurm.slurm import SlurmJob

    # It remembers jobs by their numbers, which start at 1 again with every fake Slurm.
    SlurmJob.watcher.clear()
    SlurmJob.watcher._registered.clear()
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    for name in COMMANDS:
        command = bin_folder / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).resolve()} {name} "$@"\n')
        command.chmod(0o755)
    return bin_folder


def sbatch(words: list[str]) -> None:
    """Start a job script; if there is a file named `full`, refuse like a full queue, and note it in `refused`."""
    if (HERE / "full").exists():
        with (HERE / "refused").open("a", encoding="ascii") as out:
            out.write(".")
        sys.exit("sbatch: error: QOSMaxSubmitJobPerUserLimit")
    number = 1 + len(list(HERE.glob("pid-*")))
    log = (HERE / f"out-{number}").open("wb")
    environment = {**os.environ, "SLURM_JOB_ID": str(number), "SLURM_PROCID": "0", "SLURM_NODEID": "0"}
    script = ["true"] if (HERE / "held").exists() else ["bash", words[-1]]
    process = subprocess.Popen(script, stdout=log, stderr=log, env=environment, start_new_session=True)
    (HERE / f"script-{number}").write_text(Path(words[-1]).read_text())
    (HERE / f"pid-{number}").write_text(str(process.pid))
    sys.stdout.write(f"Submitted batch job {number}\n")


def srun(words: list[str]) -> None:
    """Run what follows the options."""
    start = next(index for index, word in enumerate(words) if word.startswith("/"))
    while words[start - 1] in ("--output", "--error"):
        start = next(index for index, word in enumerate(words) if index > start and word.startswith("/"))
    os.execv(words[start], words[start:])


def sacct(words: list[str]) -> None:
    """Print the states of the jobs that are asked for."""
    sys.stdout.write("JobID|State|NodeList\n")
    for number in (word for word in words if (HERE / f"pid-{word}").exists()):
        overriding = HERE / f"state-{number}"
        alive = Path("/proc", (HERE / f"pid-{number}").read_text()).exists()
        running = "PENDING" if (HERE / "held").exists() else "RUNNING" if alive else "COMPLETED"
        state = overriding.read_text() if overriding.exists() else running
        sys.stdout.write(f"{number}|{state}|node1\n")


def scancel(words: list[str]) -> None:
    """End a job."""
    (HERE / f"state-{words[0]}").write_text("CANCELLED by 1000")
    try:
        os.killpg(int((HERE / f"pid-{words[0]}").read_text()), signal.SIGKILL)
    except ProcessLookupError:
        return


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "sbatch": sbatch,
    "srun": srun,
    "sacct": sacct,
    "scancel": scancel,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
