"""Makes the files that a trial sees: a snapshot of the project, a fresh copy to run in, and folders for its results.

    STUDY/snapshots/HASH/   the project when the run started
    STUDY/trials/0007/      work/ (the copy, and the working directory)  artifacts/  log.txt  report-TOKEN.jsonl
                            judge/ (the same for the evaluation command)  test/ (the same for [test])

Large files, and folders with thousands of files, are linked, not copied. The user's own files are never written. Knows
no command.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType

from tunesmith.evaluator.free_disk import is_full
from tunesmith.evaluator.tree_walk import remove, size, size_below, walk
from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, ProjectError
from tunesmith.study.names import did_you_mean

ARTIFACTS = "artifacts"
"""Name of the folder for files to keep, in the trial's folder."""
COPY_BYTES = 2**20
"""Size above which a file is linked: data and checkpoints are, code is not."""
COPY_FILES = 2000
"""Number of files above which a folder is linked as a whole."""
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tunesmith", ".tox", ".mypy_cache",
     ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".idea", ".vscode"}
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
    """A copy of the project at one time. `variant` is the hash of its content."""

    folder: Path
    variant: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one trial. `scratch` is /tmp in the sandbox, and is made only for it."""

    folder: Path
    work: Path
    artifacts: Path
    log: Path
    report: Path
    scratch: Path


def take_snapshot(project: Path, study_folder: Path, *, without: Sequence[str] = ()) -> Snapshot:
    """Copy the project into the study's folder; the same content is copied only once.

    Args:
        project: the folder of study.toml.
        study_folder: where the copy goes.
        without: patterns of names to leave out, in addition to `SKIPPED`.

    Raises:
        OSError: a file cannot be read, or the folder cannot be written.
    """
    found = _entries(project, project, skipped={study_folder.absolute()})
    entries = tuple(entry for entry in found if not _is_left_out(project, entry, without))
    variant = _content_hash(project, entries)
    folder = study_folder / "snapshots" / variant
    if not folder.exists():
        # Built under another name and renamed, so that a folder of that name is always complete.
        building = folder.with_name(f"{variant}.{secrets.token_hex(4)}")
        fill(building, project, entries)
        building.rename(folder)
    return Snapshot(folder, variant, entries)


def make_workspace(
    snapshot: Snapshot, study_folder: Path, number: int, edited: Mapping[str, str] = MappingProxyType({})
) -> Workspace:
    """Make the folders of a trial; what an earlier attempt left there is removed.

    Args:
        snapshot: what is copied.
        study_folder: where the trial's folder goes.
        number: the trial's number.
        edited: text that replaces a file's, by path.

    Raises:
        DiskFull: the disk is full.
        ProjectError: the folders cannot be made for another reason.
    """
    workspace = workspace_of(study_folder, number)
    if workspace.folder.exists():
        remove(workspace.folder)
    with _writing(workspace.folder):
        workspace.artifacts.mkdir(parents=True)
        fill(workspace.work, snapshot.folder, snapshot.entries)
        for path, text in edited.items():
            _put(workspace.work / path, text)
        workspace.report.touch(exist_ok=False)
        workspace.log.touch()
    return workspace


def workspace_of(study_folder: Path, number: int) -> Workspace:
    """Return the folders of a trial, without making them."""
    return workspace_at(study_folder / "trials" / f"{number:04d}")


def workspace_at(folder: Path) -> Workspace:
    """Return the folders of a trial in this folder, without making them."""
    return Workspace(
        folder=folder,
        work=folder / "work",
        artifacts=folder / ARTIFACTS,
        log=folder / "log.txt",
        # A name that cannot be guessed, so that no older file, and none of the script, is taken for the report.
        report=folder / f"report-{secrets.token_hex(16)}.jsonl",
        scratch=folder / "tmp",
    )


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
            hint = did_you_mean(pattern, [entry.path for entry in snapshot.entries])
            raise ProjectError(f"[edits].files: {pattern!r} matches no file of the project that can be edited{hint}")
        for path in paths:
            try:
                # Line endings are kept: an edit must not change every line.
                found[path] = (snapshot.folder / path).read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                raise ProjectError(f"[edits].files: {path} is not valid UTF-8; remove it from the list") from None
    return found


def matches_pattern(path: str, pattern: str) -> bool:
    """Return whether a path matches a pattern such as train.py, lib or eval/*.py."""
    name = os.path.normpath(pattern)
    return path == name or path.startswith(f"{name}/") or fnmatch(path, name)


def make_judge_workspace(workspace: Workspace, snapshot: Snapshot, *, name: str = "judge") -> Workspace:
    """Make the folders of an evaluation: a fresh copy of the project, with the trial's own artifacts.

    What an earlier evaluation left there is removed.

    Raises:
        DiskFull: the disk is full.
        ProjectError: the folders cannot be made for another reason.
    """
    folder = workspace.folder / name
    if folder.exists():
        remove(folder)
    judge = replace(
        workspace,
        folder=folder,
        work=folder / "work",
        log=folder / "log.txt",
        report=folder / f"report-{secrets.token_hex(16)}.jsonl",
        scratch=folder / "tmp",
    )
    with _writing(folder):
        fill(judge.work, snapshot.folder, snapshot.entries)
        judge.report.touch(exist_ok=False)
        judge.log.touch()
    return judge


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Not a failure of the trial: otherwise a full disk would fail all trials of a night in seconds.
        text = f"the folder {folder} cannot be written: {error.strerror}"
        if is_full(error):
            raise DiskFull(f"{text}; {PROGRESS_IS_SAFE}") from error
        raise ProjectError(f"{text}; fix that and run the same command again") from error


def artifacts_folder(study_folder: Path, number: int) -> Path:
    """Return the folder of the files that a trial keeps."""
    return study_folder / "trials" / f"{number:04d}" / ARTIFACTS


def clear_copies(workspace: Workspace, snapshot: Snapshot) -> None:
    """Remove the project's unchanged files from the trial's folder; what the trial wrote is kept.

    Files that were edited for the trial are kept too: they show what ran.
    """
    if workspace.scratch.exists():
        remove(workspace.scratch)
    work = os.path.realpath(workspace.work)
    for entry in snapshot.entries:
        path, original = workspace.work / entry.path, snapshot.folder / entry.path
        try:
            # The trial may have replaced a folder by a link; its target must not be touched.
            if os.path.realpath(path.parent) != os.path.normpath(os.path.join(work, entry.path, "..")):
                continue
            if path.is_symlink() if entry.is_linked else _is_unchanged(path, original):
                path.unlink()
        except OSError:
            continue
    folders = [Path(entry.path) for entry in walk(workspace.work) if entry.is_dir(follow_symlinks=False)]
    for folder in (*reversed(folders), workspace.work):
        _remove_if_empty(folder)
    _remove_if_empty(workspace.artifacts)


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


def used_bytes(workspace: Workspace) -> int:
    """Return the bytes in the trial's folder. Links are not followed, and the log does not count.

    Raises:
        Unmeasurable: the size cannot be determined.
    """
    return size(workspace.report) + size_below(workspace.work, workspace.artifacts, workspace.scratch)


def artifacts_in(workspace: Workspace) -> tuple[str, ...]:
    """Return the paths of the files in artifacts/, relative to the trial's folder, sorted."""
    found = (entry.path for entry in walk(workspace.artifacts) if os.path.isfile(entry.path))
    # A name may be bytes that are not valid text, which no database would take.
    names = (os.fsencode(os.path.relpath(path, workspace.folder)).decode(errors="replace") for path in found)
    return tuple(sorted(names))


def link_targets(snapshot: Snapshot) -> list[Path]:
    """Return the real paths of the entries that are linked."""
    return [Path(os.path.realpath(snapshot.folder / entry.path)) for entry in snapshot.entries if entry.is_linked]


def _entries(project: Path, folder: Path, skipped: set[Path]) -> Iterator[Entry]:
    for item in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(item.path)
        relative = str(path.relative_to(project))
        if item.name in SKIPPED or path.absolute() in skipped or item.name.endswith((".pyc", ".egg-info")):
            continue
        if item.is_symlink():
            if path.exists():
                yield Entry(relative, is_linked=True)
        elif item.is_dir():
            if _has_many_files(path):
                yield Entry(relative, is_linked=True)
            else:
                yield from _entries(project, path, skipped)
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


def _content_hash(project: Path, entries: tuple[Entry, ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for entry in entries:
        path = project / entry.path
        digest.update(f"\0{entry.path}\0".encode())
        if entry.is_linked:
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_unchanged(path: Path, original: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    mine, theirs = path.stat(), original.stat()
    return (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(text.encode("utf-8"))


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
