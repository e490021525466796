"""What an answer looks like in a terminal: formulas as text, commands that can be copied, hanging indents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.chat.display.blocks import Block, code_and_text
from tunesmith.cli.chat.display.latex_text import latex_to_text
from tunesmith.cli.chat.display.wrapping import wrap_line


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"a rate of $3\times 10^{-4}$ is usual", "a rate of 3 × 10⁻⁴ is usual"),
        (r"$\eta \approx 0.1$", "η ≈ 0.1"),
        (r"$\log_{10}(lr)$", "log₁₀(lr)"),
        (r"\(\beta_1 = 0.9, \beta_2 = 0.999\)", "β₁ = 0.9, β₂ = 0.999"),
        (r"\[ \mathcal{L} = \frac{1}{n}\sum_i (y_i-\hat{y}_i)^2 \]", "L = 1/n∑ᵢ (yᵢ-ŷᵢ)²"),
        (r"$$\sqrt{\frac{a+b}{2}}$$", "√((a+b)/2)"),
        (r"$x_{\text{best}}$ is it", r"x\_(best) is it"),
        (r"$\theta^{(t+1)} = \theta^{(t)} - \eta \nabla_\theta L$", r"θ⁽ᵗ⁺¹⁾ = θ⁽ᵗ⁾ - η ∇\_θ L"),
        (r"$n$ of them", "n of them"),
        (r"$\left( 1 - \alpha \right)$", "( 1 - α )"),
        (r"$50\%$ dropout, $p \le 0.5$", "50% dropout, p ≤ 0.5"),
        (r"$\mathbb{E}[x] \pm \sigma$", "E[x] ± σ"),
        (r"$\foo{x}$", "foox"),
    ],
)
def test_a_formula_is_text(latex: str, text: str) -> None:
    import unicodedata

    assert unicodedata.normalize("NFC", latex_to_text(latex)) == text


@pytest.mark.parametrize(
    "text",
    [
        "it costs $3, at most $5",
        "$0.02 of $3 are used",
        "US$5_000 and $6_000",
        "`$x_1$` is code",
        "```\necho $HOME/$USER_1\n```",
        "set $HOME and $PATH",
        "a dollar $ alone, and another $ here",
        "x_1 and y^2 outside of formulas",
        r"a path C:\new\text",
        "",
    ],
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert latex_to_text(text) == text


@given(st.text(alphabet="$\\{}^_ax1 (+)[]\n", max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    latex_to_text(text)


def test_code_is_apart_from_text() -> None:
    found = list(code_and_text("one\n\n```sh\n  a\n\nb\n```\ntwo\n~~~\nc"))
    assert found == [Block("one", False), Block("  a\n\nb", True), Block("two", False), Block("c", True)]


COMMAND = "  /usr/bin/python3.11 -m train --lr 0.1 --width 8 --some-long-option 1234567890 --another 0.000123"


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("short", ["short"]),
        ("one two three four five six seven eight nine", ["one two three four five six seven eight", "nine"]),
        (
            "  limits    trials 12, hours 8, llm_usd 3.0, kwh 2",
            ["  limits    trials 12, hours 8, llm_usd", "            3.0, kwh 2"],
        ),
        ("- an item that is longer than the line is", ["- an item that is longer than the line", "  is"]),
        ("· the run has ended because of many failures", ["· the run has ended because of many", "  failures"]),
        (COMMAND, [COMMAND]),
        (f"  command   {COMMAND.strip()}", [f"  command   {COMMAND.strip()}"]),
        ("x" * 60, ["x" * 60]),
        ("    漢字漢字漢字漢字漢字 漢字漢字漢字漢字漢字", ["    漢字漢字漢字漢字漢字", "    漢字漢字漢字漢字漢字"]),
    ],
)
def test_lines_break_between_words_with_a_hanging_indent(line: str, rows: list[str]) -> None:
    assert list(wrap_line(line, 40)) == rows


@given(st.text(alphabet="ab -·1.", max_size=120), st.integers(10, 60))
def test_no_word_is_lost(line: str, width: int) -> None:
    assert "".join("".join(wrap_line(line, width)).split()) == "".join(line.split())
