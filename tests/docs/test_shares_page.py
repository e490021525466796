"""The page on shares: its study loads, its Python example finds the mixture, and its example is a study of its kind."""

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
PAGE = (ROOT / "docs" / "shares.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_of_the_page_is_valid_with_its_rules() -> None:
    formulas = [line for line in PAGE.splitlines() if line.startswith("- In `when`")]
    derived, forbid = re.findall(r"`(code_tokens = [^`]*|forbid = [^`]*)`", formulas[0])
    table = derived.replace('tokens"', '1000"')
    text = f"{forbid}\n{block('toml')}\n[derived]\n{table}\n"
    space = parse_spec(tomllib.loads(text)).space
    assert list(space.mixtures) == ["mix"]
    assert space.derived_values(space.imputed) == {"code_tokens": 500.0}


def test_the_python_example_finds_the_mixture(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})  # noqa: S102  # the page's example
    code, prose, docs = (float(number) for number in re.findall(r"\d\.\d+", capsys.readouterr().out))
    assert (code, prose, docs) == pytest.approx((0.2, 0.7, 0.1), abs=0.05)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "mixture"
    shutil.copytree(ROOT / "examples" / "mixture", project, ignore=shutil.ignore_patterns(".tunesmith"))
    script = (project / "train.py").read_text(encoding="utf-8")
    (project / "train.py").write_text(script.replace("TOKENS = 100_000", "TOKENS = 4_000"), encoding="utf-8")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert load_spec(project).space.default is not None
    study = (project / "study.toml").read_text(encoding="utf-8").partition("[confirm]")[0]
    (project / "study.toml").write_text(study, encoding="utf-8")
    done = invoke("run", "--trials", "2", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "bits_per_byte" in done.stdout
