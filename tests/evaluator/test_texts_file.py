"""Reading the texts that a trial wrote: what is refused, and why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.evaluator.readers.labels_file import read_labels
from tunesmith.evaluator.readers.texts_file import read_texts_file
from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.observed.texts import MAX_EXAMPLES, TextsUnusable, read_texts, write_texts

LINE = '{"id": 1, "input": {"a": [1]}, "output": "two\\u2028lines", "score": 0.5, "feedback": "good"}'


def test_what_was_read_is_written_so_that_it_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    path.write_text(f"\ufeff{LINE}\n\n", encoding="utf-8")
    found = read_texts_file(path)
    assert (found["1"].output, found["1"].score, found["1"].input) == ("two\u2028lines", 0.5, '{"a": [1]}')
    assert read_texts(write_texts(found).split("\n")) == found


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.touch(), "it is empty"),
        (lambda path: path.write_text("{"), "line 1 is not valid JSON"),
        (lambda path: path.write_text("[" * 100_000), "line 1 is not valid JSON"),
        (lambda path: path.write_text("3"), "line 1 is not an object"),
        (lambda path: path.write_text('{"id": 1}'), "line 1 has no output"),
        (lambda path: path.write_text('{"id": true, "output": "a"}'), "line 1 has no id"),
        (lambda path: path.write_text('{"id": 1, "output": "a", "score": NaN}'), "a score that is not a number"),
        (lambda path: path.write_text(f'{{"id": 1, "output": "a", "score": {"9" * 400}}}'), "that is not a number"),
        (lambda path: path.write_text(f"{LINE}\n{LINE}"), "line 2 repeats the id"),
        (
            lambda path: path.write_text("\n".join(f'{{"id": {i}, "output": ""}}' for i in range(MAX_EXAMPLES + 1))),
            "over 2,000 examples",
        ),
        (lambda path: path.write_bytes(b"\xff"), "byte 1 is not UTF-8"),
        (lambda path: path.symlink_to("/etc/passwd"), "cannot be opened"),
        (os.mkfifo, "is not a file"),
        (Path.mkdir, "is not a file"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    make(tmp_path / "outputs.jsonl")
    with pytest.raises(TextsUnusable, match=reason):
        read_texts_file(tmp_path / "outputs.jsonl")


@pytest.mark.parametrize(
    ("text", "pairs", "reason"),
    [
        ("input;a;b;label\n", True, "expected a header input, a, b, label with commas between the columns"),
        ("input,a,b\n", True, "has no column label"),
        ("input,a,b,label\nq,x,y,c\n", True, "line 2: label .c. is not one of a, b, tie"),
        ("input,output,label\nq,x,9\n", False, "is not a number from 1 to 5"),
        ("input,output,label\nq,x,\n", False, "is not a number from 1 to 5"),
    ],
)
def test_labels_that_cannot_be_read_say_where(tmp_path: Path, text: str, pairs: bool, reason: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    table = JudgeTable(model="m", prompt="judge.md", labels="labels.csv", pairs=pairs)
    with pytest.raises(ProjectError, match=reason):
        read_labels(table, tmp_path)
