"""Builds the seccomp filter of the system calls that a sandboxed trial may not make. Returns bytes; loads nothing.

The sandbox has no capabilities and its own namespaces, so most of what is refused here would fail anyway. The filter
closes what namespaces leave open: the kernel's keyrings, virtual-machine sockets, io_uring (whose requests no filter
sees), new user namespaces in which a process is root again, programs with the setuid bit, which would stay in the
trial's folder and run for others as the user, and calls with a long history of vulnerabilities.

The filter is a classic BPF program over `struct seccomp_data`: word 0 is the call's number, word 1 the architecture,
arguments follow from byte 16 in 8 bytes each, low word first on both machines known here.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_REFUSE, _MISSING = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, as flags of clone."""
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (glibc lists addresses by it); AF_VSOCK, for example, ignores namespaces."""
_TERMINAL_REQUESTS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which type into a terminal."""
_SETUID_OR_SETGID = 0o6000
_CREATE = 0o100
"""O_CREAT: without it an open ignores its mode, and the argument may hold anything."""
_X32 = 0x40000000
"""First number of x86-64's second ABI, whose calls would bypass the numbers below."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """An architecture: its id, the calls whose arguments are checked, and those that are always refused.

    Attributes:
        modes: calls that set a file's mode, with the index of the mode argument.
        opens: calls that may create a file, with the index of the flags; the mode is the next argument.
    """

    architecture: int
    clone: int
    ioctl: int
    socket: int
    modes: tuple[tuple[int, int], ...]
    opens: tuple[tuple[int, int], ...]
    refused: tuple[int, ...]


# Numbers from 424 on are the same everywhere.
_REFUSED_EVERYWHERE = (428, 429, 430, 431, 432, 433, 438, 440, 442, 443, 467)
"""open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, process_madvise, mount_setattr, quotactl_fd,
open_tree_attr."""
_UNIMPLEMENTED = (425, 426, 427, 435, 437)
"""io_uring_setup, _enter, _register; clone3 and openat2, whose flags are in memory that no filter can read. Libraries
fall back to clone and openat when the kernel does not implement these."""
_FCHMODAT2 = (452, 2)
_X86_64 = _Machine(
    architecture=0xC000003E,
    clone=56,
    ioctl=16,
    socket=41,
    # chmod, fchmod, fchmodat, creat, mknod, mknodat
    modes=((90, 1), (91, 1), (268, 2), (85, 1), (133, 1), (259, 2), _FCHMODAT2),
    opens=((2, 1), (257, 2)),  # open, openat
    refused=(
        101, 310, 311, 312,            # ptrace, process_vm_readv, process_vm_writev, kcmp
        165, 166, 155, 161,            # mount, umount2, pivot_root, chroot
        272, 308,                      # unshare, setns
        248, 249, 250,                 # add_key, request_key, keyctl
        321, 298, 323,                 # bpf, perf_event_open, userfaultfd
        246, 320, 169,                 # kexec_load, kexec_file_load, reboot
        174, 175, 313, 176, 177, 178,  # create_module, init_module, finit_module, delete_module, two old queries
        167, 168, 163, 179, 103,       # swapon, swapoff, acct, quotactl, syslog
        164, 227, 305, 159,            # settimeofday, clock_settime, clock_adjtime, adjtimex
        170, 171, 172, 173, 154,       # sethostname, setdomainname, iopl, ioperm, modify_ldt
        303, 304, 300, 212, 180,       # name_to_handle_at, open_by_handle_at, fanotify_init, lookup_dcookie, nfsservctl
        153, 134, 136, 139, 156,       # vhangup, uselib, ustat, sysfs, _sysctl
    ),
)  # fmt: skip
_AARCH64 = _Machine(
    architecture=0xC00000B7,
    clone=220,
    ioctl=29,
    socket=198,
    modes=((52, 1), (53, 2), (33, 2), _FCHMODAT2),  # fchmod, fchmodat, mknodat
    opens=((56, 2),),  # openat
    refused=(
        117, 270, 271, 272,            # ptrace, process_vm_readv, process_vm_writev, kcmp
        40, 39, 41, 51,                # mount, umount2, pivot_root, chroot
        97, 268,                       # unshare, setns
        217, 218, 219,                 # add_key, request_key, keyctl
        280, 241, 282,                 # bpf, perf_event_open, userfaultfd
        104, 294, 142,                 # kexec_load, kexec_file_load, reboot
        105, 273, 106,                 # init_module, finit_module, delete_module
        224, 225, 89, 60, 116,         # swapon, swapoff, acct, quotactl, syslog
        170, 112, 266, 171,            # settimeofday, clock_settime, clock_adjtime, adjtimex
        161, 162,                      # sethostname, setdomainname
        264, 265, 262, 18, 42,         # name_to_handle_at, open_by_handle_at, fanotify_init, lookup_dcookie, nfsservctl
        58,                            # vhangup
    ),
)  # fmt: skip
MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def filter_program(machine: str | None = None) -> bytes:
    """Return the filter for a machine as `uname -m` names it; for this machine if left out.

    Raises:
        KeyError: the numbers of its system calls are not known here.
    """
    calls = MACHINES[machine or platform.machine()]
    program = [_load(_ARCHITECTURE), *_unless_equal(calls.architecture, [_return(_KILL_PROCESS)]), _load(_NUMBER)]
    if calls is _X86_64:
        program += [_step(_JUMP_IF_AT_LEAST, _X32, otherwise=1), _return(_MISSING)]
    for number in _UNIMPLEMENTED:
        program += _if_equal(number, [_return(_MISSING)])
    for number in (*calls.refused, *_REFUSED_EVERYWHERE):
        program += _if_equal(number, [_return(_REFUSE)])
    program += _if_equal(calls.clone, _refuse_bits(0, _NEW_NAMESPACES))
    program += _check_modes(calls)
    families = [step for family in _FAMILIES for step in _if_equal(family, [_return(_ALLOW)])]
    program += _if_equal(calls.socket, [_load(_argument(0)), *families, _return(_ERRNO | errno.EAFNOSUPPORT)])
    typing = [step for request in _TERMINAL_REQUESTS for step in _if_equal(request, [_return(_REFUSE)])]
    program += _if_equal(calls.ioctl, [_load(_argument(1)), *typing, _return(_ALLOW)])
    return b"".join([*program, _return(_ALLOW)])


def _check_modes(calls: _Machine) -> list[bytes]:
    """Return the steps that refuse a setuid or setgid bit in a new file's mode."""
    program: list[bytes] = []
    for number, index in calls.modes:
        program += _if_equal(number, _refuse_bits(index, _SETUID_OR_SETGID))
    for number, index in calls.opens:
        creates = [_load(_argument(index)), _step(_JUMP_IF_ANY_BIT, _CREATE, then=1), _return(_ALLOW)]
        program += _if_equal(number, [*creates, *_refuse_bits(index + 1, _SETUID_OR_SETGID)])
    return program


def _refuse_bits(index: int, bits: int) -> list[bytes]:
    """Return the steps that refuse a call whose argument has any of these bits, and allow it otherwise."""
    return [_load(_argument(index)), _step(_JUMP_IF_ANY_BIT, bits, otherwise=1), _return(_REFUSE), _return(_ALLOW)]


def _argument(index: int) -> int:
    return _ARGUMENTS + 8 * index


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one `struct sock_filter`; `then` and `otherwise` are the numbers of steps that a jump skips."""
    return struct.pack("HBBI", code, then, otherwise, value)


def _load(offset: int) -> bytes:
    return _step(_LOAD, offset)


def _return(verdict: int) -> bytes:
    return _step(_RETURN, verdict)


def _if_equal(value: int, steps: Sequence[bytes]) -> list[bytes]:
    return [_step(_JUMP_IF_EQUAL, value, otherwise=len(steps)), *steps]


def _unless_equal(value: int, steps: Sequence[bytes]) -> list[bytes]:
    return [_step(_JUMP_IF_EQUAL, value, then=len(steps)), *steps]
