"""Inputs for fuzzing: pieces of what scripts, models and people write, put together at random and damaged.

Run as a program, it feeds one target with that many inputs and prints those that raise or take longer than 50 ms.

    python fuzzing.py TARGET COUNT [SEED]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from tunesmith.agent.llm.client.replies.parsing import read_last_object, require_valid
from tunesmith.agent.llm.client.replies.tool_calls import calls_in_text, uniform_calls
from tunesmith.evaluator.executors.base import CommandResult
from tunesmith.evaluator.failures import command_failure, traceback_note
from tunesmith.evaluator.output.line_filter import LineFilter
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.preview.output_survey import named_numbers
from tunesmith.evaluator.readers.file_formats import read_points
from tunesmith.evaluator.readers.metrics import MetricReader
from tunesmith.history.redact import redact
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import InputError, TunesmithError
from tunesmith.study.formatting import one_line, strip_control
from tunesmith.tools.interop.importing.source import read_source

LONGEST_S = 0.05
"""Time of the processor that one input may take."""
WORDS = (
    'loss', 'val_loss', 'val loss', 'best val_loss', 'acc', 'epoch', 'step', '=', ': ', ' ', '  ', '\t', ',', ';',
    '|', '{', '}', '[', ']', '(', ')', '"', "'", '"loss": ', "'loss': ", '"values": {', '"step": ', '"at": ', '0.5',
    '1e-3', '1e308', '-1e999', 'nan', 'inf', '1,234.5', '1.234,5', '12%', '327/719', '(45.48%)', 'tensor(0.41)',
    'np.float64(', '\xb1', '+/-', '\u2212', '\u221e', '\r', '\n', '\r\n', '\x1b[31m', '\x1b]0;', '\x07', '\x00',
    '\ud800', '\ufeff', '\u202e', '\u6771', '\U0001f469\u200d', 'null', 'true', 'None', "1" * 60, "9" * 400,
    "a" * 100, 'Traceback (most recent call last):\n', '  File "x.py", line 3\n', 'RuntimeError: ',
    'CUDA out of memory', 'password=', 'sk-', 'api_key: ', 'eyJ', '//', '/*', '*/', '#', '\\', '\\u', '\\ud800',
    '\\u0000', '<think>', '</think>', '```json\n', '```', '[TOOL_CALLS]', '<tool_call>', '{"candidates": [',
    '{"params": {', '"lr": 0.1', '"edits": [', '"path": "', '"search": "', '"name": "rate", "arguments": ',
)  # fmt: skip
TOML = (
    '[study]\n', 'name = "s"\n', 'metric = "loss"\n', 'metric = ["a", "b"]\n', '[run]\n',
    'command = "python t.py --lr {lr}"\n', 'parallel = 2\n', 'timeout = "1h"\n', '[space]\n',
    'lr = { type = "float", low = 1e-5, high = 1.0, log = true }\n', 'lr = [0.1, 1]\n',
    'x = { type = "int", low = 1, high = 9 }\n', 'o = ["a", "b"]\n',
    'm = { type = "float", low = 0, high = 1, when = "o == \'a\'" }\n', '[budget]\n', 'trials = 10\n',
    'hours = 1e999\n', 'trials = -1\n', 'trials = nan\n', '[planner]\n', '[edits]\n', 'files = ["*.py"]\n',
    '[fidelity]\n', 'name = "epochs"\nmin = 1\nmax = 9\n', '[evaluate]\n', '[test]\n', '[executor]\n',
    '[warm_start]\n', '[notify]\n', 'a = 1979-05-27T07:32:00Z\n', 'x = "\\ud800"\n', '= 1\n', '[[space]]\n',
    '[space.lr]\n', 'type = "choice"\nchoices = []\n', 'low = 9223372036854775807\n', 'high = 1_0\n',
    'default = inf\n', '[metrics]\n', 'loss = { regex = "loss (\\\\d+)" }\n', 'a.b.c = "x"\n', '# c\n', '\x00',
    '\x7f', "'''", '"""', '{', '}', ',', '=',
)  # fmt: skip


def made_of(rng: random.Random, pieces: tuple[str, ...], most: int = 24) -> str:
    """Return a text of pieces, with a few characters changed, left out or doubled."""
    text = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, most)))
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at] + rng.choice(("", chr(rng.randrange(0x110000)), text[max(at - 9, 0) : at] * 2)) + text[at + 1 :]
        )
    return text


def read_line(rng: random.Random) -> None:
    """Read output, as of a trial."""
    text = made_of(rng, WORDS)
    reader, picker = MetricReader(["val_loss", "acc"], time.time), LineFilter(["loss", "acc"], "stderr")
    for number, line in enumerate(text.split("\n")[:20]):
        for picked in picker.feed(number, line):
            reader.from_line(picked)
        reader.from_line(OutputLine(line, "stdout", number))
    named_numbers(text)
    one_line(strip_control(text))
    fenced(redact(text))


def read_report(rng: random.Random) -> None:
    """Read report files and files of metrics."""
    text = made_of(rng, WORDS)
    reader = MetricReader(["loss"], time.time)
    reader.from_report(text)
    reader.from_report('{"values": {' + text + "}}")
    data = text.encode("utf-8", "surrogatepass")
    for name in ("a.json", "a.jsonl", "a.csv", "a.tsv", "metrics/loss", "events.out.tfevents.1"):
        read_points(PurePath(name), data)
    read_points(PurePath("events.out.tfevents.1"), rng.randbytes(rng.randrange(200)))


def read_log(rng: random.Random) -> None:
    """Classify the end of a command from its log."""
    text = made_of(rng, WORDS, 60)
    result = CommandResult(status=rng.choice((0, 1, 2, -9, -11, 137)), tail=text, output_tail=made_of(rng, WORDS))
    command_failure(result, timeout_s=1.0, program="python")
    traceback_note(result)


def read_answer(rng: random.Random) -> None:
    """Read an answer of an LLM; it is refused with a ValueError, or read."""
    text = made_of(rng, WORDS, 40)
    with suppress(ValueError):
        read_last_object(text, _object)
    calls_in_text(text, ["rate", "look"])
    uniform_calls([{"name": text[:20], "args": text, "id": None}], ["rate"])


def _object(value: dict[str, Any]) -> dict[str, Any]:
    require_valid(value)
    return value


def read_study(rng: random.Random) -> None:
    """Read a study file; mistakes are input errors."""
    try:
        found = tomllib.loads(made_of(rng, TOML, 30))
    except (tomllib.TOMLDecodeError, ValueError):
        found = json.loads(json.dumps(_nested(rng, 0), default=str))
        found = found if isinstance(found, dict) else {"study": found}
    try:
        parse_spec(found)
    except InputError as error:
        str(error).encode("utf-8", "surrogatepass")


def _nested(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind < 6:
        return rng.choice(
            (None, True, -1, 10**30, 0.5, 1e999, "", "loss", "lr", "float", "{lr}", "\ud800", "1h", "a" * 300)
        )
    if kind == 6:
        return [_nested(rng, depth + 1) for _ in range(rng.randrange(4))]
    keys = (
        "study",
        "run",
        "space",
        "budget",
        "name",
        "metric",
        "command",
        "type",
        "low",
        "high",
        "choices",
        "lr",
        "when",
        "planner",
        "fidelity",
        "edits",
    )
    return {rng.choice(keys): _nested(rng, depth + 1) for _ in range(rng.randrange(5))}


FOLDER = Path(tempfile.gettempdir())


def read_import(rng: random.Random) -> None:
    """Import a file of another tool; what cannot be read is an input error."""
    name = rng.choice(("t.csv", "t.tsv", "t.json", "t.jsonl", "journal.log", "result.json", "t.txt"))
    path = FOLDER / name
    path.write_bytes(
        made_of(
            rng, (*WORDS, "lr,loss\n", "0.1,0.5\n", "sep=;\n", '{"op_code": 0}\n', '"trial_id": "a"', "1;2\n")
        ).encode("utf-8", "surrogatepass")
    )
    try:
        read_source(str(path))
    except TunesmithError as error:
        str(error).encode("utf-8", "surrogatepass")


TARGETS: dict[str, Callable[[random.Random], None]] = {
    "metric lines": read_line,
    "report files": read_report,
    "logs": read_log,
    "LLM answers": read_answer,
    "study.toml": read_study,
    "imports": read_import,
}


def faults(target: str, count: int, seed: int) -> Iterator[str]:
    """Yield a line for each input that raises, or takes longer than LONGEST_S twice."""
    run = TARGETS[target]
    for number in range(count):
        took_s = []
        for _ in range(2):
            rng = random.Random(f"{seed}-{number}")  # noqa: S311  # the same input again
            began = time.process_time()
            try:
                run(rng)
            except Exception as error:  # noqa: BLE001  # this is what is looked for
                yield f"{target} {seed}-{number}: {type(error).__name__}: {error!s:.200}"
                break
            took_s.append(time.process_time() - began)
            if took_s[-1] <= LONGEST_S:
                break
        else:
            yield f"{target} {seed}-{number}: takes {min(took_s):.3f} s"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        FOLDER = Path(made)
        for line in faults(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
