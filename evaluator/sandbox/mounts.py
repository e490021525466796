"""Lists what a sandboxed trial sees of this machine: the system's programs and its interpreter, but no home folder.

All of it is shown read-only, and what is not listed is not visible. Looks at files and links; runs nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
    "/sys/bus", "/sys/class", "/sys/devices", "/sys/module",
)  # fmt: skip
"""Folders with programs and with descriptions of the hardware. All of /sys would show its debugging files to root."""
SETTINGS = (
    "ld.so.cache", "passwd", "group", "nsswitch.conf", "hosts", "hostname", "host.conf", "resolv.conf", "gai.conf",
    "protocols", "services", "mime.types", "magic", "localtime", "timezone", "locale.alias", "locale.conf", "*-release",
    "debian_version", "machine-id", "ssl/cert.pem", "ssl/openssl.cnf", "pki/tls/cert.pem",
)  # fmt: skip
"""Files of /etc that programs read; the rest, such as passwords and the keys of services, is not visible."""
SETTINGS_FOLDERS = (
    "alternatives", "ssl/certs", "pki/ca-trust", "pki/tls/certs", "crypto-policies", "fonts", "OpenCL", "vulkan",
    "glvnd", "R",
)  # fmt: skip

_PYTHONS = ("python", "python3")


def homes() -> list[Path]:
    """Return the folders that hold what is private to the user."""
    own = Path(os.path.expanduser("~"))
    found = {Path("/home"), Path("/root"), Path("/etc"), Path("/var"), Path("/run"), own}
    return sorted(found | {path.resolve() for path in found})


def make_settings(folder: Path) -> list[Path]:
    """Make the folder that is shown as /etc, with copies of SETTINGS; return the folders of /etc to mount in it.

    The files are copied because one mount per file would slow down the start of every trial.
    """
    for path in {path for name in SETTINGS for path in Path("/etc").glob(name) if path.is_file()}:
        target = folder / path.relative_to("/etc")
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            shutil.copyfile(path, target)
    folders = [Path("/etc", name) for name in SETTINGS_FOLDERS if Path("/etc", name).is_dir()]
    for path in folders:
        (folder / path.relative_to("/etc")).mkdir(parents=True, exist_ok=True)
    return folders


def is_too_wide(path: Path) -> bool:
    """Return whether showing a folder would show a home folder or the whole machine."""
    return any(home.is_relative_to(path) for home in homes())


def is_in_system(path: Path) -> bool:
    """Return whether a path lies in one of the system's folders, which are shown anyway."""
    return any(path.is_relative_to(root) for root in SYSTEM)


def programs(words: Iterable[str], path: str | None) -> list[Path]:
    """Return what must be visible so that these programs, and the Python on PATH, start.

    Args:
        words: names or absolute paths.
        path: the PATH on which names are looked up.
    """
    found: dict[Path, None] = {}
    for word in (*words, *_PYTHONS):
        program = shutil.which(word, path=path)
        if program is not None:
            found |= dict.fromkeys(_needed_by(Path(os.path.normpath(program))))
    return [item for item in found if item.exists()]


def import_paths(prefixes: Iterable[Path], python_path: str) -> list[Path]:
    """Return the folders outside of its installation that Python imports from.

    They are PYTHONPATH, packages installed with `pip install -e` into one of the prefixes, and those installed with
    `pip install --user`.
    """
    found = [Path(part) for part in python_path.split(os.pathsep) if os.path.isabs(part)]
    found += _user_base().glob("lib/python3*")
    for prefix in prefixes:
        for site in prefix.glob("lib/python3*/site-packages"):
            found += _installed_in_place(site)
    return [path for path in dict.fromkeys(found) if path.exists() and not is_too_wide(path)]


def own_package() -> list[Path]:
    """Return the folders of Tunesmith itself, so that a script can import `tunesmith` to report."""
    package = Path(__file__).parents[2]
    return sorted({package, Path(__file__).parents[1].resolve()})


def _needed_by(program: Path, depth: int = 8) -> Iterator[Path]:
    """Follow the program's links and first line to every folder that it needs."""
    if depth == 0 or not os.path.lexists(program):
        return
    yield from _around(program, depth)
    if program.is_symlink():
        target = os.path.normpath(program.parent / os.readlink(program))
        yield from _needed_by(Path(target), depth - 1)
        return
    real = Path(os.path.realpath(program))
    if real != program:
        # A folder on the way is a link.
        yield from _needed_by(real, depth - 1)
    interpreter = _first_line(program)
    if interpreter:
        yield from _needed_by(Path(interpreter), depth - 1)


def _around(program: Path, depth: int) -> Iterator[Path]:
    """Yield the folders that belong to a program: its environment if it is in one, else only the program."""
    prefix = program.parent.parent
    if program.parent.name == "shims":
        # Of pyenv and asdf: a script that looks for the real program under the same root.
        yield prefix if not is_too_wide(prefix) else program
        return
    settings = prefix / "pyvenv.cfg"
    if settings.is_file():
        yield prefix
        home = re.search(r"^home\s*=\s*(.+)$", settings.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if home:
            yield from _needed_by(Path(home[1].strip()) / "python3", depth - 1)
    elif any(prefix.glob("lib/python3*")) or (prefix / "conda-meta").is_dir():
        is_shared = is_too_wide(prefix) or prefix == _user_base()
        # ~/.local also holds ~/.local/share with the user's keyrings.
        yield from (prefix / "bin", prefix / "lib") if is_shared else (prefix,)
    else:
        yield program


def _user_base() -> Path:
    return Path(os.environ.get("PYTHONUSERBASE") or os.path.expanduser("~/.local"))


def _first_line(program: Path) -> str:
    """Return the interpreter named in a script's first line, "" for any other file."""
    try:
        with program.open("rb") as stream:
            line = stream.readline(256)
    except OSError:
        return ""
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words and words[0].startswith(b"/") else ""


def _installed_in_place(site: Path) -> Iterator[Path]:
    for file in site.glob("*.pth"):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (Path(line.strip()) for line in lines if line.startswith("/"))
    for finder in site.glob("__editable__*_finder.py"):
        mapping = re.search(r"^MAPPING\b.*?=\s*\{(.*?)\}", finder.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        yield from (Path(path) for path in re.findall(r"['\"](/[^'\"]+)['\"]", mapping[1] if mapping else ""))
