"""The page on arms: its study file is read as it says, and its Python example runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from tunesmith.study.config.load import parse_spec

PAGE = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_file_is_read_and_has_arms() -> None:
    assert parse_spec(tomllib.loads(block("toml"))).space.arms == "model"


def test_the_python_example_tries_each_arm_and_finds_the_better_one() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102  # the page's example
    tried = [trial.params["model"] for trial in names["tuner"].trials]
    assert tried[:2] == ["line", "curve"]
    assert names["best"].params["model"] == "curve"
