"""Moves files between the loop's machine and the nodes of a Ray cluster: archives to the nodes, chunks back.

Knows neither jobs nor Ray. Needs only the standard library.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.evaluator.files.tree_walk import walk

PROJECT = "project"
"""Folder of the project in Ray's working_dir. Not its top, which is on the import path of every worker."""
PROJECT_BYTES = 256 * 2**20
"""Size of the project's large files that are sent to the nodes; nodes must find the rest under the same paths."""
COPY_BYTES = 2**20
"""Size above which a file of the project is linked, not copied, into a trial's folder, as in files/workspace.py."""
CHUNK_BYTES = 4 * 2**20
INPUTS = ".inputs"
"""Folder of a trial on a node for what the command reads outside of its working directory."""


@dataclass(frozen=True, slots=True)
class FileChunk:
    """Bytes of a file at an offset; the path is relative to the trial's folder."""

    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size and modification time of a file, by which a change is noticed."""

    size: int
    modified_ns: int


def pack_project(project: Path, archive: Path) -> dict[str, str]:
    """Write a project's files into an archive for Ray; return the real paths of files too large for it, by path.

    Ray would pack the folder itself, but leaves out what .gitignore names, which is where data often is.
    """
    links: dict[str, str] = {}
    free_bytes = PROJECT_BYTES
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as opened:
        # Ray would strip a single top folder as if it were the archive itself.
        opened.writestr(".tunesmith", "")
        opened.writestr(f"{PROJECT}/", "")
        for entry in walk(project):
            name = os.path.relpath(entry.path, project)
            if entry.is_symlink():
                size = sum(path.stat().st_size for path in _files(Path(entry.path)))
                if size > free_bytes:
                    links[name] = os.path.realpath(entry.path)
                    continue
                free_bytes -= size
            for path in _files(Path(entry.path)):
                opened.write(path, f"{PROJECT}/{name}/{path.relative_to(entry.path)}".removesuffix("/."))
    return links


def copy_project(project: Path, cwd: Path, links: Mapping[str, str]) -> dict[str, FileStamp]:
    """Copy or link the project's files into a trial's working directory; return the stamp of each copy, by name."""
    copies: dict[str, FileStamp] = {}
    for entry in walk(project):
        name = os.path.relpath(entry.path, project)
        target = cwd / name
        if entry.is_dir():
            target.mkdir(exist_ok=True)
        elif entry.stat().st_size > COPY_BYTES:
            target.symlink_to(entry.path)
        else:
            shutil.copy2(entry.path, target)
            copies[name] = _stamp(target)
    for name, origin in links.items():
        (cwd / name).parent.mkdir(parents=True, exist_ok=True)
        (cwd / name).symlink_to(origin)
    return copies


def files_to_send(folder: Path, copies: Mapping[str, FileStamp], *, skip: Collection[Path]) -> Iterator[Path]:
    """Yield each file that the trial made or changed; links, and what it was given to read, are left out.

    Args:
        folder: the trial's folder on the node.
        copies: the stamps of the project's files when they were copied, by path relative to `folder`.
        skip: files that were sent while the trial ran.
    """
    for entry in walk(folder):
        path = Path(entry.path)
        name = str(path.relative_to(folder))
        if path in skip or name.startswith(f"{INPUTS}/") or not entry.is_file(follow_symlinks=False):
            continue
        if copies.get(name) != _stamp(path):
            yield path


def pack_folder(folder: Path) -> bytes:
    """Return a folder as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=".")
    return buffer.getvalue()


def unpack_folder(archive: bytes, folder: Path) -> None:
    """Unpack an archive into a new folder."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(folder, filter="data")


def read_chunks(path: Path, name: str, offset: int) -> Iterator[FileChunk]:
    """Yield a file's content from an offset on; an empty file yields one empty chunk when read from its start."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            is_first = offset == 0
            while (data := stream.read(CHUNK_BYTES)) or is_first:
                yield FileChunk(name, offset, data)
                offset += len(data)
                is_first = False
    except OSError:
        return


def write_chunk(folder: Path, path: str, offset: int, data: bytes) -> None:
    """Write a chunk that a worker sent; a path that leads out of the folder is ignored."""
    try:
        target = inside(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            # A large file of the project, which the trial replaced in its copy.
            target.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if offset == 0 else 0)
        with os.fdopen(os.open(target, flags, 0o644), "wb") as out:
            out.seek(offset)
            out.write(data)
    except (OSError, ValueError):
        return


def inside(folder: Path, path: str) -> Path:
    """Return the absolute path of a relative path in a folder.

    Raises:
        ValueError: it leads out of the folder, directly or through a link.
    """
    target = folder / path
    if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(folder)) or ".." in Path(path).parts:
        raise ValueError(f"{path} leads out of the folder")
    return target


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [Path(entry.path) for entry in walk(path) if entry.is_file()] if path.is_symlink() else []


def _stamp(path: Path) -> FileStamp:
    status = path.stat()
    return FileStamp(status.st_size, status.st_mtime_ns)
