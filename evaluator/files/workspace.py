"""Makes the files that a trial sees: a fresh copy of the project's snapshot to run in, and folders for its results.

    STUDY/snapshots/HASH/   the project when the run started
    STUDY/trials/0007/      work/ (the copy, and the working directory)  artifacts/  log.txt  report-TOKEN.jsonl
                            judge/ (the same for the evaluation command)  test/ (the same for [test])
                            hidden/ (the same for the command of [confirm])

The user's own files are never written. Knows no command.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from tunesmith.evaluator.files.free_disk import is_full
from tunesmith.evaluator.files.snapshot import Snapshot, fill
from tunesmith.evaluator.files.tree_walk import remove, size, size_below, walk
from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, ProjectError

ARTIFACTS = "artifacts"
"""Name of the folder for files to keep, in the trial's folder."""
MAX_LISTED = 500
"""Number of artifacts that are listed by name."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders and files of one trial. `scratch` is /tmp in the sandbox, and is made only for it."""

    folder: Path
    work: Path
    artifacts: Path
    log: Path
    report: Path
    profile: Path
    scratch: Path


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
    return make_workspace_at(workspace_of(study_folder, number).folder, snapshot, edited)


def make_workspace_at(folder: Path, snapshot: Snapshot, edited: Mapping[str, str] = MappingProxyType({})) -> Workspace:
    """Make the folders of a trial in this folder, as `make_workspace` does."""
    workspace = workspace_at(folder)
    if workspace.folder.exists():
        remove(workspace.folder)
    with _writing(workspace.folder):
        workspace.artifacts.mkdir(parents=True)
        fill(workspace.work, snapshot.folder, snapshot.entries)
        for path, text in edited.items():
            _put(workspace.work / path, text)
        workspace.report.touch(exist_ok=False)
        workspace.profile.touch()
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
        profile=folder / "profile.jsonl",
        scratch=folder / "tmp",
    )


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


def remove_judge_workspace(workspace: Workspace, *, name: str) -> None:
    """Remove the folder of an evaluation."""
    folder = workspace.folder / name
    if folder.exists():
        remove(folder)


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


def used_bytes(workspace: Workspace) -> int:
    """Return the bytes in the trial's folder. Links are not followed, and the log does not count.

    Raises:
        Unmeasurable: the size cannot be determined.
    """
    return size(workspace.report) + size_below(workspace.work, workspace.artifacts, workspace.scratch)


def artifacts_in(workspace: Workspace) -> tuple[str, ...]:
    """Return the paths of the files in artifacts/, relative to the trial's folder, sorted.

    A folder with more than `MAX_LISTED` files in it is listed by their number.
    """
    folders: dict[str, list[str]] = {}
    for entry in walk(workspace.artifacts):
        if os.path.isfile(entry.path):
            folder, name = os.path.split(os.path.relpath(entry.path, workspace.folder))
            folders.setdefault(folder, []).append(name)
    found: list[str] = []
    for folder, names in folders.items():
        many = len(names) > MAX_LISTED
        found += [f"{folder}/ ({len(names):,} files)"] if many else [f"{folder}/{name}" for name in names]
    if len(found) > MAX_LISTED:
        count = sum(map(len, folders.values()))
        found = [*sorted(found)[:MAX_LISTED], f"{ARTIFACTS}/ ({count:,} files in {len(folders):,} folders)"]
    # A name may be bytes that are not valid text, which no database would take.
    return tuple(sorted(os.fsencode(name).decode(errors="replace") for name in found))


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
