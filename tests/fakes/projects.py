"""Small projects for tests: a folder with a training script that costs milliseconds, and its study.toml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunesmith

SOURCE = Path(tunesmith.__file__).parents[1]

# Without site-packages the interpreter starts in 10 ms. The value depends on the parameters only.
SCRIPT = """\
import sys, time
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, y = float(values["--x"]), int(values["--y"])
time.sleep(float(values.get("--sleep", 0)))
for step in range(3):
    print(f"step={step} loss={(x - 0.3) ** 2 + abs(y - 4) + 1 / (step + 1)}")
"""
STUDY = """\
[study]
name = "toy"
metric = "loss"
[run]
command = "{python} -I -S train.py --x {{x}} --y {{y}} {more}"
parallel = {parallel}
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
y = {{ type = "int", low = 1, high = 8, default = 8 }}
[budget]
trials = {trials}
[planner]
sampler = "{sampler}"
{tables}
"""


def make_project(
    folder: Path,
    *,
    script: str = SCRIPT,
    trials: int = 6,
    parallel: int = 1,
    sampler: str = "random",
    more: str = "",
    tables: str = "",
) -> Path:
    """Write train.py and study.toml into a new folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(script, encoding="utf-8")
    text = STUDY.format(
        python=sys.executable, trials=trials, parallel=parallel, sampler=sampler, more=more, tables=tables
    )
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def environment() -> dict[str, str]:
    """Return the environment of this process, with Tunesmith importable and without variables of an outer trial.

    COLUMNS and LINES are left out: readline sets them to 80 and 24 in workers of pytest that have no terminal.
    """
    left_out = ("COLUMNS", "LINES")
    kept = {n: value for n, value in os.environ.items() if not n.startswith("TUNESMITH_") and n not in left_out}
    return {**kept, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1"}


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start the real command line in a new process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tunesmith.cli.main", *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(*arguments: str, cwd: Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the real command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tunesmith.cli.main", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def invoke(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which saves the second that a new interpreter needs for its imports."""
    from tunesmith.cli.main import app

    words = " ".join(arguments)
    with chdir(cwd), pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - environment().keys():
            patch.delenv(name)
        patch.setenv("NO_COLOR", "1")
        result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"tunesmith {words} failed:\n{result.output}") from result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def events(output: str) -> list[dict[str, Any]]:
    """Return the events that `run --json` printed."""
    return [json.loads(line) for line in output.splitlines()]
