"""Runs one command and leaves no process of it behind. Runs as a small process that needs only the standard library.

    supervisor.py CWD TIMEOUT_S GRACE_S FILE_BYTES MEMORY_BYTES PROCESSES IS_SANDBOXED CORES GROUP STATUS_FD COMMAND...

Standard input is a control pipe: "T" asks the command to end (SIGTERM, then SIGKILL after the grace period) and "K"
ends it at once. So does the end of the pipe, which comes when the process that started the supervisor is gone for any
reason. On Linux the supervisor adopts every orphan among its descendants, so daemons are found as well. Processes that
are left when the command exits are killed. The result goes to STATUS_FD as lines of NAME=VALUE.

A limit of 0 is none. CORES is a list such as 0,1, or - for all. GROUP is the control group in which the command gets
one or - for none. IS_SANDBOXED is 1 if the program is bubblewrap: SIGTERM
then goes to the process in the sandbox, because bubblewrap would kill it when it ends itself.

Knows no trial. Imports as little as possible, since its start is part of every trial's start: json and contextlib would
double it.
"""

from __future__ import annotations

# The module signal wraps every number in an enum, which takes 3 ms.
import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import os
import resource
import select
import sys
import time

import process_control  # type: ignore[import-not-found]  # a module in the same folder, not in a package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tunesmith.evaluator.supervision.control_group import ControlGroup
    from tunesmith.evaluator.supervision.fork_gate import ForkGate
    from tunesmith.evaluator.supervision.resource_monitor import ResourceMonitor

PR_SET_PDEATHSIG = 1
POLL_MS = 20
"""Interval at which the command is checked if the system cannot wake the supervisor at its end."""


class Arguments:
    """What to run, from the command line."""

    def __init__(self, words: list[str]) -> None:
        self.cwd = words[0]
        self.timeout_s, self.grace_s = float(words[1]), float(words[2])
        self.file_bytes, self.memory_bytes, self.processes = int(words[3]), int(words[4]), int(words[5])
        self.is_sandboxed, self.cores, self.group, self.status_fd = words[6] == "1", words[7], words[8], int(words[9])
        self.argv = words[10:]


def main() -> None:
    """Run the command and report the result."""
    arguments = Arguments(sys.argv[1:])
    process_control.adopt_orphans()
    group = open_group(arguments)
    started = time.monotonic()
    pid, listener, error = spawn(arguments, group)
    if error:
        report(arguments, error)
        return
    cause = Watch(pid, started, arguments, open_gate(listener, arguments), group).until_end()
    _, status, _ = os.wait4(pid, 0)
    process_control.end_descendants(pid)
    if group is not None:
        cause = "memory" if cause == "exit" and group.was_exceeded() else cause
        group.remove()
    unsafe = take_back_folder(arguments) if arguments.is_sandboxed else ""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_rss_gib = usage.ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
    code = os.waitstatus_to_exitcode(status)
    if arguments.is_sandboxed and 128 < code <= 192:
        # This is how bubblewrap reports the signal that ended the command.
        code = 128 - code
    report(
        arguments,
        f"exit={code}\ncause={cause}\nwall_s={time.monotonic() - started}\n"
        f"cpu_s={usage.ru_utime + usage.ru_stime}\npeak_rss_gib={peak_rss_gib}\n{unsafe}",
    )


def take_back_folder(arguments: Arguments) -> str:
    """Make the folder of a command that has ended safe to go to; return the line of the report about its artifacts."""
    import leftovers  # type: ignore[import-not-found]

    folder = os.environ.get("TUNESMITH_TRIAL_FOLDER", arguments.cwd)
    found = next(leftovers.unsafe_artifacts(f"{folder}/artifacts"), "")
    leftovers.disarm(folder)
    # A name may hold line ends, and bytes that are no text.
    return f"unsafe={found.encode('unicode_escape').decode('ascii')}\n"


def open_group(arguments: Arguments) -> ControlGroup | None:
    """Return the control group that limits the command's memory, None where there is none."""
    if not arguments.memory_bytes or arguments.group == "-":
        return None
    import control_group  # type: ignore[import-not-found]

    try:
        group: ControlGroup = control_group.ControlGroup(arguments.group, arguments.memory_bytes)
    except OSError:
        return None
    return group


def spawn(arguments: Arguments, group: ControlGroup | None) -> tuple[int, int, str]:
    """Start the command in a new process group.

    Returns its pid, the descriptor on which its forks are announced (-1 for none), and why it could not start.
    """
    message_in, message_out = os.pipe()
    wait_in, wait_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(wait_out)
        become(arguments, group, message_out, wait_in)
    os.close(message_out)
    os.close(wait_in)
    listener = -1
    with open(message_in) as stream:
        message = stream.readline()
        if message.startswith("listener="):
            listener = forks().take(pid, int(message.partition("=")[2]))
            message = ""
        os.close(wait_out)
        error = message + stream.read()
    if error:
        os.waitpid(pid, 0)
    return pid, listener, error


def become(arguments: Arguments, group: ControlGroup | None, message_out: int, wait_in: int) -> None:
    """Turn this child into the command; never returns. It waits until the supervisor has read its message."""
    try:
        if group is not None:
            group.enter()
        os.setpgid(0, 0)
        process_control.prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.file_bytes, arguments.file_bytes))
        if arguments.memory_bytes:
            # Not RLIMIT_AS: CUDA and thread stacks reserve terabytes of addresses without using them.
            resource.setrlimit(resource.RLIMIT_DATA, (arguments.memory_bytes, arguments.memory_bytes))
        if arguments.cores != "-":
            os.sched_setaffinity(0, [int(core) for core in arguments.cores.split(",")])
        # Python ignores these two signals for itself; a command expects the system's default.
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
        with open(os.devnull) as null:
            os.dup2(null.fileno(), 0)
        os.close(arguments.status_fd)
        os.chdir(arguments.cwd)
        if arguments.is_sandboxed and arguments.processes and forks().is_possible():
            announce_forks(message_out, wait_in)
        os.execvp(arguments.argv[0], arguments.argv)
    except OSError as error:
        os.write(message_out, f"errno={error.errno}\ntext={error.strerror}\n".encode())
    finally:
        os._exit(127)


def announce_forks(message_out: int, wait_in: int) -> None:
    """Have forks announced to the supervisor, if the kernel can."""
    try:
        listener = forks().announce()
    except OSError:
        return
    os.write(message_out, f"listener={listener}\n".encode())
    os.read(wait_in, 1)


class Watch:
    """Waits for the command's end, and ends it on request, at its timeout, or when it exceeds a limit."""

    def __init__(
        self, pid: int, started: float, arguments: Arguments, gate: ForkGate | None, group: ControlGroup | None
    ) -> None:
        self._pid, self._arguments, self._gate = pid, arguments, gate
        self._deadline = started + arguments.timeout_s if arguments.timeout_s else None
        self._monitor = open_monitor(arguments, group, counts_processes=gate is None or not forks().counts_forks())
        self._cause = "exit"
        self._kill_at: float | None = None
        if arguments.is_sandboxed and (gate is None or not forks().counts_forks()):
            process_control.raise_priority()
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN | select.POLLHUP)
        self._wakes_at_end = process_control.wake_at_end(self._poll, pid)
        if gate is not None:
            self._poll.register(gate.listener, select.POLLIN)

    def until_end(self) -> str:
        """Return what ended the command: exit, timeout, stop, kill, or the name of a limit."""
        while not process_control.is_over(self._pid):
            now = time.monotonic()
            if self._kill_at is not None and now >= self._kill_at:
                process_control.kill_group(self._pid, _signal.SIGKILL)
                process_control.end_descendants(self._pid)
                break
            if self._cause == "exit" and self._deadline is not None and now >= self._deadline:
                self._terminate("timeout", now)
            if self._monitor is not None and (limit := self._monitor.exceeded_limit()):
                self._kill(limit, now)
                continue
            self._wait(now)
        return self._cause

    def _wait(self, now: float) -> None:
        """Wait for the next event or the next check, and handle the events."""
        check_at = self._monitor.next_at if self._monitor is not None else None
        deadline = self._deadline if self._cause == "exit" else None
        moments = [moment for moment in (self._kill_at, deadline, check_at) if moment is not None]
        wait_ms = max(min(moments) - now, 0) * 1000 + 1 if moments else None
        events = self._poll.poll(wait_ms if self._wakes_at_end else min(wait_ms or POLL_MS, POLL_MS))
        gate = self._gate
        if gate is not None and (gate.listener, select.POLLIN) in events and not gate.answer(time.monotonic()):
            self._kill("processes", time.monotonic())
        if any(descriptor == 0 for descriptor, _ in events):
            self._handle_request(os.read(0, 1))

    def _handle_request(self, letter: bytes) -> None:
        if letter == b"T" and self._cause == "exit":
            self._terminate("stop", time.monotonic())
        elif letter in (b"K", b""):
            self._cause, self._kill_at = "kill", time.monotonic()

    def _terminate(self, cause: str, now: float) -> None:
        self._cause, self._kill_at = cause, now + self._arguments.grace_s
        process_control.kill_group(signal_group(self._pid, self._arguments), _signal.SIGTERM)

    def _kill(self, limit: str, now: float) -> None:
        self._cause, self._kill_at = (limit if self._cause == "exit" else self._cause), now


def open_monitor(arguments: Arguments, group: ControlGroup | None, *, counts_processes: bool) -> ResourceMonitor | None:
    """Return what watches the limits that the kernel does not enforce, None if there is no such limit.

    Args:
        arguments: the limits.
        group: the control group that limits the memory.
        counts_processes: whether to count processes too; a fork gate counts them itself.
    """
    if not (arguments.memory_bytes or arguments.processes) or sys.platform != "linux":
        return None
    # The folder of this file is on the path of a process that was started as a supervisor (executors/local.py).
    import resource_monitor  # type: ignore[import-not-found]

    monitor: ResourceMonitor = resource_monitor.ResourceMonitor(
        memory_bytes=arguments.memory_bytes if group is None else 0,
        group=group,
        processes=arguments.processes if counts_processes else 0,
        disk_bytes=arguments.file_bytes if arguments.is_sandboxed else 0,
        folder=arguments.cwd,
        is_sandboxed=arguments.is_sandboxed,
    )
    return monitor


def open_gate(listener: int, arguments: Arguments) -> ForkGate | None:
    """Return what admits the forks that are announced on this descriptor, None if there is none."""
    if listener < 0:
        return None
    import memory_use  # type: ignore[import-not-found]

    def count() -> int:
        return sum(tasks for _, tasks in memory_use.descendants(os.getpid()))

    gate: ForkGate = forks().ForkGate(listener, arguments.processes, count)
    return gate


def forks() -> Any:
    """Return the module fork_gate, which only some trials need."""
    import fork_gate as module  # type: ignore[import-not-found]

    return module


def signal_group(pid: int, arguments: Arguments) -> int:
    """Return the process group that receives SIGTERM: in a sandbox, that of the first process in it."""
    if not arguments.is_sandboxed:
        return pid
    return next(iter(process_control.children(pid)), pid)


def report(arguments: Arguments, result: str) -> None:
    """Send the result to the process that started this one, if it still exists."""
    try:
        os.write(arguments.status_fd, result.encode())
    except OSError:
        return


if __name__ == "__main__":
    main()
