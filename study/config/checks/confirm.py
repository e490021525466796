"""Mistakes in [confirm] that only show with the other tables of a file. Names neither its command nor its data."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.hidden import hidden_names
from tunesmith.study.config.scaling import scale_mistakes
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake
from tunesmith.study.space.space import SearchSpace


def confirm_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    """Yield the mistakes of [confirm]; `space` is None where it cannot be read."""
    confirm = spec.confirm
    if confirm is None:
        return
    yield from scale_mistakes(spec, space)
    if confirm.command is None:
        if confirm.data:
            yield Mistake("confirm.data", "has nobody who reads it; add [confirm] command, or remove it")
        return
    if spec.instances is not None:
        message = "cannot be combined with [instances], whose hold_out keeps instances from the search; remove one"
        yield Mistake("confirm.command", message)
    if len(spec.objectives) > 1:
        yield Mistake("confirm.command", "chooses by one metric; give [study] one metric, or remove the command")
    if confirm.seeds is not None and "seed" not in used_placeholders(spec):
        message = "needs {seed} in [run].command; without it, leave `seeds` out: the files that trials kept are judged"
        yield Mistake("confirm.seeds", message)
    if confirm.max_seeds is not None:
        message = "has no effect with a command, which judges every leader on the same `seeds`; remove it"
        yield Mistake("confirm.max_seeds", message)
    yield from _named_elsewhere(spec)


def _named_elsewhere(spec: StudySpec) -> Iterable[Mistake]:
    """Yield each entry of another list that names what only the command of [confirm] may read.

    A judge of the search would show it to the search, and models read the rest of the file.
    """
    hidden = [os.path.normpath(name) for name in hidden_names(spec.document)]
    lists = {
        "edits.protect": spec.edits.protect if spec.edits else (),
        "edits.files": spec.edits.files if spec.edits else (),
        "evaluate.data": spec.evaluate.data if spec.evaluate else (),
        "run.data": spec.run.data,
        "run.shared": spec.run.shared,
    }
    for key, entries in lists.items():
        for index, entry in enumerate(entries, start=1):
            name = os.path.normpath(entry)
            if any(path == name or path.startswith(f"{name}/") or name.startswith(f"{path}/") for path in hidden):
                yield Mistake(key, f"entry {index} names what [confirm] keeps from the search; remove it here")
