"""The results file: one JSON line per finished run. Knows no planner and no statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """Identifies a run: task, planner, seed and number of trials."""

    task: str
    planner: str
    seed: int
    trials: int


@dataclass(frozen=True, slots=True)
class Run:
    """The results of a run.

    Attributes:
        values: the metric per trial, None where the trial failed; shorter than key.trials when the space was exhausted.
        failures: number of failed trials by kind.
        ask_s: seconds per suggestion.
    """

    key: RunKey
    values: tuple[float | None, ...]
    failures: Mapping[str, int]
    ask_s: tuple[float, ...]


class ResultsFile:
    """Runs by key, read from the file when it exists. An incomplete last line, as after a kill, is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.runs: dict[RunKey, Run] = {}
        if path.exists():
            self._read()

    def append(self, run: Run) -> None:
        """Append a run; a run whose key is already in the file is ignored.

        Raises:
            ProjectError: the file cannot be written.
        """
        if run.key in self.runs:
            return
        line = json.dumps({**asdict(run.key), **{k: v for k, v in asdict(run).items() if k != "key"}})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(line + "\n")
        except OSError as error:
            raise ProjectError(
                f"{self._path} cannot be written: {error.strerror}; give another file with --results"
            ) from None
        self.runs[run.key] = run

    def _read(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"{self._path} cannot be read: {error}; give another file with --results") from None
        whole, cut = text.rpartition("\n")[0], text.rpartition("\n")[2]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                run = _parse(json.loads(line))
            except (ValueError, TypeError, KeyError):
                message = "is not a run of a benchmark; give another file with --results"
                raise SpecError([Mistake(f"line {number}", message)], where=str(self._path)) from None
            self.runs.setdefault(run.key, run)
        if cut:
            write_atomic(self._path, f"{whole}\n" if whole else "")


def _parse(row: dict[str, Any]) -> Run:
    key = RunKey(row["task"], row["planner"], int(row["seed"]), int(row["trials"]))
    return Run(key, tuple(row["values"]), dict(row["failures"]), tuple(row["ask_s"]))
