"""`tunesmith retry` and `tunesmith forget`: commands to the study, at once if it runs, else at its next run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.session.sending import send_command
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.trials.numbers import parse_numbers
from tunesmith.tools.llm_tools.steering import FORGET, RETRY


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
    show(send_command(RETRY, {"numbers": chosen}, study, history))


def forget_trials(numbers: Sequence[str], study: Path, *, undo: bool, history: Path | None) -> None:
    """Let trials count nowhere, or with `undo` count again.

    Raises:
        InputError: there are no such trials.
    """
    show(send_command(FORGET, {"numbers": list(parse_numbers(" ".join(numbers))), "again": undo}, study, history))
