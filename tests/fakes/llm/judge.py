"""A recorded judge: a server on loopback that compares or grades texts by the number that each carries."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fakes.llm.server import Behaviour, Reply, Request, message

WRITER = """\
import json, sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, path = float(values["--x"]), values["--out"]
with open(path, "w") as file:
    for i in range(int(values.get("--count", 6))):
        quality = round(1 - (x - 0.3) ** 2 + 0.01 * i, 4)
        print(json.dumps({"id": i, "input": f"question {i}", "output": f"quality={quality} " + "x" * i}), file=file)
print("loss=0.5")
open(values["--ran"], "a").write("ran\\n") if "--ran" in values else None
"""
"""A training script whose texts get better towards x = 0.3."""


def texts_shown(request: Request) -> list[str]:
    """Return the texts that a question shows, in order."""
    prompt = str(request["messages"][-1]["content"])
    return [part.split("\n~~~")[0] for part in prompt.split("~~~text\n")[1:]]


def quality(text: str) -> float:
    """Return the number that a text carries."""
    found = re.search(r"quality=(-?[\d.]+)", text)
    return float(found[1]) if found else -1.0


def verdict(request: Request, grade: Callable[[str], float] = quality) -> Reply:
    """Answer a question about a pair, or about one text (from 1 to 5 for qualities from 0 to 1), by the grade."""
    shown = [grade(text) for text in texts_shown(request)]
    if len(shown) == 1:
        answer: dict[str, object] = {"score": min(5, max(1, round(1 + 4 * shown[0])))}
    else:
        answer = {"better": "tie" if shown[0] == shown[1] else "A" if shown[0] > shown[1] else "B"}
    return message(json.dumps({"reason": "by its quality", **answer}))


def judging(grade: Callable[[str], float] = quality) -> Behaviour:
    """Return a server that judges by this grade."""
    return lambda request, _: verdict(request, grade)


def pair_labels(count: int = 24, *, wrong: Sequence[int] = ()) -> str:
    """Return labels.csv with pairs that people judge by quality, but for those with these indices."""
    rows = ["input,a,b,label"]
    for i in range(count):
        a, b = round(0.1 + 0.03 * (i * 7 % 24), 2), round(0.1 + 0.03 * (i * 11 % 24), 2)
        label = "tie" if a == b else "a" if (a > b) != (i in wrong) else "b"
        rows.append(f"question,quality={a},quality={b},{label}")
    return "\n".join(rows) + "\n"


def score_labels(count: int = 24) -> str:
    """Return labels.csv with texts that people give the scores of the judge."""
    rows = ["input,output,label"]
    rows += [f"question,quality={i % 5 / 4} {'x' * (i % 7)},{1 + i % 5}" for i in range(count)]
    return "\n".join(rows) + "\n"


def make_judged_project(  # noqa: PLR0913  # what runs and how it is judged
    folder: Path,
    base_url: str,
    *,
    trials: int = 4,
    judge: str = "",
    metric: str = "judge/strength",
    labels: str | None = None,
    more: str = "",
    tables: str = "",
    script: str = WRITER,
    parallel: int = 1,
) -> Path:
    """Write a project whose trials write texts, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "write.py").write_text(script)
    (folder / "judge.md").write_text("The text with the higher quality is better.\n")
    (folder / "labels.csv").write_text(pair_labels() if labels is None else labels)
    (folder / "study.toml").write_text(f"""\
[study]
name = "toy"
metric = "{metric}"
direction = "maximize"
[run]
command = "{sys.executable} -I -S write.py --x {{x}} --out {{artifacts}}/outputs.jsonl {more}"
parallel = {parallel}
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
[judge]
model = "judge"
base_url = "{base_url}"
prompt = "judge.md"
labels = "labels.csv"
{judge}
[budget]
trials = {trials}
[planner]
sampler = "random"
{tables}
""")
    return folder
