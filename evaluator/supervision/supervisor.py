"""Runs one command and leaves nothing of it behind. Started as its own small process; standard library alone.

    keeper.py CWD TIMEOUT_S GRACE_S FILE_BYTES MEMORY_BYTES PROCESSES IS_ENCLOSED CORES STATUS_FD PROGRAM [...]

Standard input is a control pipe: "T" asks the command to end (SIGTERM, then SIGKILL after the grace), "K" ends it at
once, and so does the end of the pipe, which comes when the process that started the keeper is gone, however it went.
On Linux the keeper adopts every orphan among its descendants, so daemons are found as well. Whatever is left when the
command exits is killed. The result goes to STATUS_FD as lines of NAME=VALUE. A limit of 0 is none; CORES is a
list such as 0,1, or - for all. IS_ENCLOSED is 1
when the program is bubblewrap: SIGTERM then goes to what runs in the sandbox, which bubblewrap's own end would kill.

Knows no trial. Imports as little as it can, since its start is part of every trial's: json and contextlib alone would
double it.
"""

from __future__ import annotations

# signal itself wraps every number in an enum, which takes 3 ms.
import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tunesmith.evaluator.supervision.fork_gate import Gate
    from tunesmith.evaluator.supervision.resource_monitor import Tally

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_MS = 20
"""How often the command is looked at where the system cannot wake us at its end."""


class Job:
    """What to run, from the command line."""

    def __init__(self, words: list[str]) -> None:
        self.cwd = words[0]
        self.timeout_s, self.grace_s = float(words[1]), float(words[2])
        self.file_bytes, self.memory_bytes, self.processes = int(words[3]), int(words[4]), int(words[5])
        self.is_enclosed, self.cores, self.status_fd = words[6] == "1", words[7], int(words[8])
        self.argv = words[9:]


def main() -> None:
    """Run the job and report how it went."""
    job = Job(sys.argv[1:])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    started = time.monotonic()
    pid, listener, error = spawn(job)
    if error:
        answer(job, error)
        return
    cause = watch(pid, started, job, open_gate(listener, job))
    _, status, _ = os.wait4(pid, 0)
    end_descendants(pid)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_rss_gib = usage.ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
    code = os.waitstatus_to_exitcode(status)
    if job.is_enclosed and 128 < code <= 192:
        # So bubblewrap says which signal ended the command.
        code = 128 - code
    answer(
        job,
        f"exit={code}\ncause={cause}\nwall_s={time.monotonic() - started}\n"
        f"cpu_s={usage.ru_utime + usage.ru_stime}\npeak_rss_gib={peak_rss_gib}\n",
    )


def spawn(job: Job) -> tuple[int, int, str]:
    """Start the command in a process group of its own.

    Returns its pid, the descriptor on which it announces forks (-1 when it does not), and why it could not start.
    """
    reading, writing = os.pipe()
    waiting, going = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(going)
        become(job, writing, waiting)
    os.close(writing)
    os.close(waiting)
    listener = -1
    with open(reading) as stream:
        told = stream.readline()
        if told.startswith("listener="):
            listener = forks().take(pid, int(told.partition("=")[2]))
            told = ""
        os.close(going)
        error = told + stream.read()
    if error:
        os.waitpid(pid, 0)
    return pid, listener, error


def become(job: Job, writing: int, waiting: int) -> None:
    """Turn this child into the command; never returns. It waits until the keeper has what it tells."""
    try:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_bytes, job.file_bytes))
        if job.memory_bytes:
            # Not RLIMIT_AS: CUDA and thread stacks reserve addresses by the terabyte without using them.
            resource.setrlimit(resource.RLIMIT_DATA, (job.memory_bytes, job.memory_bytes))
        if job.cores != "-":
            os.sched_setaffinity(0, [int(core) for core in job.cores.split(",")])
        # Python ignores these two for itself; a command expects the system's own behaviour.
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
        with open(os.devnull) as null:
            os.dup2(null.fileno(), 0)
        os.close(job.status_fd)
        os.chdir(job.cwd)
        if job.is_enclosed and job.processes and forks().is_needed():
            announce(writing, waiting)
        os.execvp(job.argv[0], job.argv)
    except OSError as error:
        os.write(writing, f"errno={error.errno}\ntext={error.strerror}\n".encode())
    finally:
        os._exit(127)


def announce(writing: int, waiting: int) -> None:
    """Have forks announced to the keeper, where the kernel can."""
    try:
        listener = forks().announce()
    except OSError:
        return
    os.write(writing, f"listener={listener}\n".encode())
    os.read(waiting, 1)


def watch(pid: int, started: float, job: Job, gate: Gate | None) -> str:  # noqa: C901  # one loop over what can happen, told in order
    """Wait for the command's end and obey; return who ended it: exit, timeout, stop, kill, or the name of a limit."""
    deadline = started + job.timeout_s if job.timeout_s else None
    tally = open_tally(job, counts=gate is None)
    if job.is_enclosed and gate is None:
        go_first()
    cause, killing_at = "exit", None
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    wakes = watch_by_descriptor(poll, pid)
    if gate is not None:
        poll.register(gate.listener, select.POLLIN)
    while not is_over(pid):
        now = time.monotonic()
        if killing_at is not None and now >= killing_at:
            kill_group(pid, _signal.SIGKILL)
            end_descendants(pid)
            break
        if cause == "exit" and deadline is not None and now >= deadline:
            cause, killing_at = "timeout", now + job.grace_s
            kill_group(group_of(pid, job), _signal.SIGTERM)
        if tally is not None and (excess := tally.excess()):
            cause, killing_at = (excess if cause == "exit" else cause), now
            continue
        look = tally.next_at if tally is not None else None
        until = [moment for moment in (killing_at, deadline if cause == "exit" else None, look) if moment is not None]
        wait_ms = max(min(until) - now, 0) * 1000 + 1 if until else None
        events = poll.poll(wait_ms if wakes else min(wait_ms or POLL_MS, POLL_MS))
        if gate is not None and (gate.listener, select.POLLIN) in events and not gate.answer(time.monotonic()):
            cause, killing_at = ("processes" if cause == "exit" else cause), time.monotonic()
        if any(descriptor == 0 for descriptor, _ in events):
            order = os.read(0, 1)
            if order == b"T" and cause == "exit":
                cause, killing_at = "stop", time.monotonic() + job.grace_s
                kill_group(group_of(pid, job), _signal.SIGTERM)
            elif order in (b"K", b""):
                cause, killing_at = "kill", time.monotonic()
    return cause


def go_first() -> None:
    """Let this process run before those that it watches, where the system allows it: among thousands that want to run
    it would come too late.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (AttributeError, OSError):
        return


def open_tally(job: Job, *, counts: bool) -> Tally | None:
    """Return what watches the limits that the kernel does not, where there is one; a gate counts processes itself."""
    if not (job.memory_bytes or job.processes) or sys.platform != "linux":
        return None
    # The folder of this file is on the path of a process that was started as a keeper (executors/local.py).
    import resource_monitor  # type: ignore[import-not-found]

    opened: Tally = resource_monitor.Tally(
        memory_bytes=job.memory_bytes,
        processes=job.processes if counts else 0,
        disk_bytes=job.file_bytes if job.is_enclosed else 0,
        folder=job.cwd,
    )
    return opened


def open_gate(listener: int, job: Job) -> Gate | None:
    """Return what lets forks pass, where they are announced."""
    if listener < 0:
        return None
    import resource_monitor

    def count() -> int:
        return sum(tasks for _, tasks in resource_monitor.descendants(os.getpid()))

    opened: Gate = forks().Gate(listener, job.processes, count)
    return opened


def forks() -> Any:
    """Return the module beside this one, which only some trials need."""
    import fork_gate as module  # type: ignore[import-not-found]

    return module


def group_of(pid: int, job: Job) -> int:
    """Return the process group that a signal is for: in a sandbox, that of its first process."""
    if not job.is_enclosed:
        return pid
    return next(iter(children(pid)), pid)


def watch_by_descriptor(poll: select.poll, pid: int) -> bool:
    """Let the command's end wake the poll; return False where the system cannot."""
    try:
        poll.register(os.pidfd_open(pid), select.POLLIN)
    except (AttributeError, OSError):
        return False
    return True


def is_over(pid: int) -> bool:
    """Tell whether the command exited, leaving it to be waited for."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def kill_group(pid: int, number: int) -> None:
    """Send a signal to the command's whole group."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def end_descendants(pid: int) -> None:
    """Kill whatever the command left: its group, and orphans that were handed to us, until there is none."""
    kill_group(pid, _signal.SIGKILL)
    for _ in range(200):
        # Those of a killed process become ours, so one round after another finds all.
        left = [child for child in children(os.getpid()) if child != pid]
        for child in left:
            try:
                os.kill(child, _signal.SIGKILL)
                os.waitpid(child, 0)
            except (ProcessLookupError, PermissionError, ChildProcessError):
                continue
        if not left:
            return


def children(pid: int) -> list[int]:
    """Return the pids of a process's children, where it has one thread."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def answer(job: Job, result: str) -> None:
    """Send the result to whoever started us, if there is still somebody."""
    try:
        os.write(job.status_fd, result.encode())
    except OSError:
        return


def prctl(option: int, value: int) -> None:
    """Ask the kernel, where there is such a call; elsewhere the process group alone must do."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
