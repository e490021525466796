"""Finds tasks by name. A module in this folder that has `MAKERS` adds its tasks; nothing else is to be registered."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tunesmith.bench.table import read_table
from tunesmith.bench.task import Task
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.names import did_you_mean

Maker = Callable[[], Task]
TABLES = Path(__file__).resolve().parent.parent / "tables"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tasks that can run here, and one line for each that cannot."""

    tasks: tuple[Task, ...]
    skipped: tuple[str, ...]


def task_makers(folders: Sequence[Path] = ()) -> dict[str, Maker]:
    """Return how to make every known task, by name: those in code, the bundled tables, then the tables in `folders`.

    A table in a later folder takes the place of one with the same name.

    Raises:
        ProjectError: a folder is missing or holds no table.
    """
    makers: dict[str, Maker] = {}
    for module in pkgutil.iter_modules(__path__):
        makers.update(importlib.import_module(f"{__name__}.{module.name}").MAKERS)
    for folder in [TABLES, *folders]:
        paths = sorted(folder.glob("*.json"))
        if not paths:
            reason = "holds no NAME.json" if folder.is_dir() else "is no folder"
            raise ProjectError(f"--data {folder} {reason}; give the folder that the tables stand in")
        makers.update({path.stem: partial(read_table, path) for path in paths})
    return makers


def choose_tasks(names: Iterable[str], folders: Sequence[Path] = ()) -> Chosen:
    """Make the tasks with these names; "all" stands for every one that can run here.

    Raises:
        SpecError: a name is unknown, or a table is wrong.
        ProjectError: a folder holds no table.
    """
    makers = task_makers(folders)
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in makers and name != "all"]
    if unknown:
        raise SpecError(
            [Mistake(name, f"is no task{did_you_mean(name, [*makers, 'all'])}") for name in unknown], where="--task"
        )
    tasks, skipped = [], []
    for name in makers if "all" in wanted else wanted:
        try:
            tasks.append(makers[name]())
        except ProjectError as error:
            skipped.append(f"{name} is left out: {error}")
    return Chosen(tuple(tasks), tuple(skipped))
