"""The page on the judge of time: its study is the example's, its tables are complete, its figures are true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.tables.timing import TIMING_METRICS, TimingKeys
from tunesmith.study.trials.trial import FailureKind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "timing.md").read_text(encoding="utf-8")
KEYS = (ROOT / "docs" / "study-toml.md").read_text(encoding="utf-8").partition("### A judge of time")[2]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_is_that_of_the_example() -> None:
    page, example = parse_spec(tomllib.loads(block("toml"))), load_spec(ROOT / "examples" / "kernel")
    assert (page.run, page.space, page.evaluate) == (example.run, example.space, example.evaluate)
    inputs = (ROOT / "examples" / "kernel" / "inputs.py").read_text(encoding="utf-8")
    assert block("python").split("import numpy as np")[1].strip() in inputs


def test_the_tables_name_every_key_metric_and_kind() -> None:
    keys = KEYS.partition("## [serve]")[0]
    assert all(f"`{name}`" in keys for name in TimingKeys.model_fields)
    assert all(f"`{name}`" in PAGE for name in (*TIMING_METRICS, FailureKind.WRONG, FailureKind.TAMPERED))


def test_the_number_of_cheats_is_that_of_the_tests() -> None:
    cheats = (ROOT / "tests" / "fakes" / "timing" / "cheats.py").read_text(encoding="utf-8")
    names = re.findall(r"^def ([a-z]\w*)\(a, b\)", cheats, re.MULTILINE)
    found = re.search(r"Planted cheats, (\d+) of them", PAGE)
    assert found is not None
    assert int(found[1]) == sum(not name.startswith("honest") for name in names)
