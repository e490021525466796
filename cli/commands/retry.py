"""`tunesmith retry` and `tunesmith forget`: commands to the study, at once if it runs, else at its next run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import Mistake, ProjectError, SpecError, ToolRefused
from tunesmith.study.trials.numbers import parse_numbers
from tunesmith.tools.llm_tools.steering import FORGET, RETRY
from tunesmith.tools.llm_tools.tool import AnyTool


def retry_trials(numbers: Sequence[str], study: Path, *, failed: bool, history: Path | None) -> None:
    """Run failed trials again: those given, or with `failed` all of them.

    Raises:
        InputError: neither numbers nor `failed` are given, or both, or the trials did not fail.
    """
    if failed == bool(numbers):
        raise SpecError(
            [Mistake("trials", "give numbers, such as 3-9, or --failed for all that failed")], where="retry"
        )
    chosen = [] if failed else list(parse_numbers(" ".join(numbers)))
    _send(RETRY, {"numbers": chosen}, study, history)


def forget_trials(numbers: Sequence[str], study: Path, *, undo: bool, history: Path | None) -> None:
    """Let trials count nowhere, or with `undo` count again.

    Raises:
        InputError: there are no such trials.
    """
    _send(FORGET, {"numbers": list(parse_numbers(" ".join(numbers))), "again": undo}, study, history)


def _send(tool: AnyTool, given: dict[str, object], study: Path, history: Path | None) -> None:
    session = StudySession(study, history, by="command line")
    if session.loaded() is None:
        raise ProjectError(f"{session.file} does not exist; `tunesmith init SCRIPT` writes one")
    try:
        show(tool.call(session.context(), given))
    except ToolRefused as error:
        raise ProjectError(str(error)) from None
