"""The page on confirmation: its tables load, its example runs and chooses by hidden data, and its Python runs."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from fakes.projects import invoke

from tunesmith.study.config.load import load_spec, parse_spec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "confirmation.md").read_text(encoding="utf-8")
STUDY = """\
[study]
name = "page"
metric = "loss"
[space]
width = { type = "int", low = 8, high = 64, default = 16 }
depth = { type = "int", low = 1, high = 4, default = 2 }
"""
COMMAND = 'command = "python train.py --width {width} --depth {depth} --seed {seed}"\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_tables_of_the_page_are_valid() -> None:
    judge, scale = blocks("toml")
    assert parse_spec(tomllib.loads(f"{STUDY}[run]\n{COMMAND}{judge}")).confirm is not None
    found = parse_spec(tomllib.loads(f"{STUDY}{scale.replace('[run]', f'[run]{chr(10)}{COMMAND}')}")).confirm
    assert found is not None
    assert set(found.scale) == {"width", "depth", "TRAIN_SECONDS"}


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(blocks("python")[0], {})  # noqa: S102  # the page's example
    x, error = map(float, capsys.readouterr().out.split())
    assert abs(x - 0.3) < 0.1
    assert error < 0.01


def test_the_example_chooses_by_rows_that_no_trial_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "hidden_data"
    shutil.copytree(ROOT / "examples" / "hidden_data", project, ignore=shutil.ignore_patterns(".tunesmith"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert "mentions" not in invoke("check", cwd=project).stdout
    done = invoke("run", "--trials", "4", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "hidden data" in done.stdout
    seen = [path.name for path in (project / ".tunesmith" / "hidden_data").rglob("*")]
    assert "train.py" in seen
    assert not {"judge.py", "vault"} & set(seen)


def test_the_example_of_scale_doubles_the_width() -> None:
    spec = load_spec(ROOT / "examples" / "charlm" / "scale.toml")
    assert spec.confirm is not None
    assert spec.confirm.scale["width"] == "x2"
