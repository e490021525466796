"""Finds the JSON objects in a model's answer: bare, in a code fence, inside prose, or behind thinking text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from tunesmith.agent.llm.client.replies.lenient_json import InvalidJson, decode_object
from tunesmith.study.formatting import valid_text

T = TypeVar("T")

_MAX_BROKEN_OBJECTS = 1000
"""Braces that begin no readable object after which the search ends; it keeps the time for a large answer short."""

_MAX_UNCLOSED_OBJECTS = 20
"""The same for objects that do not end, each of which is read to the end of the text."""

_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think"
_OPENING = rf"""
    <(?:{_TAGS})>                                   # Qwen, DeepSeek, MiniMax, Seed, and prompts that ask for it
    | \u25c1think\u25b7                             # Kimi
    | \[THINK\]                                     # Magistral
    | <\|START_THINKING\|> | <\|begin_of_thought\|> # Command A, Sky-T1
    | <\|channel\|>\s*analysis\b[^{{}}]*?<\|message\|>  # gpt-oss
    | <unused94>thought                             # MedGemma
"""
_CLOSING = rf"""
    </(?:{_TAGS})>
    | \u25c1/think\u25b7
    | \[/THINK\]
    | <\|END_THINKING\|> | <\|end_of_thought\|>
    | <\|channel\|>\s*(?:final|commentary)\b[^{{}}]*?<\|message\|>
    | <unused95>
"""
_MARK = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})|(?P<brace>\{{)", re.VERBOSE | re.IGNORECASE)
_CLOSING_MARK = re.compile(_CLOSING, re.VERBOSE | re.IGNORECASE)
_BARE_CHANNELS = re.compile(r"\A\s*analysis(?=\W|[A-Z]).*?assistantfinal", re.DOTALL)
"""The channels of gpt-oss behind a server that removes the special tokens and leaves their words."""

_AFTER_ANSWER = re.compile(r"[\s`]*+(?:<\|\w+\|>|</\w+>)?\s*+")
"""What may follow an answer at the end of a text: white space, a closing fence, an end-of-turn token."""


class NoJsonObject(ValueError):
    """The text contains no complete JSON object; the message says why."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A JSON object in a text, and its position.

    Attributes:
        start: index of its first brace.
        end: index after its last brace.
        is_inner: it is part of another object that cannot be read.
    """

    value: dict[str, Any]
    start: int
    end: int
    is_inner: bool = False


def find_json_object(text: str) -> dict[str, Any]:
    """Return the last JSON object in a text; thinking text does not count.

    Raises:
        NoJsonObject: there is none, or it is incomplete, nested too deeply, or contains NaN or Infinity.
    """
    return read_last_object(text, lambda value: value)


def read_last_object(text: str, read: Callable[[dict[str, Any]], T]) -> T:
    """Return what `read` makes of the last object in a text that has the form; it raises ValueError for another form.

    Raises:
        NoJsonObject: the text contains no complete JSON object.
        ValueError: as `read` raises it for the last object.
    """
    objects, problem = find_objects(text)
    wrong: ValueError | None = None
    for found in reversed(objects):
        try:
            return read(found.value)
        except ValueError as error:
            if not found.is_inner:
                wrong = wrong or error
    raise wrong or NoJsonObject(problem)


def is_thinking(text: str) -> bool:
    """Return whether a text that was cut off ends inside thinking: it is blank, or its last tag opens a section."""
    tags = [mark.lastgroup for mark in _MARK.finditer(text) if mark.lastgroup != "brace"]
    return not text.strip() or tags[-1:] == ["opening"]


def require_valid(value: Any, name: str = "") -> None:
    r"""Raise ValueError where a decoded answer has text that no file, database or command line can hold.

    JSON can spell both: half of a surrogate pair as `\ud800`, and the zero byte as `\u0000`.
    """
    if isinstance(value, str):
        if valid_text(value) != value:
            what = "a zero byte (\\u0000)" if "\0" in value else "half of a character (\\ud800 to \\udfff)"
            raise ValueError(f"{valid_text(name)[:80] or 'the answer'}: the text has {what}; leave it out")
    elif isinstance(value, dict):
        for key, item in value.items():
            require_valid(key)
            require_valid(item, key)
    elif isinstance(value, list):
        for item in value:
            require_valid(item, name)


def find_objects(text: str) -> tuple[list[FoundObject], str]:
    """Return the outermost objects of a text in their order, without those of thinking text; and why there is none."""
    bare = _BARE_CHANNELS.match(text)
    scan = _Scan(text, bare.end() if bare else 0)
    for mark in scan.marks():
        if mark.lastgroup == "opening":
            scan.skip_thinking(mark)
        elif mark.lastgroup == "closing":
            scan.found.clear()  # the opening tag was part of the prompt, so everything before was thinking
        else:
            scan.read_object(mark)
    return scan.objects(), scan.problem


class _Scan:
    """One pass over a text: what was found so far, and where to go on."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._position = position
        self._broken = 0
        self._unclosed = 0
        self._inner_until = 0
        self._unclosed_from: int | None = None
        self.found: list[FoundObject] = []
        self.problem = "the answer contains no JSON object"

    def marks(self) -> Iterator[re.Match[str]]:
        """Yield the next tag or brace after the present position, until the text or the patience ends."""
        while self._broken < _MAX_BROKEN_OBJECTS and (mark := _MARK.search(self._text, self._position)):
            self._position = mark.end()
            yield mark

    def skip_thinking(self, opening: re.Match[str]) -> None:
        """Go to the end of a thinking section; one without an end is searched, since models forget to close it."""
        closing = _CLOSING_MARK.search(self._text, opening.end())
        if closing:
            self._position = closing.end()
            self.found.clear()
        elif self._unclosed_from is None:
            self._unclosed_from = opening.start()

    def read_object(self, brace: re.Match[str]) -> None:
        """Read the object that begins here; one that cannot be read is passed over."""
        start = brace.start()
        try:
            value, end = decode_object(self._text, start, lenient=self._unclosed < _MAX_UNCLOSED_OBJECTS)
        except InvalidJson as error:
            self._broken += _MAX_BROKEN_OBJECTS if error.is_hopeless else 1
            self._unclosed += error.end == len(self._text)
            if start >= self._inner_until:
                self.problem = str(error)
                self._inner_until = max(self._inner_until, error.end)
            return
        self._position = end
        if value:
            self.found.append(FoundObject(value, start, end, is_inner=start < self._inner_until))

    def objects(self) -> list[FoundObject]:
        """Return what was found. Of an unclosed thinking section only an object that ends the text is an answer."""
        if self._unclosed_from is None:
            return self.found
        ends_text = self.found and _AFTER_ANSWER.fullmatch(self._text, self.found[-1].end)
        return self.found[-1:] if ends_text else [o for o in self.found if o.end <= self._unclosed_from]
