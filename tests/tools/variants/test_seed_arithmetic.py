"""What is derived from the study's seed passes as a seed; a number does not, however it is written."""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tunesmith.tools.variants.gaming.metric_gaming import gaming_problems

MODEL = "model = Forest(width=3, random_state=args.seed)\n"
SEEDING = "torch.manual_seed(args.seed)\n"
SCRIPT = textwrap.dedent(f"""\
    import argparse, random, torch, os, numpy as np
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=3)
    args = parser.parse_args()
    {SEEDING.strip()}
    rng = np.random.default_rng(args.seed)
    {MODEL.strip()}
    model.prepare(x)
""")
TABLE = tomllib.loads((Path(__file__).parent / "edit_tables" / "seeds.toml").read_text())
DERIVED, NUMBERS = TABLE["derived"], TABLE["numbers"]


def problems(edit: Mapping[str, str]) -> list[str]:
    replaced = {"model": MODEL, "seeding": SEEDING}[edit["replaced"]]
    return gaming_problems(ast.parse(SCRIPT), ast.parse(SCRIPT.replace(replaced, edit["by"])))


@pytest.mark.parametrize("name", DERIVED)
def test_another_seed_for_each_seed_of_the_study_passes(name: str) -> None:
    assert problems(DERIVED[name]) == []


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_in_place_of_the_seed_is_refused(name: str) -> None:
    assert any(problem.startswith("a seed is changed") for problem in problems(NUMBERS[name]))


def test_an_ensemble_may_be_made_around_the_number_that_a_script_has_for_a_seed() -> None:
    before = ast.parse("model = Forest(random_state=42)")
    members = "model = Vote([Forest(random_state={} + n) for n in range(5)])"
    assert gaming_problems(before, ast.parse(members.format(42))) == []
    assert gaming_problems(before, ast.parse(members.format(7)))
