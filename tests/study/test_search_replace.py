"""Edits of files with any line ends and characters: untouched lines keep their bytes, new lines get the usual end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.search_replace import split_lines, split_lines_with_ends
from tunesmith.study.variant import Edit, EditRefused, apply_edits, unified_diff


def edited(text: str, search: str, replacement: str) -> str:
    return apply_edits({"f": text}, [Edit("f", search, replacement)])["f"]


@pytest.mark.parametrize(
    ("text", "search", "replacement", "expected"),
    [
        ("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n"),
        ("a\r\nb\r\nc\r\n", "b", "x\ny", "a\r\nx\r\ny\r\nc\r\n"),
        ("a\r\nb\r\nc\r\n", "b\r\n", "x\r\ny\r\n", "a\r\nx\r\ny\r\nc\r\n"),
        ("a\r\nb\r\nc", "b\nc", "b\nx", "a\r\nb\r\nx"),
        ("a\nb\r\nc\nd\r\n", "b\nc", "b\nx\nc", "a\nb\r\nx\r\nc\nd\r\n"),
        ("a\nb\r\nc\r\nd\n", "a\nb", "a\nx", "a\nx\r\nc\r\nd\n"),
        ("a\nb", "b\n", "x\n", "a\nx"),
        ("a\nb\n", "b\r\n", "x\r\ny\r\n", "a\nx\ny\n"),
        ("\ufeffa\r\nb\r\n", "a\nb", "x\nb", "\ufeffx\r\nb\r\n"),
        ("\ufeffa = 1\nb\n", "a = 1", "a = 2", "\ufeffa = 2\nb\n"),
        ("a\n\x0c\nb = 1\nc\n", "\nb = 1\n", "\nb = 2\n", "a\n\x0c\nb = 2\nc\n"),
        ("a\n\x0cb = 1\nc\n", " b = 1\nc", "b = 2\nc", "a\nb = 2\nc\n"),
        ("s = 'x\u2028y'\nb = 1\n", "b = 1", "b = 2", "s = 'x\u2028y'\nb = 2\n"),
        ("s = 'x\x0by'\r\nb = 1\r\n", "b = 1\n", "b = 2\nc\n", "s = 'x\x0by'\r\nb = 2\r\nc\r\n"),
        ("if a:\n\tb = 1  \n\tc = 1\n", "\tb = 1\n\tc = 1", "\tb = 2\n\tc = 1", "if a:\n\tb = 2\n\tc = 1\n"),
        ("a\r\nb\r\nc\r\n", "b\n", "", "a\r\nc\r\n"),
        ("a\u00a0= 1\nb\n", "a = 1\nb\n", "a = 2\nb\n", "a = 2\nb\n"),
    ],
)
def test_lines_keep_their_ends_and_new_lines_get_the_usual_one(
    text: str, search: str, replacement: str, expected: str
) -> None:
    assert edited(text, search, replacement) == expected


FUNCTION = "def f(x):\n    if x:\n        y = 1\n\n        return y\n    return x\n"


@pytest.mark.parametrize(
    ("text", "search", "replacement", "expected"),
    [
        # The margin that a prompt puts before each line.
        ("a\nb\nc\n", "| a\n| b\n", "| a\n| x\n", "a\nx\nc\n"),
        ("a\nb\nc\n", "| a\n| b", "a\nx", "a\nx\nc\n"),
        ("a\n\nb\n", "| a\n|\n| b\n", "| a\n|\n|     x\n", "a\n\n    x\n"),
        (FUNCTION, "|     return x\n", "|     return -x\n", FUNCTION.replace("return x", "return -x")),
        ("a = b | c\nd\n", "a = b | c", "a = b | d", "a = b | d\nd\n"),
        # Indentation that all lines share.
        (FUNCTION, "if x:\n    y = 1\n", "if x:\n    y = 2\n", FUNCTION.replace("y = 1", "y = 2")),
        (FUNCTION, "y = 1\n\nreturn y", "y = 1\ny += 1\n\nreturn y", FUNCTION.replace("1\n", "1\n        y += 1\n")),
        (FUNCTION, "    y = 1\n\n    return y\n", "    return y\n", FUNCTION.replace("        y = 1\n\n", "")),
        ("if a:\n\tb\n\tc\n", "b\nc\n", "b\nd\n", "if a:\n\tb\n\td\n"),
        ("a\nb\nc\n", "    a\n    b\n", "    a\n    x\n", "a\nx\nc\n"),
        # Several at once.
        ("if a:\r\n    b  \r\n    c\r\n", "| b\n| c\n", "| b\n| d\n", "if a:\r\n    b\r\n    d\r\n"),
        ("if a:\n    b \n    c\n", "b\nc", "b\nd", "if a:\n    b\n    d\n"),
    ],
)
def test_slips_of_a_model_are_repaired_in_the_replacement_as_well(
    text: str, search: str, replacement: str, expected: str
) -> None:
    assert edited(text, search, replacement) == expected


@pytest.mark.parametrize(
    ("text", "search", "reason"),
    [
        ("if a:\n    b\n    c\nif d:\n        b\n        c\n", "b\nc\n", "occurs 2 times"),
        ("if a:\n    b\n        c\n", "b\nc\n", "not in the file"),
        ("if a:\n    b\n    c\n", "b\n    c\nd\n", "not in the file"),
        ("a\nb\n", "| a\nb\n", "not in the file"),
    ],
    ids=["twice", "another indentation inside", "another line", "a margin on one line only"],
)
def test_what_cannot_be_repaired_in_one_way_is_refused(text: str, search: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(text, search, "x\n")


def test_a_file_is_created_by_an_empty_search_text() -> None:
    files = {"train.py": "a\n"}
    created = apply_edits(files, [Edit("models/net.py", "", "b = 1\n"), Edit("train.py", "a", "c")], ["models/net.py"])
    assert created == {"train.py": "c\n", "models/net.py": "b = 1\n"}
    twice = [Edit("net.py", "", "b = 1\n"), Edit("net.py", "b = 1", "b = 2")]
    assert apply_edits(files, twice, ["net.py"])["net.py"] == "b = 2\n"
    for edits, reason in [
        ([Edit("train.py", "", "b")], "the file exists"),
        ([Edit("net.py", "a", "b")], "does not exist"),
        ([Edit("other.py", "", "b")], "may not be edited"),
    ]:
        with pytest.raises(EditRefused, match=reason):
            apply_edits(files, edits, ["net.py"])


@pytest.mark.parametrize(
    ("text", "search", "reason"),
    [
        ("a\r\nb\r\na\r\nb\r\n", "a\nb", "occurs 2 times"),
        ("a  \nb\na \nb\n", "a\nb", "occurs 2 times"),
        ("a\r\n\r\nb\r\n", "\n  \n   \n", "not in the file"),
        ("if a:\n\tb\n", "    b", "not in the file"),
    ],
)
def test_a_search_text_with_no_match_or_several_is_refused(text: str, search: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(text, search, "x")


def test_other_line_ends_alone_are_no_change() -> None:
    with pytest.raises(EditRefused, match="nothing would change"):
        edited("a\r\nb\r\n", "a\r\n", "a\n")


ENDS = st.sampled_from(["\n", "\r\n"])
LINES = st.lists(
    st.tuples(st.sampled_from(["a", "b = 1", "\tc", "", "d\x0ce", "f\u2028g", "h\x0bi"]), ENDS), max_size=8
)


@given(before=LINES, old=st.lists(ENDS, min_size=1, max_size=3), after=LINES, new=st.integers(0, 4))
def test_lines_outside_an_edit_keep_their_bytes(
    before: list[tuple[str, str]], old: list[str], after: list[tuple[str, str]], new: int
) -> None:
    head, tail = ("".join(line + end for line, end in part) for part in (before, after))
    region = "".join(f"old {index}{end}" for index, end in enumerate(old))
    search = "".join(f"old {index}\n" for index in range(len(old)))
    found = edited(head + region + tail, search, "".join(f"new {index}\n" for index in range(new)))
    assert found.startswith(head)
    assert found.endswith(tail)
    middle = split_lines_with_ends(found[len(head) : len(found) - len(tail)])
    assert [line.strip() for line in middle] == [f"new {index}" for index in range(new)]
    assert {line[len(line.rstrip()) :] for line in middle} <= set(old)


@given(before=LINES, after=LINES)
def test_git_applies_the_diff_of_any_lines(
    tmp_path_factory: pytest.TempPathFactory, before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    old, new = ("".join(line + end for line, end in part) for part in (before, after))
    diff = unified_diff({"f": old}, {"f": new})
    if not diff or not old or not new:
        return
    folder: Path = tmp_path_factory.mktemp("repository")
    (folder / "f").write_bytes(old.encode())
    subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], input=diff.encode(), cwd=folder, check=True)
    assert (folder / "f").read_bytes() == new.encode()


def test_a_line_ends_at_a_newline_only() -> None:
    assert split_lines("a\x0cb\u2028c\r\nd\x85e\n") == ["a\x0cb\u2028c", "d\x85e"]
    assert split_lines("") == []
    assert split_lines("a\n\n") == ["a", ""]
