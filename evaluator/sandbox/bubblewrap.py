"""Wraps a command in bubblewrap: no network, a read-only machine without home folders, one writable folder.

docs/decisions/005-the-sandbox.md lists what the sandbox keeps out and what it does not. This module builds command
lines and starts nothing but one harmless probe; the supervisor limits memory and processes (supervision/supervisor.py).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from tunesmith.evaluator.executors.base import CommandSpec
from tunesmith.evaluator.sandbox import mounts
from tunesmith.evaluator.sandbox.seccomp import MACHINES, filter_program
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Failure

OPEN_FILES = 65536
"""Limit of open files in the sandbox."""
_FILTER_DESCRIPTOR = 9
_WITH_FILTER = f'exec {_FILTER_DESCRIPTOR}<"$0"; exec "$@"'
# Set inside, where the new user namespace counts only this trial's processes; dash spells it -p, bash -u.
_LIMITED = (
    "ulimit -c 0; ulimit -n {files} 2>/dev/null; "
    'ulimit -u {processes} 2>/dev/null || ulimit -p {processes} 2>/dev/null; exec "$@"'
)
_SCRATCH = (Path("/tmp"), Path("/var/tmp"))
_NO_NETWORK = re.compile(r"Network is unreachable|Temporary failure in name resolution|Name or service not known")
_MISSING = re.compile(r"No such file or directory: '(/[^']+)'|can't open file '(/[^']+)'")
_GPU_NODES = ("nvidia*", "dri", "kfd")
INSTALL = "apt install bubblewrap (dnf install bubblewrap, pacman -S bubblewrap)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialMounts:
    """What one command sees besides the system's folders, each under the path that it has outside.

    Attributes:
        writable: folders and files that the command may write.
        readable: further ones that it may read.
        locked: files within the writable folders that it may only read.
        scratch: folder that it sees as /tmp.
        gpus: whether it gets the GPUs' device nodes.
    """

    writable: Sequence[Path]
    readable: Sequence[Path]
    locked: Sequence[Path]
    scratch: Path
    gpus: bool = False


class Sandbox:
    """The sandbox of one study.

    Args:
        folder: where the filter and a copy of the system's settings are kept.
        data: folders that every trial may read.
        hidden: files and folders that no trial sees, even if something visible contains them.
        network: whether trials may use the machine's network.
        processes: largest number of a trial's processes and threads.
        memory_bytes: size of /dev/shm; None for half of the machine's memory.

    Raises:
        ProjectError: bubblewrap is missing or does not work here; the message says what to do.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Sequence[Path],
        hidden: Sequence[Path],
        network: bool,
        processes: int,
        memory_bytes: int | None,
    ) -> None:
        problem = sandbox_problem()
        if problem:
            raise ProjectError(f"[run].sandbox = true, but {problem}")
        self._data = list(data)
        self._hidden = list(hidden)
        self._processes = processes
        folder.mkdir(parents=True, exist_ok=True)
        self._empty = folder / "empty"
        self._empty.write_bytes(b"")
        self._filter = folder / "seccomp.bpf"
        self._filter.write_bytes(filter_program())
        settings = folder / "etc"
        shm_bytes = memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        self._machine = [*_isolation(network), *_system(settings, network), *_devices(shm_bytes)]

    def wrap(self, spec: CommandSpec, trial_mounts: TrialMounts) -> CommandSpec:
        """Return the command that runs the same command in the sandbox."""
        trial_mounts.scratch.mkdir(mode=0o700, exist_ok=True)
        limited = _LIMITED.format(files=OPEN_FILES, processes=self._processes)
        inner = ["/bin/sh", "-c", limited, "sh", *spec.argv]
        gpus = [word for node in _gpu_nodes() for word in ("--dev-bind", node, node)] if trial_mounts.gpus else []
        options = [*self._machine, *gpus, *self._mount_options(spec, trial_mounts), "--chdir", str(spec.cwd)]
        argv = ["/bin/sh", "-c", _WITH_FILTER, str(self._filter), shutil.which("bwrap") or "bwrap", *options, "--"]
        return replace(spec, argv=[*argv, *inner], processes=self._processes, is_sandboxed=True)

    def _mount_options(self, spec: CommandSpec, trial_mounts: TrialMounts) -> list[str]:
        words = [word for target in _SCRATCH for word in ("--bind", str(trial_mounts.scratch), str(target))]
        candidates = {*_needed(spec), *self._data, *trial_mounts.readable}
        shown = {p for p in candidates if not mounts.is_in_system(p) or self._is_hidden(p)}
        # Each mount costs every start, so what is visible through its folder anyway gets no mount.
        shown = {p for p in shown if self._is_hidden(p) or not any(q in shown for q in p.parents)}
        hidden = {p for p in self._hidden if p.exists() and p not in shown}
        hidden = {p for p in hidden if _is_visible(p, shown, hidden)}
        hidden |= {p for p in map(_top_in_scratch, (*shown, *trial_mounts.writable)) if p and p not in shown}
        # From the outside in, so that what is shown within a hidden folder is visible.
        for path in sorted(shown | hidden):
            words += self._hide(path) if path in hidden else _bind(path, "--ro-bind")
        for path in sorted(trial_mounts.writable):
            words += _bind(path, "--bind")
        for path in _with_parents(trial_mounts.locked, trial_mounts.writable):
            words += _bind(path, "--ro-bind" if path in trial_mounts.locked else "--bind")
        # Last, because bubblewrap creates mount points in these folders until then.
        closed = [*(path for path in sorted(hidden) if not path.is_file()), Path("/dev"), Path("/proc"), Path("/")]
        return [*words, *(word for path in closed for word in ("--remount-ro", str(path)))]

    def _hide(self, path: Path) -> list[str]:
        return ["--ro-bind", str(self._empty), str(path)] if path.is_file() else ["--tmpfs", str(path)]

    def _is_hidden(self, path: Path) -> bool:
        return any(path.is_relative_to(hidden) for hidden in self._hidden)


def _top_in_scratch(path: Path) -> Path | None:
    """Return the folder directly in /tmp that a path lies in, None for a path outside of /tmp.

    Without a mount, bubblewrap would create it, writable, in the sandbox's own /tmp.
    """
    scratch = next((folder for folder in _SCRATCH if folder in path.parents), None)
    return scratch and scratch / path.relative_to(scratch).parts[0]


def _is_visible(path: Path, shown: set[Path], hidden: set[Path]) -> bool:
    """Return whether the nearest folder above a path that is shown or hidden is shown."""
    roots = {*shown, *map(Path, mounts.SYSTEM)}
    return next((parent in roots for parent in path.parents if parent in roots or parent in hidden), False)


def _with_parents(locked: Sequence[Path], writable: Sequence[Path]) -> list[Path]:
    """Return the locked files and every folder on the way to them.

    A mount point cannot be renamed, so no other file can replace a locked one.
    """
    found = set(locked)
    for path in locked:
        found |= {p for p in path.parents if any(p.is_relative_to(root) and p != root for root in writable)}
    return sorted(found)


def _isolation(network: bool) -> list[str]:
    share = ["--share-net"] if network else []
    filtered = ["--seccomp", str(_FILTER_DESCRIPTOR)]
    return ["--unshare-all", *share, "--die-with-parent", "--new-session", "--cap-drop", "ALL", *filtered]


def _system(settings: Path, network: bool) -> list[str]:
    words: list[str] = []
    for root in map(Path, mounts.SYSTEM):
        if root.is_symlink():
            words += ["--symlink", os.readlink(root), str(root)]
        elif root.is_dir():
            words += _bind(root, "--ro-bind")
    folders = mounts.make_settings(settings)
    words += ["--ro-bind", str(settings), "/etc"]
    for path in folders:
        words += _bind(path, "--ro-bind")
    if network:
        # These change while a study runs, when a laptop moves to another network.
        names = [name for name in ("resolv.conf", "hosts") if (settings / name).exists()]
        words += [word for name in names for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")]
    return words


def _devices(shm_bytes: int) -> list[str]:
    size = ["--size", str(shm_bytes)] if _supports("--size") else []
    return ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm"]


def sandbox_problem() -> str:
    """Return why the sandbox does not work on this machine and what to do about it, "" if it works."""
    if platform.machine() not in MACHINES:
        return f"the sandbox supports only {' and '.join(MACHINES)}, not {platform.machine()}"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return f"bubblewrap (bwrap) is not installed: {INSTALL}"
    return _probe(bwrap)


def data_folders(data: Sequence[str], project: Path) -> list[Path]:
    """Return the folders of [run].data; relative ones lie in the project.

    Raises:
        ProjectError: one does not exist, or would show the user's home.
    """
    found = []
    for text in data:
        path = Path(os.path.normpath(project / os.path.expanduser(text)))
        if not path.exists():
            raise ProjectError(f"[run].data: {path} does not exist; correct the path or remove it")
        if mounts.is_too_wide(path) or mounts.is_too_wide(path.resolve()):
            raise ProjectError(f"[run].data: {path} would show every trial far more than data; name a folder within it")
        found += [path, path.resolve()]
    return found


def sandbox_hint(failure: Failure) -> str:
    """Return what to change in study.toml if the sandbox may be the reason of a failure, "" otherwise."""
    missing = _MISSING.search(failure.reason)
    if missing and os.path.exists(missing[1] or missing[2]):
        return " (the file is outside of the sandbox; to show it to trials, add its folder to [run].data)"
    if "Read-only file system" in failure.reason:
        return " (in the sandbox a trial may write only in its own folder, {artifacts} and /tmp)"
    if _NO_NETWORK.search(failure.reason) or _NO_NETWORK.search(failure.tail):
        return " (the sandbox has no network; allow it with [run].network = true)"
    return ""


def _bind(path: Path, option: str) -> list[str]:
    return [option, str(path), str(path)]


def _needed(spec: CommandSpec) -> tuple[Path, ...]:
    """Return what must be visible so that the command starts, and imports what it imports outside."""
    program, environment = spec.argv[0], spec.environment
    if os.sep in program:
        program = os.path.normpath(spec.cwd / program)
        if Path(program).is_relative_to(spec.cwd):
            program = "sh"
    # As in `env LANG=C /envs/x/bin/python train.py`.
    others = [word for word in spec.argv[1:] if os.path.isabs(word) and shutil.which(word)]
    return _needed_by((program, *others), environment.get("PATH"), environment.get("PYTHONPATH", ""))


@lru_cache(maxsize=64)
def _needed_by(programs: tuple[str, ...], path: str | None, python_path: str) -> tuple[Path, ...]:
    found = mounts.programs(programs, path)
    return (*found, *mounts.import_paths(found, python_path), *mounts.own_package())


@cache
def _probe(bwrap: str) -> str:
    probe = [bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    try:
        done = subprocess.run([*probe, "true"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap does not run: {error}"
    if done.returncode == 0:
        return ""
    reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"bubblewrap cannot make a sandbox here ({reason}): {_remedy()}"


def _remedy() -> str:
    """Return what an administrator has to change so that users may make namespaces."""
    switches: Mapping[str, tuple[str, str]] = {
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        "kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
        "user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    }
    for name, (bad, change) in switches.items():
        try:
            value = Path("/proc/sys", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == bad:
            return f"user namespaces are switched off; as root: {change}"
    return (
        "in a container, start it with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, "
        "or with --privileged"
    )


@cache
def _supports(option: str) -> bool:
    """Return whether the installed bubblewrap has an option."""
    done = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, timeout=20, check=False)
    return option in done.stdout + done.stderr


def _gpu_nodes() -> list[str]:
    return [str(node) for pattern in _GPU_NODES for node in sorted(Path("/dev").glob(pattern))]
