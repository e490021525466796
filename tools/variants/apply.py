"""Hands a variant of the code back to its owner: as a branch with one commit, or as a patch file.

Never writes a file of the working tree, the index or HEAD, and never writes over anything: who wants the change merges
the branch or applies the patch.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.tools.variants.git import AUTHOR, EMAIL, GitFailed, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePatch:
    """What is to be applied.

    Attributes:
        project: the folder that the diff's paths are relative to.
        diff: the change, as a unified diff (a/PATH, b/PATH).
        message: the commit's message, also the head of a patch file.
        base: the files that it changes as they were before it, by path; {} when that is not known.
    """

    project: Path
    diff: str
    message: str
    base: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitBranch:
    """A branch that holds the change as one commit on HEAD; `remarks` are what a person should know before merging."""

    name: str
    commit: str
    is_new: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFile:
    """A file that holds the change; `command` applies it."""

    path: Path
    command: str
    is_new: bool


class BranchFailed(Exception):
    """No branch can be made.

    Attributes:
        reason: why, for people.
        locations: where the change does not fit, such as "train.py, line 41".
    """

    def __init__(self, reason: str, locations: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.locations = tuple(locations)


def make_branch(change: CodePatch, name: str) -> GitBranch:
    """Put the change on a new branch, one commit on HEAD, whatever the working tree looks like.

    Raises:
        NoBranch: there is no git or no repository, or the change does not fit what is committed.
        ProjectError: the branch exists with other content, or its name is none.
    """
    try:
        repository = Repository(change.project)
        return _branch(repository, change, name)
    except GitFailed as error:
        raise BranchFailed(f"git cannot make a branch here: {error}") from None


def write_patch(change: CodePatch, path: Path) -> PatchFile:
    """Write the change as a patch file; one that stands there with the same content is left as it is.

    Raises:
        ProjectError: another file stands there, or it cannot be written.
    """
    text = "".join(f"{line}\n" for line in change.message.splitlines()) + f"\n{change.diff}"
    # Run in a folder, `git apply` takes paths as relative to it, in a repository and in none.
    program = "git apply" if shutil.which("git") else "patch -p1 <"
    command = f"cd {shlex.quote(str(change.project))} && {program} {shlex.quote(str(path.absolute()))}"
    content = text.encode(errors="surrogateescape")
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        if path.is_file() and path.read_bytes() == content:
            return PatchFile(path=path, command=command, is_new=False)
        raise ProjectError(f"{path} exists and is not written over; give another name with --output") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}; give another place with --output") from None
    return PatchFile(path=path, command=command, is_new=True)


def changed_paths(diff: str) -> list[str]:
    """Return the files that a unified diff changes or makes, relative to the project, in its order."""
    found = re.findall(r"^--- (?:a/)?(.*?)(?:\t.*)?\n\+\+\+ (?:b/)?(.*?)(?:\t.*)?$", diff, flags=re.MULTILINE)
    paths = [new if new != "/dev/null" else old for old, new in found]
    return list(dict.fromkeys(path.strip('"') for path in paths))


def _branch(repository: Repository, change: CodePatch, name: str) -> GitBranch:
    reference = f"refs/heads/{name}"
    try:
        is_name = repository.run("check-ref-format", "--branch", name).strip() == name
    except GitFailed:
        is_name = False
    if not is_name:
        raise ProjectError(f"{name!r} cannot be a branch's name; give another with --branch")
    head = repository.find("HEAD^{commit}")
    if head is None:
        raise BranchFailed("the repository has no commit yet, so there is nothing that a branch could start from")
    tree = _tree(repository, change)
    remarks = tuple(_remarks(repository, change))
    existing = repository.find(f"{reference}^{{commit}}")
    if existing is not None:
        if repository.find(f"{existing}^{{tree}}") == tree:
            return GitBranch(name=name, commit=existing, is_new=False, remarks=remarks)
        raise ProjectError(f"branch {name} exists with other content and is left as it is; give another with --branch")
    who = {"GIT_AUTHOR_NAME": AUTHOR, "GIT_AUTHOR_EMAIL": EMAIL, **repository.identity()}
    commit = repository.run("commit-tree", tree, "-p", head, "-F", "-", given=change.message, variables=who).strip()
    # Zeros: it fails when another process made the branch meanwhile.
    repository.run("update-ref", "-m", "tunesmith apply", reference, commit, "0" * len(commit))
    return GitBranch(name=name, commit=commit, is_new=True, remarks=remarks)


def _tree(repository: Repository, change: CodePatch) -> str:
    """Return the tree of HEAD with the change in it, made in an index of its own.

    Raises:
        NoBranch: the change does not fit.
    """
    words = ["apply", "--cached", "--whitespace=nowarn"]
    if repository.prefix:
        words.append(f"--directory={repository.prefix.rstrip('/')}")
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.run("read-tree", "HEAD", variables=own)
        try:
            repository.run(*words, "-", given=change.diff, variables=own)
        except GitFailed as error:
            with suppress(GitFailed):
                repository.run(*words, "--check", "--reverse", "-", given=change.diff, variables=own)
                raise BranchFailed("the change is already part of what is committed") from None
            raise _misfit(repository, change, str(error)) from None
        return repository.run("write-tree", variables=own).strip()


def _misfit(repository: Repository, change: CodePatch, said: str) -> BranchFailed:
    """Tell why a change does not fit HEAD: what a person can do differs."""
    paths = [f"{repository.prefix}{path}" for path in changed_paths(change.diff)]
    missing = [path for path in paths if repository.content(path) is None and (repository.top / path).exists()]
    if missing:
        return BranchFailed(
            f"{_listed(missing)} {_is(missing)} not committed in git, so there is nothing to change there"
        )
    places = tuple(_places(said, repository.prefix))
    dirty = sorted(set(repository.uncommitted(paths)) & set(paths))
    if dirty:
        return BranchFailed(
            f"{_listed(dirty)} {_has(dirty)} changes that are not committed; the study ran with them, and the variant "
            "does not fit what is committed. Commit them and apply again, or use the patch",
            places,
        )
    return BranchFailed("the change conflicts with what is committed now", places or (said,))


def _places(said: str, prefix: str) -> list[str]:
    """Return where git found that a change does not fit."""
    found = re.findall(r"patch failed: (.*?):(\d+)", said)
    return [f"{path.removeprefix(prefix)}, line {line}" for path, line in found]


def _remarks(repository: Repository, change: CodePatch) -> list[str]:
    """Return in what the branch differs from the code that ran."""
    paths = changed_paths(change.diff)
    full = [f"{repository.prefix}{path}" for path in paths]
    dirty = sorted(set(repository.uncommitted(full)) & set(full))
    found = []
    if dirty:
        found.append(f"{_listed(dirty)} {_has(dirty)} changes that are not committed; they are not on the branch")
    then = {path: change.base[path].encode(errors="surrogateescape") for path in paths if path in change.base}
    other = [path for path, text in then.items() if repository.content(f"{repository.prefix}{path}") != text]
    if other:
        found.append(f"{_listed(other)} {_is(other)} not committed as the study ran with it: run it again")
    return found


def _listed(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{', '.join(paths[:-1])} and {paths[-1]}"


def _is(paths: Sequence[str]) -> str:
    return "is" if len(paths) == 1 else "are"


def _has(paths: Sequence[str]) -> str:
    return "has" if len(paths) == 1 else "have"
