"""Hands a variant of the code to its owner: as a branch with one commit, or as a patch file.

Never writes the working tree, the index or HEAD, and never overwrites a file or a branch: the owner merges the branch
or applies the patch.
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

from tunesmith.study.edit_paths import path_problem
from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import render_literal
from tunesmith.study.search_replace import split_lines
from tunesmith.tools.variants.git import AUTHOR, EMAIL, GitFailed, Repository
from tunesmith.tools.variants.rules import is_protected


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePatch:
    """A change of the project's files that is to be applied.

    Attributes:
        project: the folder that the diff's paths are relative to.
        diff: the change, as a unified diff (a/PATH, b/PATH).
        message: the commit's message, also the head of a patch file.
        base: the changed files before the change, by path; {} when they are not known.
        paths: the files that the change is meant for; () to take them from the diff.
        protected: patterns of files that no change may touch, [edits].protect.
    """

    project: Path
    diff: str
    message: str
    base: Mapping[str, str] = field(default_factory=dict)
    paths: Sequence[str] = ()
    protected: Sequence[str] = ()

    def changed(self) -> list[str]:
        """Return the files that the change is for.

        Raises:
            ProjectError: one is protected or has a name that cannot be applied, or the diff names other files.
        """
        found = changed_paths(self.diff)
        for path in dict.fromkeys([*self.paths, *found]):
            if problem := path_problem(path):
                raise ProjectError(f"nothing was applied: {render_literal(path)}: {problem}")
            if is_protected(path, self.protected):
                raise ProjectError(f"nothing was applied: the variant changes {path}, which [edits].protect names")
        if self.paths and sorted(found) != sorted(self.paths):
            raise ProjectError(
                f"nothing was applied: the diff changes {', '.join(found) or 'nothing'}, but the variant changes "
                f"{', '.join(self.paths)}"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GitBranch:
    """A branch with patches on HEAD, one commit each; `remarks` are for the person who merges it."""

    name: str
    commit: str
    is_new: bool
    commits: int = 1
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFile:
    """A file with the patch; `command` applies it."""

    path: Path
    command: str
    is_new: bool


class BranchFailed(Exception):
    """A branch cannot be made.

    Attributes:
        reason: why, for people.
        locations: where the patch does not apply, such as "train.py, line 41".
    """

    def __init__(self, reason: str, locations: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.locations = tuple(locations)


def make_branch(patch: CodePatch, name: str) -> GitBranch:
    """Put the patch on a new branch, as one commit on HEAD; see `make_stack`."""
    return make_stack([patch], name)


def make_stack(patches: Sequence[CodePatch], name: str) -> GitBranch:
    """Put patches on a new branch, one commit each, the first on HEAD. Changes of the working tree do not matter.

    Raises:
        BranchFailed: git is missing, there is no repository, or a patch does not apply.
        ProjectError: the branch exists with other content, its name is not valid, or a patch changes a file that it
            must not.
    """
    for patch in patches:
        patch.changed()
    try:
        repository = Repository(patches[0].project)
        _check_branch_name(repository, name)
        head = repository.find("HEAD^{commit}")
        if head is None:
            raise BranchFailed("the repository has no commit yet, so there is nothing to start a branch from")
        trees = _patched_trees(repository, patches)
        remarks = tuple(dict.fromkeys(remark for patch in patches for remark in _remarks(repository, patch)))
        existing = repository.find(f"refs/heads/{name}^{{commit}}")
        if existing is None:
            commit = _commit(repository, patches, trees, parent=head, branch=name)
            return GitBranch(name=name, commit=commit, is_new=True, commits=len(patches), remarks=remarks)
        if repository.find(f"{existing}^{{tree}}") == trees[-1]:
            return GitBranch(name=name, commit=existing, is_new=False, commits=len(patches), remarks=remarks)
    except GitFailed as error:
        raise BranchFailed(f"git cannot make a branch here: {error}") from None
    raise ProjectError(f"branch {name} exists with other content and was not changed; choose another with --branch")


def write_patch(patch: CodePatch, path: Path) -> PatchFile:
    """Write the patch as a file; a file that already has the same content is left as it is.

    Raises:
        ProjectError: a file with other content exists, the file cannot be written, or the patch changes a file that it
            must not.
    """
    patch.changed()
    # As comments: a line of the message must not be read as the head of a diff.
    text = "".join(f"# {line}".rstrip() + "\n" for line in split_lines(patch.message)) + f"\n{patch.diff}"
    # `git apply` takes paths as relative to the current folder, with or without a repository.
    program = "git apply" if shutil.which("git") else "patch -p1 <"
    command = f"cd {shlex.quote(str(patch.project))} && {program} {shlex.quote(str(path.absolute()))}"
    content = text.encode(errors="surrogateescape")
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        if path.is_file() and path.read_bytes() == content:
            return PatchFile(path=path, command=command, is_new=False)
        raise ProjectError(f"{path} exists and is not overwritten; choose another file with --output") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}; choose another file with --output") from None
    return PatchFile(path=path, command=command, is_new=True)


def changed_paths(diff: str) -> list[str]:
    """Return the files that a unified diff changes or creates, relative to the project, in the diff's order.

    Lines inside a hunk are never names: its head says how many lines it has.
    """
    paths: list[str] = []
    old = new = 0
    lines = diff.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if old > 0 or new > 0:
            old -= line[:1] in (" ", "-", "")
            new -= line[:1] in (" ", "+", "")
        elif hunk := re.match(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", line):
            old, new = (1 if count is None else int(count) for count in hunk.groups())
        elif line.startswith("--- ") and following.startswith("+++ "):
            source, target = _diff_name(line, "a/"), _diff_name(following, "b/")
            paths.append(source if target == "/dev/null" else target)
    return list(dict.fromkeys(paths))


def _diff_name(line: str, prefix: str) -> str:
    return line[4:].partition("\t")[0].strip('"').removeprefix(prefix)


def _check_branch_name(repository: Repository, name: str) -> None:
    with suppress(GitFailed):
        if repository.run("check-ref-format", "--branch", name).strip() == name:
            return
    raise ProjectError(f"{name!r} is not a valid branch name; choose another with --branch")


def _commit(
    repository: Repository, patches: Sequence[CodePatch], trees: Sequence[str], *, parent: str, branch: str
) -> str:
    """Make a commit of each patch and a branch of the last one; return that one's id."""
    who = {"GIT_AUTHOR_NAME": AUTHOR, "GIT_AUTHOR_EMAIL": EMAIL, **repository.identity()}
    commit = parent
    for patch, tree in zip(patches, trees, strict=True):
        words = ("commit-tree", tree, "-p", commit, "-F", "-")
        commit = repository.run(*words, stdin=patch.message, variables=who).strip()
    # The zeros make git fail when another process has created the branch meanwhile.
    repository.run("update-ref", "-m", "tunesmith apply", f"refs/heads/{branch}", commit, "0" * len(commit))
    return commit


def _patched_trees(repository: Repository, patches: Sequence[CodePatch]) -> list[str]:
    """Return the tree of HEAD after each patch."""
    trees: list[str] = []
    for patch in patches:
        trees.append(_patched_tree(repository, patch, base=trees[-1] if trees else "HEAD"))
    return trees


def _patched_tree(repository: Repository, patch: CodePatch, *, base: str) -> str:
    """Return a tree with the patch applied; the work is done in a temporary index.

    Raises:
        BranchFailed: the patch does not apply.
    """
    words = ["apply", "--cached", "--whitespace=nowarn"]
    if repository.prefix:
        words.append(f"--directory={repository.prefix.rstrip('/')}")
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.run("read-tree", base, variables=index)
        try:
            repository.run(*words, "-", stdin=patch.diff, variables=index)
        except GitFailed as error:
            with suppress(GitFailed):
                repository.run(*words, "--check", "--reverse", "-", stdin=patch.diff, variables=index)
                raise BranchFailed("the change is already part of HEAD") from None
            raise _conflict(repository, patch, str(error)) from None
        tree = repository.run("write-tree", variables=index).strip()
        _require_meant_files(repository, patch, tree)
        return tree


def _require_meant_files(repository: Repository, patch: CodePatch, tree: str) -> None:
    """Check what git made of the patch: it must differ from HEAD in the meant files only.

    Raises:
        ProjectError: another file differs.
    """
    found = repository.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", "HEAD^{tree}", tree)
    meant = {f"{repository.prefix}{path}" for path in patch.changed()}
    others = sorted(set(filter(None, found.split("\0"))) - meant)
    if others:
        raise ProjectError(f"no branch was made: git would also change {', '.join(map(render_literal, others))}")


def _conflict(repository: Repository, patch: CodePatch, git_error: str) -> BranchFailed:
    """Return why a patch does not apply to HEAD: a missing file, uncommitted changes, or a conflict."""
    paths = [f"{repository.prefix}{path}" for path in changed_paths(patch.diff)]
    missing = [path for path in paths if repository.content(path) is None and (repository.top / path).exists()]
    if missing:
        return BranchFailed(f"{_listed(missing)} {_is(missing)} not committed in git, so a branch cannot change that")
    locations = tuple(_locations(git_error, repository.prefix))
    dirty = sorted(set(repository.uncommitted(paths)) & set(paths))
    if dirty:
        return BranchFailed(
            f"{_listed(dirty)} {_has(dirty)} uncommitted changes. The study ran with them, and the variant does not "
            "apply without them. Commit them and apply again, or use the patch file",
            locations,
        )
    return BranchFailed("the change conflicts with HEAD", locations or (git_error,))


def _locations(git_error: str, prefix: str) -> list[str]:
    """Return the places where git could not apply a patch."""
    found = re.findall(r"patch failed: (.*?):(\d+)", git_error)
    return [f"{path.removeprefix(prefix)}, line {line}" for path, line in found]


def _remarks(repository: Repository, patch: CodePatch) -> list[str]:
    """Return how the branch differs from the code that ran."""
    paths = changed_paths(patch.diff)
    full = [f"{repository.prefix}{path}" for path in paths]
    dirty = sorted(set(repository.uncommitted(full)) & set(full))
    remarks = []
    if dirty:
        remarks.append(f"{_listed(dirty)} {_has(dirty)} uncommitted changes; they are not on the branch")
    base = {path: patch.base[path].encode(errors="surrogateescape") for path in paths if path in patch.base}
    differing = [path for path, text in base.items() if repository.content(f"{repository.prefix}{path}") != text]
    if differing:
        differs = "differs" if len(differing) == 1 else "differ"
        remarks.append(f"{_listed(differing)} in HEAD {differs} from what the study ran with; run it again to be sure")
    return remarks


def _listed(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{', '.join(paths[:-1])} and {paths[-1]}"


def _is(paths: Sequence[str]) -> str:
    return "is" if len(paths) == 1 else "are"


def _has(paths: Sequence[str]) -> str:
    return "has" if len(paths) == 1 else "have"
