"""The page on text parameters: its study loads, and its line of an example is one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.trials.observed.texts import read_texts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_and_the_line_are_valid_and_the_example_has_the_study() -> None:
    spec = parse_spec(tomllib.loads(block("toml")))
    assert [text.files for text in spec.texts] == [("prompt.md",)]
    found = read_texts(block("json").splitlines())["bridge"]
    assert (found.score, found.feedback) == (0.2, "kilometres were not converted")
    assert load_spec(ROOT / "examples" / "prompts").run.command == spec.run.command
