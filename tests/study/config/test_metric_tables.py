"""[metrics], [run.files] and [run].shared of study.toml: what is accepted, and what is said of the rest."""

from __future__ import annotations

import time

import pytest

from tunesmith.study.config.command import command_line
from tunesmith.study.config.filled import environment, file_entries, used_placeholders
from tunesmith.study.config.line_pattern import LinePattern
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError


def study(**tables: object) -> StudySpec:
    run = {"command": "python train.py", "env": {"MOM": "{m}"}, "files": {"a.yaml": {"lr": "{lr}", "tag": "b{lr}x"}}}
    space = {"lr": {"type": "float", "low": 0.0, "high": 1.0}, "m": {"type": "float", "low": 0.0, "high": 1.0}}
    return parse_spec({"study": {"name": "s", "metric": "Val Loss"}, "run": run, "space": space, **tables})


def test_values_reach_files_and_the_environment() -> None:
    spec = study()
    assert file_entries(spec, {"lr": 0.5, "m": 0.9}) == {"a.yaml": {"lr": 0.5, "tag": "b0.5x"}}
    assert file_entries(spec, {"m": 0.9}) == {"a.yaml": {}}
    assert environment(spec, {"lr": 0.5, "m": 0.9}) == {"MOM": "0.9"}
    assert environment(spec, {"lr": 0.5}) == {}
    assert used_placeholders(spec) == ["lr", "m"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"metrics": {"Val Loss": {"regex": "(a"}}}, "expected a regular expression"),
        ({"metrics": {"Val Loss": {"regex": "(?=a)b"}}}, "without references and lookaround"),
        ({"metrics": {"Val Loss": {"take": "first"}}}, 'expected "last", "best", or "mean-of-last-5"'),
        ({"metrics": {"Val Loss": {"take": "mean-of-last-0"}}}, 'expected "last"'),
        ({"metrics": {"Val Loss": {"from": "../x.csv"}}}, "expected .*stdout"),
        ({"metrics": {"val_los": {"take": "best"}}}, "is not a metric of this study"),
        ({"study": {"name": "s", "metric": "a  b"}}, "not valid here"),
        ({"run": {"command": "x", "files": {"../a.yaml": {"lr": 1}}}}, "a table for each file"),
        ({"run": {"command": "x", "files": {"a.yaml": {"lr": "{rate}"}}}}, r'used in \[run.files\]."a.yaml"."lr"'),
        ({"run": {"command": "x", "env": {"A": "{rate}"}}}, r"used in \[run.env\].A"),
        ({"run": {"command": "x", "shared": ["/data"]}}, "folders of the project"),
        ({"run": {"command": "x", "shared": [".."]}}, "folders of the project"),
        ({"run": {"command": "x", "shared": ["../../../../d"]}}, "folders of the project"),
        ({"run": {"command": "x", "shared": ["a/../../b"]}}, "folders of the project"),
    ],
)
def test_a_mistake_is_refused_with_what_to_write(tables: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        study(**tables)


@pytest.mark.parametrize("name", ["Val Loss", "val/loss", "eval loss (top-1)", "Großfehler", "acc@1", "m:a", "a%"])
def test_metrics_may_have_the_names_that_scripts_print(name: str) -> None:
    assert study(study={"name": "s", "metric": name}).study.metric == [name]


@pytest.mark.parametrize(
    ("pattern", "line", "number", "word"),
    [
        (r"error (\S+)", "the error 0.25 x", "0.25", "error "),
        (r"(?P<value>\d+)/(\d+)", "3/10", "3", ""),
        (r"^\s*([0-9.]+)\s*$", "  0.93 ", "0.93", ""),
        (r"\d+\.\d+", "x 0.5", "0.5", "."),
        (r"é (\d+)", "naïve é 7", "7", "é "),
        (r"acc\. (\d+)", "acc. 7", "7", "acc. "),
    ],
)
def test_a_pattern_finds_its_number(pattern: str, line: str, number: str, word: str) -> None:
    compiled = LinePattern(pattern)
    found = compiled.search(line)
    assert found is not None
    assert line[found[0] : found[1]] == number
    assert compiled.word == word


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(a|a)*b", r".*a.*a.*a.*a.*b", r"(\d+)*x", r"(x*)*y"])
@pytest.mark.parametrize("character", ["a", "1", "x", " ", "é"])
def test_no_pattern_takes_longer_than_the_line_is_long(pattern: str, character: str) -> None:
    before = time.process_time()
    LinePattern(pattern).search(character * 2**20)
    # Python's own expressions would take years; the bound is far from both.
    assert time.process_time() - before < 5


def test_the_command_to_paste_says_what_the_environment_and_files_need() -> None:
    line = command_line(study(), {"lr": 0.5, "m": 0.9})
    assert line == 'MOM=0.9 python train.py  # with a.yaml: lr = 0.5, tag = "b0.5x"'
    assert command_line(study(run={"command": "python t.py --seed {seed}"}), {}, seed=7) == "python t.py --seed 7"
