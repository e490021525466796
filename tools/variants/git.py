"""The few commands of git that a branch can be made with, without touching anybody's files, index or checkout.

No hook runs, no question is asked, and variables that an outer git left in the environment change nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = "Tunesmith"
EMAIL = "tunesmith@localhost"

_OF_ONE_REPOSITORY = frozenset(
    {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
     "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
     "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE",
     "GIT_SHALLOW_FILE", "GIT_WORK_TREE"}
)  # fmt: skip
"""What `git rev-parse --local-env-vars` lists: variables that an outer git, such as one that runs a hook, leaves."""
_NOT_OURS = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false")


class GitFailed(Exception):
    """A command of git ended with an error. Whoever asked for it turns this into a message for people."""


class Repository:
    """The git repository that a folder lies in.

    Attributes:
        top: its working tree's folder.
        prefix: the folder, relative to that: "" or "examples/digits/".

    Raises:
        GitFailed: there is no git, or the folder lies in no working tree; the message says which.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise GitFailed("git is not installed")
        self._program = program
        self.top = folder
        if self.run("rev-parse", "--is-inside-work-tree").strip() != "true":
            raise GitFailed(f"{folder} lies in a bare repository, which has no files")
        self.prefix = self.run("rev-parse", "--show-prefix").removesuffix("\n")
        self.top = Path(self.run("rev-parse", "--show-toplevel").removesuffix("\n"))

    def run(self, *words: str, given: str = "", variables: Mapping[str, str] | None = None) -> str:
        """Run a command at the top of the repository and return what it printed.

        Args:
            words: the command, such as "rev-parse", "HEAD".
            given: its standard input.
            variables: what its environment has besides.

        Raises:
            GitFailed: it ended with an error, with what it said.
        """
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
        environment = {**inherited, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(variables or {})}
        done = subprocess.run(
            [self._program, "--no-optional-locks", *_NOT_OURS, *words],
            cwd=self.top,
            env=environment,
            # Bytes: a diff's ends of lines must arrive as they are.
            input=given.encode(errors="surrogateescape"),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise GitFailed(_said(done.stderr.decode(errors="replace")))
        return done.stdout.decode(errors="surrogateescape")

    def find(self, name: str) -> str | None:
        """Return the object that a name such as "HEAD" or "HEAD^{tree}" stands for, or None."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip() or None
        except GitFailed:
            return None

    def content(self, path: str) -> bytes | None:
        """Return a file as HEAD has it, its path relative to the top; None when HEAD does not have it."""
        try:
            return self.run("cat-file", "blob", f"HEAD:{path}").encode(errors="surrogateescape")
        except GitFailed:
            return None

    def uncommitted(self, paths: list[str]) -> dict[str, str]:
        """Return those of the files that are not as HEAD has them, with git's two letters for how."""
        if not paths:
            return {}
        found = self.run("status", "--porcelain=v1", "-z", "--no-renames", "--ignored", "--untracked-files=all",
                         "--ignore-submodules=all", "--", *(f":(literal){path}" for path in paths))  # fmt: skip
        return {entry[3:]: entry[:2] for entry in found.split("\0") if entry}

    def identity(self) -> dict[str, str]:
        """Return the variables that name author and committer where git knows neither."""
        try:
            self.run("var", "GIT_COMMITTER_IDENT", variables={"GIT_CONFIG_COUNT": "1",
                     "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"})  # fmt: skip
        except GitFailed:
            names = {"NAME": AUTHOR, "EMAIL": EMAIL}
            return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in names.items()}
        return {}


def _said(text: str) -> str:
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return "; ".join(lines[:4]) or "git gave no reason"
