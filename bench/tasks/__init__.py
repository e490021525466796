"""Finds tasks by name. A module in this folder with a dict `MAKERS` adds its tasks; no other registration."""

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
    """Return the constructor of every known task by name: tasks in code, bundled tables, then tables in `folders`.

    A table in a later folder replaces one with the same name.

    Raises:
        ProjectError: a folder is missing or contains no table.
    """
    makers: dict[str, Maker] = {}
    for module in pkgutil.iter_modules(__path__):
        makers.update(importlib.import_module(f"{__name__}.{module.name}").MAKERS)
    for folder in [TABLES, *folders]:
        paths = sorted(folder.glob("*.json"))
        if not paths:
            reason = "contains no NAME.json" if folder.is_dir() else "is not a folder"
            raise ProjectError(f"--data {folder} {reason}; give a folder of tables")
        makers.update({path.stem: partial(read_table, path) for path in paths})
    return makers


def choose_tasks(names: Iterable[str], folders: Sequence[Path] = ()) -> Chosen:
    """Make the tasks with these names; "all" means every task that can run here.

    Raises:
        SpecError: a name is unknown, or a table is not valid.
        ProjectError: a folder contains no table.
    """
    makers = task_makers(folders)
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in makers and name != "all"]
    if unknown:
        raise SpecError(
            [Mistake(name, f"is not a known task{did_you_mean(name, [*makers, 'all'])}") for name in unknown],
            where="--task",
        )
    tasks, skipped = [], []
    for name in makers if "all" in wanted else wanted:
        try:
            tasks.append(makers[name]())
        except ProjectError as error:
            skipped.append(f"{name} is skipped: {error}")
    return Chosen(tuple(tasks), tuple(skipped))
