"""Measures the memory that a sandbox's namespaces hold without any process: segments of System V and socket buffers.

A short-lived child enters the namespaces, because only there the kernel tells. Needs only the standard library.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

_OWNER = 0xB701
"""NS_GET_USERNS: the ioctl that returns the user namespace that owns another namespace."""
_SHM_INFO = 14
_SOCK_DIAG, _BY_FAMILY, _DUMP, _DONE, _ERROR = 4, 20, 0x301, 3, 2
_ANY_STATE = 0xFFFFFFFF
_UNIX_MEMORY, _INET_MEMORY = 5, 7
"""Numbers of the attributes that hold a socket's memory, as numbers of 32 bits."""
_RECEIVED, _SENT, _BACKLOG = 0, 2, 7
"""Places in that attribute: bytes that wait to be read, bytes that were sent and are not read, and those on the way."""


def namespace_bytes(pid: int) -> tuple[int, int]:
    """Return the bytes of System V segments and of socket buffers in a sandboxed process's namespaces.

    Returns (0, 0) where the kernel does not tell, and for a process in this process's own namespaces.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            segments = _segment_bytes() if _enter(pid, "ipc") else 0
            os.write(writer, struct.pack("QQ", segments, 0))
            sockets = _socket_bytes() if _enter(pid, "net") else 0
            os.write(writer, struct.pack("QQ", segments, sockets))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    size = struct.calcsize("QQ")
    last = answer[len(answer) // size * size - size :][:size]
    return struct.unpack("QQ", last) if len(last) == size else (0, 0)


def _enter(pid: int, kind: str) -> bool:
    """Enter a namespace of another process, and before it the user namespace that owns it."""
    path = f"/proc/{pid}/ns/{kind}"
    if os.readlink(path) == os.readlink(f"/proc/self/ns/{kind}"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    wanted = os.open(path, os.O_RDONLY)
    owner = fcntl.ioctl(wanted, _OWNER)
    # Refused with EINVAL where it is this process's own already.
    library.setns(owner, 0)
    return bool(library.setns(wanted, 0) == 0)


def _segment_bytes() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    # struct shm_info: the number of segments, then pages in all, in memory and in swap.
    found = (ctypes.c_ulong * 8)()
    if library.shmctl(0, _SHM_INFO, ctypes.byref(found)) < 0:
        return 0
    return (found[2] + found[3]) * os.sysconf("SC_PAGE_SIZE")


def _socket_bytes() -> int:
    unix = struct.pack("BBHIIIII", socket.AF_UNIX, 0, 0, _ANY_STATE, 0, 0x20, _ANY_STATE, _ANY_STATE)
    total = sum(_answers(unix, header=16, attribute=_UNIX_MEMORY))
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
            request = struct.pack("BBBBI48x", family, protocol, 1 << (_INET_MEMORY - 1), 0, _ANY_STATE)
            total += sum(_answers(request, header=72, attribute=_INET_MEMORY))
    return total


def _answers(request: bytes, *, header: int, attribute: int) -> list[int]:
    """Return the memory of each socket that answers a request of sock_diag(7)."""
    found: list[int] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
        link.settimeout(0.2)
        link.send(struct.pack("IHHII", 16 + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
        while True:
            data = link.recv(1 << 18)
            while len(data) >= 16:
                length, kind = struct.unpack_from("IH", data)
                if kind in (_DONE, _ERROR) or length < 16:
                    return found
                found.append(_memory(data[16 + header : length], attribute))
                data = data[(length + 3) & ~3 :]


def _memory(attributes: bytes, wanted: int) -> int:
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("HH", attributes)
        if length < 4:
            return 0
        if kind == wanted:
            words = struct.unpack_from(f"{(length - 4) // 4}I", attributes, 4)
            return int(words[_RECEIVED] + words[_SENT] + (words[_BACKLOG] if len(words) > _BACKLOG else 0))
        attributes = attributes[(length + 3) & ~3 :]
    return 0
