"""`arms` is for one choice of two values or more that every trial has; anything else is refused in words."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError
from tunesmith.tools.checks.study_checks import check_arms
from tunesmith.tools.interop.export.formulas import arm_remarks

STUDY = """
[study]
name = "models"
metric = "error"
[run]
command = "python train.py"
[space]
flag = { type = "bool" }
"""
VALID = 'model = { type = "choice", choices = ["svm", "knn"], arms = true }'


def parse(lines: str) -> Any:
    return parse_spec(tomllib.loads(f"{STUDY}{lines}\n[budget]\ntrials = 30\n"))


def test_the_key_names_the_arms_of_the_space() -> None:
    spec = parse(VALID)
    assert spec.space.arms == "model"
    assert parse(VALID.replace("true", "false")).space.arms is None
    assert arm_remarks(spec.space) == ["model: an ordinary choice, since arms are not known there"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('model = { type = "choice", choices = ["svm"], arms = true }', "needs at least two choices"),
        ('model = { type = "choice", choices = [1, 2], ordered = true, arms = true }', "have no order"),
        ('model = { type = "choice", choices = ["a", "b"], when = "flag", arms = true }', "every trial has"),
        ('model = { type = "choice", choices = ["a", "b"], arms = "yes" }', "expected true or false"),
        ('model = { type = "choice", choices = ["a", "b"], arms = 1 }', "expected true or false"),
        ('model = { type = "float", low = 0.0, high = 1.0, arms = true }', "arms"),
        (VALID + "\n" + VALID.replace("model", "other"), "a second algorithm choice beside model"),
    ],
)
def test_anything_else_is_refused(line: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse(line)


@pytest.mark.parametrize(
    ("more", "level", "words"),
    [
        ("", "ok", "each of the 2 values of model runs once"),
        ('\n[planner]\nsampler = "random"', "warning", "the sampler random does not know"),
        ("\n[budget]\ntrials = 3", "warning", "so 3 trials leave few"),
    ],
)
def test_check_says_what_becomes_of_the_trials(more: str, level: str, words: str) -> None:
    budget = "" if "[budget]" in more else "\n[budget]\ntrials = 30"
    (finding,) = check_arms(parse_spec(tomllib.loads(f"{STUDY}{VALID}{more}{budget}\n")))
    assert finding.level == level
    assert words in finding.detail
