"""Edits of code whose secrets the model did not see: what it copies as "[redacted]" is the secret again."""

from __future__ import annotations

import pytest

from tunesmith.history.redact import redact
from tunesmith.study.variant import Edit, EditRefused
from tunesmith.tools.variants.hidden_secrets import with_secrets

CODE = """\
import wandb
wandb.login(key="0123456789abcdef0123456789abcdef01234567")
client = connect(api_key="hunter2hunter", lr=0.1)
lr = 0.1
"""
FILES = {"train.py": CODE}


@pytest.mark.parametrize("line", CODE.splitlines())
def test_a_line_copied_as_it_was_shown_is_found_in_the_file(line: str) -> None:
    edit = with_secrets(Edit("train.py", redact(line, {}), f"{redact(line, {})}\nlr = 0.2"), FILES)
    assert edit.search == line
    assert edit.replace == f"{line}\nlr = 0.2"


def test_a_changed_line_keeps_its_secret() -> None:
    shown = redact(CODE.splitlines()[2], {})
    edit = with_secrets(Edit("train.py", shown, shown.replace("lr=0.1", "lr=0.3")), FILES)
    assert edit.replace == 'client = connect(api_key="hunter2hunter", lr=0.3)'


def test_several_lines_are_copied_with_the_secret_of_each() -> None:
    edit = with_secrets(Edit("train.py", redact(CODE, {}), redact(CODE, {}).replace("lr = 0.1", "lr = 0.2")), FILES)
    assert edit.search == CODE
    assert edit.replace == CODE.replace("lr = 0.1", "lr = 0.2")


def test_an_edit_without_secrets_is_left_alone() -> None:
    edit = Edit("train.py", "lr = 0.1", "lr = 0.2")
    assert with_secrets(edit, FILES) is edit


def test_a_secret_that_the_file_does_not_have_is_refused() -> None:
    with pytest.raises(EditRefused, match="not in this file"):
        with_secrets(Edit("train.py", "lr = 0.1", 'token = "[redacted]"'), FILES)
    with pytest.raises(EditRefused, match="leave such lines out"):
        with_secrets(Edit("new.py", "", 'token = "[redacted]"'), FILES)
