"""The page on comparisons: its command fits its example, and its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tunesmith.bench.methods.studies import Plan, method_studies
from tunesmith.study.config.load import load_spec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_command_compares_what_its_example_has() -> None:
    words = shlex.split(block("sh").partition("&&")[2])
    assert words[:2] == ["tunesmith", "compare"]
    spec = load_spec(ROOT / "examples" / words[2])
    studies = method_studies(spec, ROOT, Plan(by=words[words.index("--by") + 1]))
    assert {study.method for study in studies} == {"adamw", "sgd", "muon"}
    assert len(studies) == 15
    assert words[words.index("--target") + 1].partition("=")[0] in spec.study.metric


def test_the_python_example_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})  # noqa: S102  # the page's example
    assert [round(float(number), 2) for number in capsys.readouterr().out.split()] == [0.51, 1.0, 0.5]
