"""An answer of the chat is printed block by block."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.chat.display.blocks import split_blocks


@given(st.text(alphabet="ab \n`~#-|", max_size=200))
def test_no_text_is_lost_or_repeated(text: str) -> None:
    done, rest = split_blocks(text)
    assert done + rest == text


def test_blocks_end_at_blank_lines_but_not_inside_code() -> None:
    assert split_blocks("one\n\ntwo") == ("one\n\n", "two")
    assert split_blocks("```\na\n\nb\n") == ("", "```\na\n\nb\n")
