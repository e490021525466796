"""Stand-ins for sbatch, srun, sacct and scancel: jobs are processes of this machine, their states stand in files.

`state-ID` in the folder of $FAKE_SLURM overrules what the process says, so that a test can play a node's end.
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
    """Write the four commands into a folder and return the one to be put on PATH."""
    from submitit.slurm.slurm import SlurmJob

    # It remembers jobs by their numbers, which begin at 1 again with every Slurm that is played.
    SlurmJob.watcher.clear()
    SlurmJob.watcher._registered.clear()
    places = folder / "bin"
    places.mkdir(parents=True)
    for name in COMMANDS:
        command = places / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).resolve()} {name} "$@"\n')
        command.chmod(0o755)
    return places


def sbatch(words: list[str]) -> None:
    """Start a job script; with a file named `full` there, refuse as a full queue does."""
    if (HERE / "full").exists():
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
    """Tell the states of the jobs that are asked about."""
    sys.stdout.write("JobID|State|NodeList\n")
    for number in (word for word in words if (HERE / f"pid-{word}").exists()):
        overruled = HERE / f"state-{number}"
        alive = Path("/proc", (HERE / f"pid-{number}").read_text()).exists()
        running = "PENDING" if (HERE / "held").exists() else "RUNNING" if alive else "COMPLETED"
        state = overruled.read_text() if overruled.exists() else running
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
