"""Every regular expression of the product, and text that makes careless ones take forever; as a program, it tries them.

    python patterns.py BYTES [PART/PARTS]

prints the expressions that took longer than a linear one may.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import tunesmith

ROOT = Path(tunesmith.__file__).parent
ROOMS = ("study", "history", "evaluator", "prompts", "tools", "agent", "cli")
PIECES = (
    '1', '1,', '1.', '1_', '1 ', '1e', '-1', '0x', '123,456', '1:', '12:3', 'a', 'A', 'aB', 'ab ', 'a.', 'a,b', '_',
    '-', '+', '.', '/', '\\', '\\\\', "'", '"', '`', '{', '}', '{}', '[', '(', ')', '()', '<', '>', '|', '=', ': ',
    ',', ', ', ';', '#', '# ', '$', '$a', '${a', '!', '%', '&', '*', '~', '@', '?', '^', ' ', '\t', '\n', '\r',
    '\r\n', ' \n', '\n\n', '\xa0', '\u2009', '\u2028', '\x1b', '\x1b[', '\x1b[0;', '\x1b]', '\x1b]8;;', '\x00',
    '\xe9', '\u6f22', '\u0301', '\U0001f469\u200d', '\u0130', '\u017f', '\ufffd', '//', '/*', '/* *', '\\u', '\\x',
    "'a':", '"a": 1, ', "{'a': ", '[1, ', '{a?', '{a}', 'a=1 ', 'a: 1\n', 'loss', 'loss ', 'loss=', 'val_loss=',
    'best val_loss ', 'epoch 1/', 'step=1 ', 'lr=1e', '--a ', '--a=', '--- a\n+++ ', '--- ', '+++ ',
    'diff --git a b\n', '@@ -1 +1 @@\n', '<think>', '</think>', '<|channel|>analysis', 'analysis', '[TOOL_CALLS]',
    '<tool_call>', 'to=', '<function=', 'functions.', 'error: ', 'Error', 'Exception', 'FooError: ',
    'Traceback (most recent call last)\n', '[rank0]: ', 'File "x", line 1\n', 'Killed ', 'CUDA ', 'worker ',
    'NCCL ', 'out of memory ', 'Failed to allocate 1', "No such file or directory: '", 'RESOURCE_EXHAUSTED ',
    'context length ', 'exceed ', 'too long ', 'maximum ', 'input token count ', 'requested tokens (1',
    '# tunesmith: protect\n', '# tunesmith: end\n', 'password=', 'password = "', "api_key: '",
    'Authorization: Bearer ', 'login(', 'token ', 'KEY_A=', 'A_B_', 'eyJ', 'eyJa.', 'sk-', 'AKIA', 'ghp_', 'hf_',
    '-----BEGIN PRIVATE KEY-----\n', 'https://a:b@', 'https://', 'patch failed: a:', 'home = ', "MAPPING: {'",
    'sep=,', '1,5\n', '"trial_id": "a", ', 'and ', 'or ', 'not ', 'x == 1 and ', '2h', '1 h ', '10m1', '1 to ',
    '#1-', '#1,',
)  # fmt: skip
BOUNDED = ("tunesmith.evaluator.supervision.leftovers._RUN_BY_THEMSELVES",)
"""Expressions whose text is always short: the name of a file has at most 255 bytes."""
SCREENED = 2048
"""Length of text that every expression reads first: a quadratic one takes tens of milliseconds, not an hour."""
SHORTEST_S, LONGEST_S = 0.012, 3.0
"""Time of the processor that an expression may take for nothing, and for a megabyte more."""


def expressions() -> dict[tuple[str, int, bool], str]:
    """Return where each expression is written first, by its text, its flags, and whether it is searched for."""
    found: dict[tuple[str, int, bool], str] = {}
    for where, pattern, is_searched in [*_compiled(), *_written()]:
        if isinstance(pattern.pattern, str):
            found.setdefault((pattern.pattern, pattern.flags, is_searched), where)
    return found


def _compiled() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Yield the expressions that modules hold, those that are put together included."""
    for path, source in _sources():
        if "re.compile(" not in source:
            continue  # importing all modules would take longer than trying all expressions
        module = f"tunesmith.{'.'.join(path.with_suffix('').parts)}".removesuffix(".__init__")
        try:
            loaded = importlib.import_module(module)
        except ImportError:
            continue  # an extra is not installed, or it runs only as a program
        for name, value in vars(loaded).items():
            # One that is only matched at the beginning of a text is not tried at each of its characters.
            used = re.findall(rf"\b{re.escape(name)}\b(?:\[[^\]]*\])?\.(\w+)\(", source)
            is_searched = not used or not set(used) <= {"match", "fullmatch"}
            yield from ((f"{module}.{name}", pattern, is_searched) for pattern in _patterns_in(value))


def _sources() -> Iterator[tuple[Path, str]]:
    """Yield the path of each module in the package, and its text."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def _patterns_in(value: Any, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth < 3:
        for item in [*value, *value.values()]:
            yield from _patterns_in(item, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 3:
        for item in value:
            yield from _patterns_in(item, depth + 1)


def _written() -> Iterator[tuple[str, re.Pattern[Any], bool]]:
    """Yield the expressions that are written where they are used."""
    for path, source in _sources():
        for call in ast.walk(ast.parse(source)) if "re." in source else ():
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and _is_re(call.func.value)
                and call.args
            ):
                text = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
                flags = [
                    n.attr
                    for n in ast.walk(call)
                    if isinstance(n, ast.Attribute) and _is_re(n.value) and n.attr.isupper()
                ]
                if isinstance(text, str):
                    combined = re.RegexFlag(0)
                    for flag in flags:
                        combined |= getattr(re, flag)
                    is_searched = call.func.attr not in ("match", "fullmatch", "compile")
                    yield f"{path}:{call.lineno}", re.compile(text, combined), is_searched


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "re"


def slow_ones(size: int, part: int, parts: int) -> Iterator[str]:
    """Yield a line for each expression with the first text that takes longer than a linear expression may."""
    for number, ((text, flags, is_searched), where) in enumerate(sorted(expressions().items(), key=lambda it: it[1])):
        if number % parts == part and not where.startswith(BOUNDED):
            pattern = re.compile(text, flags)
            found = (slow for piece in PIECES if (slow := _slow(pattern, piece, size, is_searched=is_searched)))
            yield from (f"{where}: {slow}" for slow in islice(found, 1))


def _slow(pattern: re.Pattern[str], piece: str, size: int, *, is_searched: bool) -> str:
    """Return how long the expression takes on text that is made of the piece, "" for no longer than it may."""
    for length in sorted({min(size, SCREENED), size}):
        for ending in ("", "!", "1") if length > SCREENED else ("!",):
            data = (piece * (length // len(piece) + 1))[: length - len(ending)] + ending
            may_take_s = SHORTEST_S + LONGEST_S * length / 2**20
            took_s = _seconds(pattern, data, is_searched=is_searched)
            for _ in range(2):  # a busy machine makes one try slow, not all three
                if took_s > may_take_s:
                    took_s = min(took_s, _seconds(pattern, data, is_searched=is_searched))
            if took_s > may_take_s:
                return f"{piece!r}...{ending!r}, {length} characters: {took_s:.2f} s: {pattern.pattern[:100]!r}"
    return ""


def _seconds(pattern: re.Pattern[str], data: str, *, is_searched: bool) -> float:
    """Return the time of the processor that the expression takes on the text."""
    began = time.process_time()
    for use in (pattern.match, pattern.fullmatch):
        use(data)
    if is_searched:
        deque(pattern.finditer(data), maxlen=0)
    return time.process_time() - began


if __name__ == "__main__":
    which, of = map(int, (sys.argv[2] if len(sys.argv) > 2 else "0/1").split("/"))
    for line in slow_ones(int(sys.argv[1]), which, of):
        sys.stdout.write(f"{line}\n")
