"""The page on instances: its study fits its example, and its Python runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tunesmith.study.config.load import load_spec, parse_spec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "instances.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_loads_and_the_example_has_its_options() -> None:
    spec = parse_spec(tomllib.loads(block("toml")))
    assert spec.instance_set is not None
    assert (len(spec.instance_set.tuning), len(spec.instance_set.held_out)) == (14, 6)
    script = (ROOT / "examples" / "folds" / "train.py").read_text(encoding="utf-8")
    assert all(option in script for option in re.findall(r"--\w+", spec.run.command))


@pytest.mark.parametrize("name", ["cp_sat", "folds", "sqlite_workloads"])
def test_the_examples_that_the_page_names_have_instances(name: str) -> None:
    assert f"`examples/{name}`" in PAGE
    assert load_spec(ROOT / "examples" / name).instances is not None


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})  # noqa: S102  # the page's example
    block_size, trials = map(int, capsys.readouterr().out.split())
    assert trials == 40
    assert 32 <= block_size <= 128
