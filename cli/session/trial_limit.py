"""What `--trials` of the command line means: a number of trials in all, or with a plus a number of further ones."""

from __future__ import annotations

import math
import re
from pathlib import Path

from tunesmith.cli.session.locate import history_file
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.errors import Mistake, SpecError


def trial_limit(text: str, study: Path, history: Path | None) -> int:
    """Return the number of trials after which a study ends, earlier runs included.

    Args:
        text: a number of trials, or with a plus that many more than have run.
        study: the study file, or its folder.
        history: the history file that the command line names; None for the usual one.

    Raises:
        InputError: the text is no such number, or the study or its history cannot be read.
    """
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if not re.fullmatch(r"\+0*[1-9]\d*", text):
        message = f"is {text!r}; expected a whole number of trials, such as 40, or +5 for five more"
        raise SpecError([Mistake("--trials", message)], where="the command line")
    return _used(study, history) + int(text)


def _used(study: Path, history: Path | None) -> int:
    """Return how many full runs of the budget are used."""
    found = History.open_if_any(history_file(study, history))
    if found is None:
        return 0
    with found:
        record = found.find(load_spec(study).study.name)
    return math.ceil(record.spent.full_runs) if record is not None else 0
