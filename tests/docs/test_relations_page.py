"""The page on relations: its study file is read as it says, and its Python example runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import parse_spec

PAGE = (Path(__file__).parents[2] / "docs" / "relations.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_file_is_read_and_the_derived_width_is_in_the_command() -> None:
    spec = parse_spec(tomllib.loads(block("toml")))
    assert "--width 512" in command_line(spec, spec.space.imputed)
    assert spec.space.broken_rule({**spec.space.imputed, "total_batch": 132096})


def test_the_python_example_keeps_its_rules() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102  # the page's example
    found = names["best"].params
    width = -(-found["depth"] * found["aspect"] // found["head"]) * found["head"]
    assert found["heads"] <= width / 16
    assert width % found["heads"] == 0
