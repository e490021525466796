"""The warm-start pages: commands and snippets run as they stand, where the package is installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.filled_study import fill, write_study
from fakes.projects import command

from tunesmith.tools.interop.export.registry import TARGETS

PAGES = Path(__file__).parents[2] / "docs" / "warm-start"
MODULES = {
    "optuna": "optuna",
    "nevergrad": "nevergrad",
    "flaml": "flaml",
    "smac": "smac",
    "ax": "ax.api",
    "hyperopt": "hyperopt",
    "ray": "ray.tune",
    "syne-tune": "syne_tune.optimizer.baselines",
    "botorch": "botorch",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "csv-and-jsonl": "json",
}


OPTIONS = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
print("val_loss=", parser.parse_args().lr)
"""


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.filterwarnings("default")  # what the packages warn of on import is theirs
@pytest.mark.parametrize("page", MODULES)
def test_the_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    pytest.importorskip(MODULES[page], reason=f"{MODULES[page]} is not installed", exc_type=ImportError)
    folder = write_study(tmp_path / "digits", python=sys.executable)
    fill(folder, 10)
    exports = [line for line in "".join(blocks(page, "sh")).splitlines() if line.startswith("tunesmith ")]
    for line in exports:
        done = command(*shlex.split(line)[1:], cwd=folder)
        assert done.returncode == 0, done.stderr
    assert exports
    (program,) = blocks(page, "python")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False, env=kept, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_the_commands_for_starting_points_run(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "digits", python=sys.executable)
    (folder / "train.py").write_text(OPTIONS, encoding="utf-8")
    lines = [line for line in "".join(blocks("README", "sh")).splitlines() if line.startswith("tunesmith suggest")]
    for line in lines:
        done = command(*shlex.split(line, comments=True)[1:], cwd=folder)
        assert done.returncode == 0, done.stderr
    assert len(lines) == 3


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("number", "module"), list(enumerate(["optuna", "ray.tune", "sklearn", "transformers", "lightning"]))
)
def test_the_live_snippets_run(number: int, module: str, tmp_path: Path) -> None:
    pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
    program = blocks("live", "python")[number]
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_every_target_has_a_page_that_the_overview_names() -> None:
    overview = (PAGES / "README.md").read_text(encoding="utf-8")
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README", "live"}
    assert pages == set(MODULES)
    for name in TARGETS:
        page = "csv-and-jsonl" if name in ("csv", "jsonl") else name
        assert f"[{name}]({page}.md)" in overview


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_links_and_commands_of_the_page_are_there(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (PAGES / target).exists(), target
    for name in re.findall(r"^tunesmith (\w+)", text, re.MULTILINE):
        assert command(name, "--help", cwd=PAGES).returncode == 0
