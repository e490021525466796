"""Prepares a trial's copy of the project: fills the files of [run.files], and links the folders of [run].shared.

The user's own files are not written; a shared folder is the user's own, as it would be without Tunesmith.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunesmith.evaluator.files.private_files import links_in_project
from tunesmith.evaluator.files.snapshot import COPY_BYTES, NOT_COPIED
from tunesmith.evaluator.filling.files import fill_text
from tunesmith.study.config.filled import file_entries
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value

_TAKEN = frozenset({"artifacts", "work", "judge", "test", "hidden", "tmp", "log.txt"})
"""Names in a trial's folder that a link cannot have."""


def check_texts(spec: StudySpec, project: Path) -> None:
    """Check that the files of text parameters exist and that trials can have other versions of them.

    Args:
        spec: the study.
        project: the project's files.

    Raises:
        ProjectError: one does not, or cannot be rewritten.
    """
    for text in spec.texts:
        for name in text.files:
            if problem := _text_problem(project / name):
                raise ProjectError(f"[space].{text.name}: {problem.format(name)}")


def check_files(spec: StudySpec, snapshot: Path, values: Mapping[str, Value]) -> None:
    """Refuse a study whose files cannot be filled.

    Args:
        spec: the study.
        snapshot: the folder with the copy of the project.
        values: of the placeholders.

    Raises:
        ProjectError: a file is missing, or lacks a key; says which.
    """
    for path, entries in file_entries(spec, values).items():
        try:
            fill_text(path, _text(snapshot / path), entries)
        except OSError:
            known = [str(p.relative_to(snapshot)) for p in snapshot.rglob(f"*{Path(path).suffix}")]
            hint = did_you_mean(path, known)
            raise ProjectError(f'[run.files]: the project has no file "{path}" that can be read{hint}') from None
        except ValueError as error:
            raise ProjectError(f'[run.files]: "{path}" {error}') from None


def fill_files(spec: StudySpec, work: Path, values: Mapping[str, Value]) -> None:
    """Write a trial's values into the files of its copy.

    Raises:
        ValueError: a file lacks a key, as edited code may.
        OSError: a file cannot be read or written.
    """
    for path, entries in file_entries(spec, values).items():
        target = work / path
        try:
            text = fill_text(path, _text(target), entries)
        except ValueError as error:
            raise ValueError(f'[run.files]: "{path}" {error}') from None
        # A large file is a link to the user's own.
        target.unlink()
        target.write_bytes(text.encode("utf-8", errors="surrogateescape"))


def shared_folders(spec: StudySpec, project: Path) -> dict[str, Path]:
    """Return the folders of [run].shared by name; those that do not exist yet are made, empty.

    Raises:
        ProjectError: one cannot be made.
    """
    found = {}
    for name in spec.run.shared:
        path = project / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = (
                f"[run].shared: the folder {path} cannot be made: {error.strerror}; make it, or remove it from the list"
            )
            raise ProjectError(text) from None
        found[name] = Path(os.path.realpath(path))
    return found


def link_shared(work: Path, shared: Mapping[str, Path]) -> Iterator[Path]:
    """Make the links through which a command in `work` finds the shared folders; yield each link's path.

    Raises:
        ProjectError: the link's name is taken.
    """
    for name, target in shared.items():
        link = Path(os.path.normpath(work / name))
        if link.parent == work.parent and link.name in _TAKEN:
            raise ProjectError(f"[run].shared: {name} has a name that Tunesmith uses; rename the folder")
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
        yield link


def copy_scripts(work: Path, scripts: Mapping[str, Path]) -> None:
    """Copy the scripts of an evaluation that the copy of the project lacks; linked, they would not find its modules."""
    for name, source in scripts.items():
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def link_data(work: Path, data: Mapping[str, Path], project: Path) -> Iterator[Path]:
    """Make the links through which an evaluation in `work` finds its data; yield each file and folder of it.

    Data is not copied: a copy would outlive the evaluation.
    """
    for name, target in links_in_project(data, project).items():
        link = work / name
        link.parent.mkdir(parents=True, exist_ok=True)
        # Its folder may be a link to the user's own, where the data is.
        if not os.path.lexists(link):
            link.symlink_to(target)
    for path in data.values():
        yield path
        yield Path(os.path.realpath(path))


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="surrogateescape")


def _text_problem(path: Path) -> str:
    """Return why no trial can have another version of a text, with {} for its name; "" if it can."""
    if not path.is_file():
        return "the project has no file {}; write it, or name another"
    if path.is_symlink() or path.stat().st_size > COPY_BYTES:
        return f"{{}} {NOT_COPIED}; name a smaller file of the project itself"
    try:
        path.read_bytes().decode("utf-8")
    except OSError as error:
        return f"{{}} cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of {{}} is not UTF-8; save it as UTF-8"
    return ""
