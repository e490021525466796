"""What a sandboxed command leaves behind: finds what nobody may open, and removes what programs run by themselves.

A folder is handed to a person who goes there with a shell, git and an editor: a repository, a setting of direnv or an
editor's workspace would run code of the trial outside of the sandbox. The supervisor calls this, so that it happens
when the loop is gone too. Needs only the standard library. Links are never followed.
"""

from __future__ import annotations

import os
import re
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUN_BY_THEMSELVES = re.compile(
    r"""\.(git|hg|svn|bzr|jj|sl|fslckout)|_fossil_|\.husky|\.githooks          # version control and its hooks
    |\.envrc|\.direnv|\.env|\.autoenv.*|\.?mise(\.\w+)*\.toml|\.mise|\.rtx\.toml|\.tool-versions  # shells
    |\.venv|pyvenv\.cfg|\.conda|sitecustomize\.py|usercustomize\.py|\.pdbrc|i?python_config\.py
    |jupyter_\w*config\.(py|json)|\.jupyter|\.ipython                           # Python
    |\.vscode|\.idea|\.fleet|\.zed|\.cursor|\.windsurf|\.helix|\.settings|\.devcontainer(\.json)?
    |.+\.code-workspace|.+\.sublime-(project|workspace)                         # editors
    |[._](ex|vim|gvim|nvim|lvim)rc|\.nvim\.lua|\.vim|\.n?vimrc\.lua|\.local\.vimrc|\.dir-locals(-2)?\.el|\.projectile
    |\.claude|\.gemini|\.codex|\.mcp\.json|\.aider\.conf\.yml                   # coding agents
    |\.gdbinit|\.lldbinit|\.rprofile|\.renviron|\.rdata|\.octaverc|\.irbrc|\.pryrc|\.yarnrc(\.yml)?|\.npmrc""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names of files and folders that a shell, git, an editor or an interpreter acts on when somebody goes there."""
_SITE_PACKAGES = ("site-packages", "dist-packages")
_CHECKPOINT_BEGINNINGS = (b"PK\x03\x04", b"\x80")
"""A .pth file that begins like this is a checkpoint of PyTorch; any other may hold lines that Python runs."""
_REPOSITORY_PARTS = {"objects", "commondir", "refs"}
_SET_ID = stat.S_ISUID | stat.S_ISGID


def unsafe_artifacts(folder: str) -> Iterator[str]:
    """Yield what nobody may find in a folder of artifacts, one sentence each.

    A link out of the folder leads to files that only its reader sees, a pipe blocks it, and a folder that cannot be
    read hides both. The mode decides what is readable, so that root finds what a user finds.
    """
    root, parent = os.path.realpath(folder), os.path.dirname(os.path.abspath(folder))
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            is_readable = os.lstat(current).st_mode & 0o500 == 0o500
            entries = list(os.scandir(current)) if is_readable else []
        except FileNotFoundError:
            continue
        except OSError:
            is_readable, entries = False, []
        if not is_readable:
            yield f"{os.path.relpath(current, parent)} is a folder that cannot be read"
        for entry in entries:
            # By the entry's type: its path may be too long to be opened.
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_symlink():
                if not os.path.realpath(entry.path).startswith(root + os.sep):
                    yield f"{os.path.relpath(entry.path, parent)} is a link that leads out of the folder"
            elif not entry.is_file(follow_symlinks=False):
                yield f"{os.path.relpath(entry.path, parent)} is neither a file nor a folder"


def disarm(folder: str) -> None:
    """Remove what programs run by themselves from a folder, open what is locked, and clear setuid and setgid bits."""
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        entries = _entries(current)
        names = {entry.name for entry in entries}
        is_repository = "HEAD" in names and bool(names & _REPOSITORY_PARTS)
        for entry in entries:
            if _RUN_BY_THEMSELVES.fullmatch(entry.name) or is_repository and entry.name in ("HEAD", "config", "hooks"):
                _remove(entry)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.name.lower().endswith(".pth") and _is_run_by_python(entry.path):
                _remove(entry)
            else:
                _clear_set_id(entry)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, after making it readable; nothing if that is impossible."""
    try:
        mode = os.lstat(folder).st_mode
        if mode & 0o700 != 0o700 or mode & _SET_ID:
            os.chmod(folder, stat.S_IMODE(mode) & ~_SET_ID | 0o700)
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _remove(entry: os.DirEntry[str]) -> None:
    """Remove a file, or a folder with any content. Folders too deep for a path stay, without what led there."""
    if not entry.is_dir(follow_symlinks=False):
        _quietly(os.unlink, entry.path)
        return
    folders, waiting = [entry.path], [entry.path]
    while waiting:
        for found in _entries(waiting.pop()):
            if found.is_dir(follow_symlinks=False):
                folders.append(found.path)
                waiting.append(found.path)
            else:
                _quietly(os.unlink, found.path)
    for folder in reversed(folders):
        _quietly(os.rmdir, folder)


def _quietly(action: Callable[[str], None], path: str) -> None:
    try:
        action(path)
    except OSError:
        return


def _is_run_by_python(path: str) -> bool:
    if os.path.basename(os.path.dirname(path)) in _SITE_PACKAGES:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        return not os.read(descriptor, 4).startswith(_CHECKPOINT_BEGINNINGS)
    finally:
        os.close(descriptor)


def _clear_set_id(entry: os.DirEntry[str]) -> None:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISREG(mode) and mode & _SET_ID:
            os.chmod(entry.path, stat.S_IMODE(mode) & ~_SET_ID)
    except OSError:
        return
