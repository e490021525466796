"""The page on measured resources: its study fits its example, its table names every resource, and its Python runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.observed.resources import RESOURCES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "resources.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_loads_and_the_example_has_its_options() -> None:
    spec = parse_spec(tomllib.loads(block("toml")))
    assert spec.resources == ("run/seconds", "run/rss_gib")
    script = (ROOT / "examples" / "digits" / "train.py").read_text(encoding="utf-8")
    assert all(option in script for option in re.findall(r"--[\w-]+", spec.run.command))


def test_the_table_names_every_resource() -> None:
    assert set(re.findall(r"^\| `(run/\w+)`", PAGE, re.MULTILINE)) == set(RESOURCES)


def test_the_python_example_prints_the_size_of_a_front(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})  # noqa: S102  # the page's example
    assert 1 <= int(capsys.readouterr().out) <= 8
