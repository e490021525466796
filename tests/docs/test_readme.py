"""What the README shows works: its study file loads, its Python runs, its commands exist."""

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
    text, edits = blocks("toml")
    assert parse_spec(tomllib.loads(text)).study.name == "digits"
    assert parse_spec({**tomllib.loads(text), **tomllib.loads(edits)}).edits is not None


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script, program, in_optuna = blocks("python")
    exec(script, {"epoch": 1, "loss": 0.5})
    program = program.replace("trials=50", "trials=3")
    found: dict[str, object] = {"train": lambda **params: float(params["lr"])}
    exec(program, found)
    found["tuner"].close()  # type: ignore[attr-defined]
    assert found["best"]
    exec(
        in_optuna.replace("n_trials=50", "n_trials=3"),
        optuna_names := {"objective": lambda t: t.suggest_float("x", 0, 1)},
    )
    assert len(optuna_names["study"].trials) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^tunesmith (\w+)", README, re.MULTILINE))))
def test_the_commands_exist(command: str) -> None:
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
