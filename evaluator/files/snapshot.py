"""Copies the project's files once for all trials, and lists them. Knows no trial.

Large files, and folders with thousands of files, are linked, not copied. The user's own files are never written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tunesmith.evaluator.files.private_files import is_history, is_study_folder, is_within, stamps
from tunesmith.study.config.hidden import hidden_table_of, without_hidden_text
from tunesmith.study.edit_paths import matches_pattern
from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean

COPY_BYTES = 2**20
"""Size above which a file is linked: data and checkpoints are, code is not."""
COPY_FILES = 2000
"""Number of files above which a folder is linked as a whole."""
NOT_COPIED = f"is a link or larger than {COPY_BYTES >> 20} MiB, so trials share it and none may change it"
"""Why a file of the project cannot be edited."""
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tunesmith", ".tox", ".mypy_cache",
     ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".idea", ".vscode", ".claude", ".cursor", ".codex",
     ".gemini", ".github"}
)  # fmt: skip

SECRETS = (
    ".env", ".env.*", ".envrc", ".netrc", ".pypirc", ".npmrc", ".git-credentials", ".ssh", ".aws", ".azure", ".kube",
    ".gnupg", ".docker", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa", "id_ecdsa", "id_ed25519", "credentials.json",
    "secrets.*",
)  # fmt: skip
"""Names of files and folders that hold keys; snapshots for the sandbox leave them out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of the project: its relative path, and whether it is linked instead of copied."""

    path: str
    is_linked: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the project at one time.

    Attributes:
        variant: the hash of its content.
        histories: histories and folders of studies in the project, which are left out.
    """

    folder: Path
    variant: str
    entries: tuple[Entry, ...]
    histories: tuple[Path, ...] = ()


def take_snapshot(
    project: Path,
    study_folder: Path,
    *,
    without: Sequence[str] = (),
    shared: Sequence[str] = (),
    private: Sequence[Path] = (),
    histories: Sequence[Path] = (),
) -> Snapshot:
    """Copy the project into the study's folder; the same content is copied only once.

    Args:
        project: the folder of study.toml.
        study_folder: where the copy goes.
        without: patterns of names to leave out, in addition to `SKIPPED`.
        shared: folders that all trials share, which are not copied.
        private: files and folders that no trial may see; the snapshot's name depends on them all the same.
        histories: files of histories, which are left out; others are recognized by what they hold.

    Raises:
        OSError: a file cannot be read, or the folder cannot be written.
    """
    left_out = {Path(os.path.normpath(project.absolute() / name)) for name in shared}
    others: list[Path] = []
    found = _entries(project, project, {study_folder.absolute(), *left_out, *private, *histories}, others)
    entries = tuple(
        entry
        for entry in found
        if not _is_left_out(project, entry, without)
        and not (entry.is_linked and is_within(project / entry.path, private))
        and not (entry.is_linked and _has_hidden_keys(project / entry.path))
    )
    variant = _content_hash(project, entries, stamps(private))
    folder = study_folder / "snapshots" / variant
    if not folder.exists():
        # Built under another name and renamed, so that a folder of that name is always complete.
        building = folder.with_name(f"{variant}.{secrets.token_hex(4)}")
        fill(building, project, entries)
        _drop_hidden_keys(building, entries)
        building.rename(folder)
    return Snapshot(folder, variant, entries, tuple(others))


def _drop_hidden_keys(folder: Path, entries: Sequence[Entry]) -> None:
    """Take what [confirm] keeps to itself out of the study files of a new copy."""
    for entry in entries:
        path = folder / entry.path
        if not entry.is_linked and _has_hidden_keys(path):
            text = path.read_bytes().decode("utf-8", errors="surrogateescape")
            path.write_bytes(without_hidden_text(text).encode("utf-8", errors="surrogateescape"))


def _has_hidden_keys(path: Path) -> bool:
    """Return whether a file is a study file, under any name with .toml in it, with hidden keys."""
    if ".toml" not in path.name or not path.is_file() or path.stat().st_size > COPY_BYTES:
        return False
    return bool(hidden_table_of(path.read_bytes().decode("utf-8", errors="surrogateescape")))


def file_texts(snapshot: Snapshot, patterns: Sequence[str]) -> dict[str, str]:
    """Return the text of the snapshot's files that match one of the patterns, by path.

    Raises:
        ProjectError: a pattern matches no file that can be edited.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        copied = [entry.path for entry in snapshot.entries if not entry.is_linked]
        paths = [path for path in copied if matches_pattern(path, pattern)]
        if not paths:
            shared = next((e.path for e in snapshot.entries if e.is_linked and matches_pattern(e.path, pattern)), "")
            if shared:
                raise ProjectError(f"[edits].files: {shared} {NOT_COPIED}")
            hint = did_you_mean(pattern, copied)
            raise ProjectError(f"[edits].files: {pattern!r} matches no file of the project that can be edited{hint}")
        for path in paths:
            try:
                # Line endings are kept: an edit must not change every line.
                found[path] = (snapshot.folder / path).read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                raise ProjectError(f"[edits].files: {path} is not valid UTF-8; remove it from the list") from None
    return found


def fill(target: Path, source: Path, entries: tuple[Entry, ...]) -> None:
    """Copy and link the source's entries into a new folder."""
    target.mkdir(parents=True)
    for entry in entries:
        path = target / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = source / entry.path
        if entry.is_linked:
            path.symlink_to(os.path.realpath(origin))
        else:
            shutil.copy2(origin, path)


def link_targets(snapshot: Snapshot) -> list[Path]:
    """Return the real paths of the entries that are linked."""
    return [Path(os.path.realpath(snapshot.folder / entry.path)) for entry in snapshot.entries if entry.is_linked]


def _entries(project: Path, folder: Path, skipped: set[Path], histories: list[Path]) -> Iterator[Entry]:
    """Yield what is copied; what is skipped because it belongs to a history is added to `histories`."""
    for item in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(item.path)
        relative = str(path.relative_to(project))
        if item.name in SKIPPED or path.absolute() in skipped or item.name.endswith((".pyc", ".egg-info")):
            continue
        if is_study_folder(path) if item.is_dir() else is_history(path):
            histories.append(path)
            continue
        if item.is_symlink():
            if path.exists():
                yield Entry(relative, is_linked=True)
        elif item.is_dir():
            if _has_many_files(path):
                yield Entry(relative, is_linked=True)
            else:
                yield from _entries(project, path, skipped, histories)
        elif item.is_file():
            yield Entry(relative, is_linked=item.stat().st_size > COPY_BYTES)


def _is_left_out(project: Path, entry: Entry, patterns: Sequence[str]) -> bool:
    # A link's name may differ from its target's.
    target = [os.path.basename(os.path.realpath(project / entry.path))] if entry.is_linked else []
    return any(fnmatch(part, pattern) for part in (*Path(entry.path).parts, *target) for pattern in patterns)


def _has_many_files(folder: Path) -> bool:
    count = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        count += len(names)
        if count > COPY_FILES:
            return True
    return False


def _content_hash(project: Path, entries: tuple[Entry, ...], others: str) -> str:
    digest = hashlib.blake2b(others.encode(errors="surrogateescape"), digest_size=8)
    for entry in entries:
        path = project / entry.path
        digest.update(f"\0{entry.path}\0".encode())
        if entry.is_linked:
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()
