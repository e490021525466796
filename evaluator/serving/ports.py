"""Picks a port for one trial's server, which no other trial on this machine gets meanwhile. Standard library only.

The port is below those that the system gives to outgoing connections: a server may load its model for minutes before
it listens, while the benchmarks of other trials open connections.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.evaluator.serving.verdict import ServingFailed

LOWEST, HIGHEST = 20000, 32000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200


@contextmanager
def reserved_port(wanted: int = 0) -> Iterator[int]:
    """Hold a port that is free now: the wanted one, or any for 0.

    Raises:
        ServingFailed: the wanted port is in use, or none is free.
    """
    if wanted:
        if not is_free(wanted):
            raise ServingFailed("crash", f"port {wanted} is in use by another program; end it, or write {{port}}")
        yield wanted
        return
    folder = Path(tempfile.gettempdir()) / f"tunesmith-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.randint(LOWEST, _highest())
        with _locked(folder / str(port)) as is_ours:
            if is_ours and is_free(port):
                yield port
                return
    raise ServingFailed("crash", f"no port from {LOWEST} to {_highest()} is free")


def is_free(port: int) -> bool:
    """Return whether a server could listen at a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _highest() -> int:
    try:
        first = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return HIGHEST
    return first - 1 if first - 1 > LOWEST + 1000 else HIGHEST


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file as long as the context lasts; yields False if another process has locked it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
        with suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)
