"""The README and the Python page are true: study files load, programs run, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.study.config.load import parse_spec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_study_file_loads() -> None:
    (text,) = blocks("toml")
    assert parse_spec(tomllib.loads(text)).study.name == "digits"


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = blocks("python")
    names: dict[str, object] = {"train": lambda **params: float(params["lr"])}
    exec(program.replace("trials=50", "trials=3"), names)
    assert names["best"]


def test_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    names: dict[str, object] = {"train": lambda params: float(params["lr"])}
    for program in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(program.replace("trials=50", "trials=3"), names)
    assert names["best"]
    assert "value=0.31" in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^tunesmith (\w+)", README, re.MULTILINE))))
def test_the_commands_exist(command: str) -> None:
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
