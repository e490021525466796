"""Training scripts that try to escape the sandbox or to cheat the evaluation, and how each must end.

A script knows everything that an attacker may know: the names in capitals are the fields of `Victim` in prison.py.
Before it runs, the artifacts hold an honest prediction, which the evaluation gives a loss of 0.75. A script that
succeeds calls escaped(), or leaves a trace outside; the test looks for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HONEST = "honest"
"""The trial completes, with the loss of the honest prediction."""


@dataclass(frozen=True)
class Escape:
    """One script. `ends` is HONEST or kinds of failure, joined by |; `because` is part of the reason or the tail."""

    name: str
    script: str
    ends: str = "crash"
    because: str | Sequence[str] = ""
    run: Mapping[str, Any] = field(default_factory=dict)


REFUSED = "Operation not permitted"
READ_ONLY = "Read-only file system"
ABSENT = "No such file or directory"
NO_ROUTE = "Network is unreachable"

_CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 1, "aarch64": 2}[os.uname().machine]
for call in CALLS:
    name, number, arguments, expected = call[0], call[column], call[3], call[4]
    result, error = libc.syscall(number, *arguments), os.strerror(ctypes.get_errno())
    print(name, result, error)
    if result != -1 or error != expected: escaped(name, result, error)
"""


NETWORK = [
    Escape(
        "connect to a service on the loopback",
        "import socket\nsocket.create_connection(('127.0.0.1', PORT), 2).send(b'x')\nescaped()",
        because="Connection refused",
    ),
    Escape(
        "connect to an outside host",
        "import socket\nsocket.create_connection(('192.0.2.1', 443), 2)\nescaped()",
        because=NO_ROUTE,
    ),
    Escape(
        "send a datagram outside",
        "import socket as s\ns.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))\nescaped()",
        because=NO_ROUTE,
    ),
    Escape(
        "ask the cloud's metadata service",
        "import socket\nsocket.create_connection(('169.254.169.254', 80), 2)\nescaped()",
        because=NO_ROUTE,
    ),
    Escape(
        "connect by IPv6",
        "import socket\ns = socket.socket(socket.AF_INET6)\ns.connect(('2001:db8::1', 443))\nescaped()",
        because=[NO_ROUTE, "Cannot assign requested address"],
    ),
    Escape(
        "connect to a service's socket file",
        "import socket\nsocket.socket(socket.AF_UNIX).connect(SOCKET)\nescaped()",
        because=ABSENT,
    ),
    Escape(
        "connect to an abstract socket",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0' + ABSTRACT)\nescaped()",
        because="Connection refused",
    ),
    Escape(
        "reach the hypervisor by vsock",
        "import socket\nsocket.socket(40, socket.SOCK_STREAM)\nescaped()",
        because="Address family not supported",
    ),
    Escape(
        "read packets off the wire",
        "import socket\nsocket.socket(17, socket.SOCK_RAW)\nescaped()",
        because="Address family not supported",
    ),
]

SECRETS = [
    Escape("read the ssh key", "escaped(open(HOME + '/.ssh/id_ed25519').read())", because=ABSENT),
    Escape(
        "list every home",
        """
        import glob, os, sys
        found = [f for h in ("/home/*", "/root", os.path.dirname(HOME)) for f in glob.glob(h + "/.*")]
        # The interpreter may lie in a home, and is shown.
        found = [f for f in found if not (sys.prefix + " " + sys.base_prefix).count(f)]
        if found: escaped(found)
        if os.path.exists(HOME): escaped()
        print("loss=0")
        """,
        HONEST,
    ),
    Escape(
        "read keys in the environment",
        """
        import os
        print(dict(os.environ))
        found = [n for n in os.environ if any(w in n for w in ("KEY", "TOKEN", "PASSWORD", "PROXY"))]
        if found: escaped(found)
        """,
        HONEST,
    ),
    Escape(
        "read keys in other processes' environments",
        """
        import glob
        for name in glob.glob("/proc/[0-9]*/environ"):
            text = open(name).read()
            if "KEY" in text or "MARK" in text: escaped(name, text)
        """,
        HONEST,
    ),
    Escape("read the loop's environment", "escaped(open(f'/proc/{LOOP}/environ').read())", because=ABSENT),
    Escape("read the passwords of the machine", "escaped(open('/etc/shadow').read())", because=ABSENT),
    Escape("read the project's own secrets", "escaped(open(PROJECT + '/.env').read())", because=ABSENT),
    Escape(
        "read what other trials left",
        """
        import os
        names = os.listdir(STUDY + "/trials")
        if names != [os.path.basename(os.environ["TUNESMITH_TRIAL_FOLDER"])]: escaped(names)
        if set(os.listdir(STUDY)) - {"trials", "reporting"}: escaped(os.listdir(STUDY))
        """,
        HONEST,
    ),
    Escape("read the history", "escaped(open(HISTORY, 'rb').read())", because=ABSENT),
    Escape(
        "go through the first process's root",
        "escaped(open('/proc/1/root' + HOME + '/.ssh/id_ed25519').read())",
        because=[ABSENT, "Permission denied"],
    ),
    Escape(
        "climb out by ..",
        "import os\nos.chdir('/proc/self/cwd')\nescaped(open('../' * 40 + HOME[1:] + '/.bashrc').read())",
        because=ABSENT,
    ),
    Escape(
        "read the kernel's memory", "open('/proc/kcore', 'rb').read(16)\nescaped()", because=[REFUSED, "denied", ABSENT]
    ),
    Escape(
        "send what it finds by its own output",
        """
        import os
        for place in (HOME, PROJECT, STUDY, "/run", "/var", "/mnt", "/srv"):
            for folder, _, names in os.walk(place):
                for name in names:
                    try: print(open(os.path.join(folder, name), errors="replace").read(1000))
                    except OSError: pass
        """,
        HONEST,
    ),
]


def _open(name: str, path: str) -> Escape:
    # Opened and not written, so that a success does no harm to the machine.
    return Escape(f"write {name}", f"open({path!r}, 'r+')\nescaped()", because=(READ_ONLY, "denied", REFUSED, ABSENT))


def _write(name: str, path: str, because: str | Sequence[str] = (READ_ONLY, ABSENT)) -> Escape:
    return Escape(f"write {name}", f"open({path}, 'a').write('# hacked')\nescaped()", because=because)


OUTSIDE = [
    _write("a file of the user", "PRECIOUS"),
    _write("the user's shell settings", "HOME + '/.bashrc'"),
    _write("the project", "PROJECT + '/train.py'"),
    _write("the snapshot that others run from", "SNAPSHOT + '/train.py'"),
    _write("the history", "HISTORY"),
    _write("the filter of the next trial", "STUDY + '/seccomp.bpf'"),
    _write("the next trial's folder", "STUDY + '/trials/9999'"),
    _write("its own log", "__import__('os').environ['TUNESMITH_TRIAL_FOLDER'] + '/log.txt'"),
    _write("a program of the system", "'/usr/local/bin/hacked'"),
    _write("a timer of the system", "'/etc/cron.d/hacked'", (READ_ONLY, ABSENT)),
    _write("Python's own modules", "__import__('os').__file__", (READ_ONLY, "denied")),
    _write("the root folder", "'/hacked'"),
    _write("a device folder", "'/dev/hacked'"),
    _open("a setting of the kernel, by which root runs a program", "/proc/sys/kernel/core_pattern"),
    _open("the kernel's emergency switch", "/proc/sysrq-trigger"),
    _open("a setting of the kernel's modules", "/sys/module/kernel/parameters/panic"),
    Escape(
        "edit the history database",
        "import sqlite3\nd = sqlite3.connect(HISTORY)\nd.execute('update trials set value = 0')\nescaped()",
        because="unable to open database file",
    ),
    Escape("hard-link a file of the user", "import os\nos.link(PRECIOUS, 'mine')\nescaped()", because=ABSENT),
    Escape(
        "change a linked data file",
        "f = open('big.bin', 'r+b')\nf.write(b'hacked')\nescaped()",
        because=READ_ONLY,
    ),
    Escape(
        "replace a folder by a link, for the clean-up to follow",
        """
        import os, shutil
        shutil.rmtree("data")
        os.symlink(PROJECT + "/data", "data")
        shutil.rmtree("nested/deep")
        os.symlink(os.path.dirname(PRECIOUS), "nested/deep")
        """,
        HONEST,
    ),
    Escape(
        "leave a program with the setuid bit",
        "import os, shutil\nshutil.copy('/bin/sh', 'sh')\nos.chmod('sh', 0o4755)\nescaped()",
        because=REFUSED,
    ),
    Escape(
        "create one with the setuid bit",
        "import os\nos.close(os.open('sh', os.O_CREAT | os.O_WRONLY, 0o6755))\nescaped()",
        because=REFUSED,
    ),
    Escape(
        "make a device",
        "import os, stat\nos.mknod('disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))\nescaped()",
        because=REFUSED,
    ),
]

PROCESSES = [
    Escape(
        "kill its parent",
        "import os\nfor pid in (os.getppid(), 1): os.kill(pid, 9)\nassert os.getppid() == 1",
        HONEST,
    ),
    Escape("kill the loop", "import os\nos.kill(LOOP, 9)\nescaped()", because="No such process"),
    Escape("kill a process of the user", "import os\nos.kill(OTHER, 9)\nescaped()", because="No such process"),
    Escape(
        "kill everything",
        "import os\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: pass",
        HONEST,
    ),
    Escape(
        "trace another process",
        """
        import ctypes, os, time
        pid = os.fork()
        if pid == 0: time.sleep(5); os._exit(0)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, pid, 0, 0) == 0: escaped()
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        """,
        because=REFUSED,
    ),
    Escape("write another process's memory", "open('/proc/1/mem', 'r+b').read(1)\nescaped()", because="Errno"),
    Escape(
        "leave a daemon that keeps writing",
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    open(os.environ["TUNESMITH_ARTIFACTS"] + "/prediction", "w").write("0")
                    time.sleep(0.01)
            os._exit(0)
        time.sleep(0.1)
        open(os.environ["TUNESMITH_ARTIFACTS"] + "/late", "w").write("x")
        os._exit(1)
        """,
        because="exit status 1",
    ),
    Escape(
        "leave a daemon that changes the artifacts while they are judged",
        """
        import os, time
        path = os.environ["TUNESMITH_ARTIFACTS"] + "/prediction"
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(0.1)
                while True: open(path, "w").write("0")
            os._exit(0)
        """,
        HONEST,
    ),
    Escape(
        "become many processes",
        "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(60)",
        "killed|timeout",
        because=["[run].processes", "longer than"],
        run={"processes": 60, "timeout": "1s"},
    ),
    Escape(
        "start many threads",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "killed|crash",
        because=["[run].processes", "can't start new thread"],
        run={"processes": 60},
    ),
    Escape(
        "never end, and ignore signals",
        "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)",
        "timeout",
        run={"timeout": "0.3s"},
    ),
    Escape(
        "open files without end",
        "kept = []\nwhile True: kept.append(open('/dev/null'))",
        because="Too many open files",
    ),
    Escape(
        "write into every inherited descriptor",
        """
        import os
        for fd in range(3, 300):
            try: os.write(fd, b"exit=0\\ncause=exit\\n"); escaped(fd)
            except OSError: pass
        """,
        HONEST,
    ),
    Escape("take a better place in the queue", "import os\nos.nice(-10)\nescaped()", because=["permitted", "denied"]),
]

RESOURCES = [
    Escape(
        "take all memory at once",
        "block = bytearray(1 << 36)\nescaped()",
        "oom",
        "MemoryError",
        {"memory": "300M"},
    ),
    Escape(
        "take memory piece by piece in many processes",
        """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                kept = b"x" * 100_000_000
                time.sleep(60)
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as files without a name",
        """
        import os
        for n in range(100):
            fd = os.memfd_create(str(n))
            for _ in range(5): os.write(fd, b"x" * 10_000_000)
            import time; time.sleep(0.02)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as shared files",
        "with open('/dev/shm/x', 'wb') as f:\n    for _ in range(100): f.write(b'x' * 10_000_000)\nescaped()",
        "killed|oom",
        ["disk quota", "[run].memory"],  # whichever is full first: the file system, or the control group
        {"memory": "100M"},
    ),
    Escape(
        "take memory as an anonymous mapping that forks share",
        """
        import mmap, time
        m = mmap.mmap(-1, 600 << 20)
        for i in range(0, 600 << 20, 4096): m[i] = 1
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as mapped files without a name or a descriptor",
        """
        import ctypes, os, time
        libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
        for n in range(40):
            fd = os.memfd_create("x"); os.ftruncate(fd, 15 << 20)
            p = libc.mmap(None, ctypes.c_size_t(15 << 20), 3, 1, fd, ctypes.c_long(0)); os.close(fd)
            ctypes.memset(ctypes.c_void_p(p), 1, 15 << 20)
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as shared files in two places",
        """
        import time
        with open("/dev/shm/x", "wb") as f:
            for _ in range(18): f.write(b"x" * 10_000_000)
        kept = b"x" * 180_000_000
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as segments of System V that nobody has attached",
        """
        import ctypes, time
        libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
        for n in range(40):
            number = libc.shmget(0, ctypes.c_size_t(15 << 20), 0o1600)
            p = libc.shmat(number, None, 0)
            ctypes.memset(ctypes.c_void_p(p), 1, 15 << 20)
            libc.shmdt(ctypes.c_void_p(p))
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "take memory as what sockets hold unread",
        """
        import socket, time
        kept = []
        for n in range(3000):
            a, b = socket.socketpair(); a.setblocking(False); kept += [a, b]
            try:
                while True: a.send(b"x" * 60_000)
            except BlockingIOError: pass
        time.sleep(60)
        """,
        "oom",
        "[run].memory",
        {"memory": "300M"},
    ),
    Escape(
        "allocate blocks of the disk beyond the end of a file",
        """
        import ctypes, os, time
        libc = ctypes.CDLL(None)
        libc.fallocate(os.open("big", os.O_CREAT | os.O_RDWR), 1, ctypes.c_long(0), ctypes.c_long(50 << 20))
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with attributes of empty files",
        """
        import os, time
        for n in range(4000):
            os.close(os.open(f"f{n}", os.O_CREAT | os.O_RDWR))
            try: os.setxattr(f"f{n}", "user.x", b"x" * 3900)
            except OSError: open("whole", "ab").write(b"x" * 4000)  # this file system has none
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with empty folders",
        "import os, time\nfor n in range(4000): os.mkdir(f'd{n}')\ntime.sleep(60)",
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with files that it deletes and keeps mapped",
        """
        import mmap, os, time
        kept = []
        for n in range(60):
            with open("x", "wb+") as f:
                f.write(b"x" * 1_000_000)
                f.flush()
                kept.append(mmap.mmap(f.fileno(), 1_000_000))
            os.unlink("x")
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with one file",
        "with open('x', 'wb') as f:\n    for _ in range(100): f.write(b'x' * 1_000_000)\nescaped()",
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with many files",
        """
        import time
        for n in range(100): open(f"x{n}", "wb").write(b"x" * 1_000_000)
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk by /tmp",
        """
        import time
        for n in range(100): open(f"/tmp/x{n}", "wb").write(b"x" * 1_000_000)
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk with files that it deletes and keeps",
        """
        import os, time
        kept = []
        for n in range(100):
            kept.append(open("x", "wb", buffering=0))
            kept[-1].write(b"x" * 1_000_000)
            os.unlink("x")
        time.sleep(60)
        """,
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "fill the disk by its report",
        "import os\nf = open(os.environ['TUNESMITH_REPORT'], 'wb')\nfor _ in range(9): f.write(b'x' * 1_000_000)",
        "killed",
        "disk quota",
        {"disk": "5M"},
    ),
    Escape(
        "hide what it writes in a locked folder",
        """
        import os, time
        os.mkdir("x")
        fd = os.open("x", os.O_RDONLY)
        os.chmod("x", 0o300)
        for n in range(100):
            with open(f"x/{n}", "wb") as f: f.write(b"x" * 1_000_000)
        time.sleep(60)
        """,
        "killed",
        ["disk quota"],
        {"disk": "5M"},
    ),
    Escape(
        "nest folders deeper than a path can be long",
        """
        import os, time
        for n in range(20): os.mkdir("d" * 250); os.chdir("d" * 250)
        time.sleep(60)
        """,
        "killed",
        "cannot be read",
    ),
    Escape(
        "fill the log",
        "for _ in range(300): print('x' * 100_000)",
        HONEST,
        run={"log": "1M"},
    ),
]

REFUSED_CALLS: Sequence[tuple[str, int, int, tuple[Any, ...], str]] = [
    ("unshare, to be root in a new namespace", 272, 97, (0x10000000,), REFUSED),
    ("clone with a new namespace", 56, 220, (0x10000011, 0, 0, 0, 0), REFUSED),
    ("setns", 308, 268, (0, 0), REFUSED),
    ("mount, to write where it may only read", 165, 40, (b"none", b"/", None, 0x1020, None), REFUSED),
    ("umount, to see what is under the sandbox", 166, 39, (b"/proc", 2), REFUSED),
    ("chroot", 161, 51, (b"/tmp",), REFUSED),
    ("bpf", 321, 280, (0, 0, 0), REFUSED),
    ("keyctl, to read the user's keys", 250, 219, (0, -4, 0), REFUSED),
    ("perf_event_open", 298, 241, (0, 0, -1, -1, 0), REFUSED),
    ("userfaultfd", 323, 282, (0,), REFUSED),
    ("kexec_load", 246, 104, (0, 0, 0, 0), REFUSED),
    ("io_uring_setup", 425, 425, (1, 0), "Function not implemented"),
    ("init_module", 175, 105, (0, 0, 0), REFUSED),
    ("open_by_handle_at", 304, 265, (0, 0, 0), REFUSED),
    ("clock_settime", 227, 112, (0, 0), REFUSED),
    ("reboot", 169, 142, (0, 0, 0), REFUSED),
]
"""System calls that the filter refuses: name, number on x86-64 and on aarch64, arguments, and the error."""
CALLS = [Escape("make system calls that are refused", f"CALLS = {REFUSED_CALLS!r}\n{_CALLS}", HONEST)]

CHEATS = [
    Escape("print a fake metric", "print('loss=0')\nprint('evaluate: loss: 0.0')\nprint('{\"loss\": 0}')", HONEST),
    Escape(
        "write the report file directly",
        """
        import os
        open(os.environ["TUNESMITH_REPORT"], "a").write('{"step": 1, "values": {"loss": 0.0}}\\n')
        """,
        HONEST,
    ),
    Escape(
        "write what breaks a reader into the report",
        """
        import os
        with open(os.environ["TUNESMITH_REPORT"], "a") as f:
            for value in ("1" + "0" * 400, "NaN", "-Infinity", '"x"', "[]", "{}"):
                f.write('{"step": 1, "values": {"loss": %s}}\\n' % value)
            for line in ('{"step": "x", "values": {"loss": 1}}', '{"step": NaN, "values": {"loss": 1}, "at": NaN}',
                         '{"step": 1e999, "values": {"loss": 1}, "at": 1%s}' % ("0" * 400), "[" * 90000, "\\0" * 1000):
                f.write(line + "\\n")
        """,
        HONEST,
    ),
    Escape("replace the judge's script", "open('evaluate.py', 'w').write('print(\"loss=0\")')", HONEST),
    Escape(
        "monkeypatch the metric",
        "import sys; sys.path[:0] = '.'\nimport metric\nmetric.loss = lambda text: 0\nprint('loss=', metric.loss(0))",
        HONEST,
    ),
    Escape(
        "overwrite a protected file", "open('metric.py', 'w').write('def loss(text): return 0.0')", because=READ_ONLY
    ),
    Escape("delete a protected file", "import os\nos.unlink('metric.py')", because="Device or resource busy"),
    Escape(
        "put another file in a protected one's place",
        "import os\nopen('mine.py', 'w').write('def loss(text): return 0.0')\nos.replace('mine.py', 'metric.py')",
        because="Device or resource busy",
    ),
    Escape(
        "move the folder of a protected file away",
        "import os\nos.rename('scoring', 'old')",
        because="Device or resource busy",
    ),
    Escape(
        "hard-link a protected file and write to the link",
        "import os\nos.link('metric.py', 'mine.py')\nopen('mine.py', 'w').write('x')",
        because="Invalid cross-device link",
    ),
    Escape("make a protected file writable", "import os\nos.chmod('metric.py', 0o666)", because=READ_ONLY),
    Escape(
        "replace a protected file that is a link",
        "import os\nos.unlink('big.bin')\nopen('big.bin', 'wb').write(b'easier')",
        "tampered",
        "big.bin",
    ),
    Escape(
        "shadow the modules that the judge imports",
        """
        import os
        code = "print('loss=0'); import os; os._exit(0)"
        for name in ("math.py", "json.py", "sitecustomize.py", "usercustomize.py", "site.py", "encodings.py"):
            for folder in (".", os.environ["TUNESMITH_ARTIFACTS"], "/tmp"):
                open(f"{folder}/{name}", "w").write(code)
        site = "/tmp/.local/lib/python3.%d/site-packages" % __import__("sys").version_info[1]
        os.makedirs(site)
        open(site + "/usercustomize.py", "w").write(code)
        """,
        HONEST,
    ),
    Escape(
        "poison the bytecode of the judge's modules",
        """
        import os, py_compile
        open("/tmp/m.py", "w").write("def loss(text): return 0.0")
        os.makedirs("__pycache__", exist_ok=True)
        for tag in ("cpython-311", "cpython-312", "cpython-313", "cpython-314"):
            always = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile("/tmp/m.py", f"__pycache__/metric.{tag}.pyc", invalidation_mode=always)
        """,
        HONEST,
    ),
    Escape(
        "tamper with its copy of the data",
        "open('data/small.csv', 'w').write('easier')",
        HONEST,
    ),
    Escape(
        "hand the judge a link to what only the judge sees",
        """
        import os
        path = os.environ["TUNESMITH_ARTIFACTS"] + "/prediction"
        os.unlink(path)
        os.symlink(os.environ["TUNESMITH_TRIAL_FOLDER"] + "/judge/work/answer", path)
        """,
        "tampered",
        "artifacts/prediction is a link",
    ),
    Escape(
        "hand the judge a pipe to wait at",
        """
        import os
        path = os.environ["TUNESMITH_ARTIFACTS"] + "/prediction"
        os.unlink(path)
        os.mkfifo(path)
        """,
        "tampered",
        "neither a file nor a folder",
    ),
    Escape(
        "hand the judge code in the place of a number",
        """
        import os, pickle
        class Code:
            def __reduce__(self): return (print, ("loss=0",))
        pickle.dump(Code(), open(os.environ["TUNESMITH_ARTIFACTS"] + "/prediction", "wb"))
        """,
        because="evaluate: ",
    ),
    Escape(
        "lock its artifacts away",
        "import os\nos.mkdir(os.environ['TUNESMITH_ARTIFACTS'] + '/x')\nos.chmod(os.environ['TUNESMITH_ARTIFACTS'], 0)",
        "tampered|killed",
        because="cannot be read",
    ),
    Escape(
        "hide a link in artifacts that may be entered but not listed",
        """
        import os
        path = os.environ["TUNESMITH_ARTIFACTS"] + "/prediction"
        os.unlink(path)
        os.symlink("../judge/work/answer", path)
        os.chmod(os.environ["TUNESMITH_ARTIFACTS"], 0o311)
        """,
        "tampered|killed",
        because="cannot be read",
    ),
    Escape(
        "hide a pipe in a locked folder of its artifacts",
        """
        import os
        os.chdir(os.environ["TUNESMITH_ARTIFACTS"])
        os.makedirs("a/b")
        os.mkfifo("a/b/pipe")
        os.chmod("a/b", 0o100)
        """,
        "tampered|killed",
        because="cannot be read",
    ),
    Escape(
        "hand the judge a folder that is a link",
        'import os\nos.symlink("/usr", os.environ["TUNESMITH_ARTIFACTS"] + "/more")',
        "tampered",
        "artifacts/more is a link",
    ),
    Escape(
        "hand the judge a socket",
        """
        import os, socket
        os.chdir(os.environ["TUNESMITH_ARTIFACTS"])
        socket.socket(socket.AF_UNIX).bind("s")
        """,
        "tampered",
        "neither a file nor a folder",
    ),
    Escape(
        "leave a repository that runs a command when somebody asks for its status",
        """
        import os
        for top in (".git", "sub/.git", "bare"):
            for d in ("objects", "refs"): os.makedirs(f"{top}/{d}")
            open(f"{top}/HEAD", "w").write("ref: refs/heads/main\\n")
            open(f"{top}/config", "w").write('[core]\\n\\tfsmonitor = "touch %s/pwned; false"\\n' % PROJECT)
        open(".envrc", "w").write("touch %s/pwned" % PROJECT)
        """,
        HONEST,
    ),
    Escape(
        "write into the judge's folder",
        "import os\nos.makedirs(os.environ['TUNESMITH_TRIAL_FOLDER'] + '/judge/work')",
        because=READ_ONLY,
    ),
]

ESCAPES = [*NETWORK, *SECRETS, *OUTSIDE, *PROCESSES, *RESOURCES, *CALLS, *CHEATS]
