"""Runs the git commands that create a branch without changing the working tree, the index or HEAD.

No hook runs, git asks no questions, and variables that a calling git process left in the environment have no effect.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = "Tunesmith"
EMAIL = "tunesmith@localhost"

_LOCAL_VARIABLES = frozenset(
    {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
     "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
     "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE",
     "GIT_SHALLOW_FILE", "GIT_WORK_TREE"}
)  # fmt: skip
"""Variables that git sets for its child processes, such as hooks; `git rev-parse --local-env-vars` lists them."""
_OVERRIDES = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false")


class GitFailed(Exception):
    """A git command failed; the message is git's own. Callers turn it into a message for people."""


class Repository:
    """The git repository that contains a folder.

    Attributes:
        top: the folder of its working tree.
        prefix: the given folder relative to `top`: "" or "examples/digits/".

    Raises:
        GitFailed: git is not installed, or the folder is not in a working tree; the message says which.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise GitFailed("git is not installed")
        self._program = program
        self.top = folder
        if self.run("rev-parse", "--is-inside-work-tree").strip() != "true":
            raise GitFailed(f"{folder} is in a bare repository, which has no working tree")
        self.prefix = self.run("rev-parse", "--show-prefix").removesuffix("\n")
        self.top = Path(self.run("rev-parse", "--show-toplevel").removesuffix("\n"))

    def run(self, *words: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> str:
        """Run a command at the top of the repository and return what it printed.

        Args:
            words: the command, such as "rev-parse", "HEAD".
            stdin: its standard input.
            variables: added to its environment.

        Raises:
            GitFailed: it failed; the message is git's own.
        """
        inherited = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
        environment = {**inherited, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(variables or {})}
        done = subprocess.run(
            [self._program, "--no-optional-locks", *_OVERRIDES, *words],
            cwd=self.top,
            env=environment,
            # Bytes, so that the line ends of a diff are not translated.
            input=stdin.encode(errors="surrogateescape"),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise GitFailed(_error_text(done.stderr.decode(errors="replace")))
        return done.stdout.decode(errors="surrogateescape")

    def find(self, name: str) -> str | None:
        """Return the id of the object that a name such as "HEAD" or "HEAD^{tree}" refers to; None if there is none."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip() or None
        except GitFailed:
            return None

    def content(self, path: str) -> bytes | None:
        """Return a file's content in HEAD; None when HEAD lacks it. The path is relative to `top`."""
        try:
            return self.run("cat-file", "blob", f"HEAD:{path}").encode(errors="surrogateescape")
        except GitFailed:
            return None

    def uncommitted(self, paths: list[str]) -> dict[str, str]:
        """Return the files that differ from HEAD, with git's two status letters; paths are relative to `top`."""
        if not paths:
            return {}
        found = self.run("status", "--porcelain=v1", "-z", "--no-renames", "--ignored", "--untracked-files=all",
                         "--ignore-submodules=all", "--", *(f":(literal){path}" for path in paths))  # fmt: skip
        return {entry[3:]: entry[:2] for entry in found.split("\0") if entry}

    def identity(self) -> dict[str, str]:
        """Return variables that name Tunesmith as author and committer where git knows no identity; else {}."""
        try:
            self.run("var", "GIT_COMMITTER_IDENT", variables={"GIT_CONFIG_COUNT": "1",
                     "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"})  # fmt: skip
        except GitFailed:
            names = {"NAME": AUTHOR, "EMAIL": EMAIL}
            return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in names.items()}
        return {}


def _error_text(text: str) -> str:
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return "; ".join(lines[:4]) or "git printed no reason"
