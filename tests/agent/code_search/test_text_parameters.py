"""Text parameters: a model rewrites a file by what was said of examples, and a front keeps what wins anywhere."""

from __future__ import annotations

import json
import runpy
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from fakes.projects import invoke
from fakes.studies import make_spec

from tunesmith.agent.code_search.strategies.front import front
from tunesmith.evaluator.files.trial_files import check_texts
from tunesmith.history.read import History
from tunesmith.prompts.example_facts import example_facts
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.study.trials.observed.texts import ExampleText
from tunesmith.study.variant import Variant
from tunesmith.tools.variants.gate import check
from tunesmith.tools.variants.rules import GateRules

EXAMPLE = Path(__file__).parents[3] / "examples" / "prompts"
TEXT = {"prompt": {"type": "text", "file": "prompt.md"}}
RUN = {"command": "python answer.py --prompt {prompt} --out {artifacts}/outputs.jsonl"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "p", ignore=shutil.ignore_patterns(".tunesmith", "__pycache__"))
    return tmp_path / "p"


@pytest.fixture
def prompts(project: Path) -> Iterator[list[str]]:
    """Serve the example's scripted writer, and return every prompt that it gets."""
    names = runpy.run_path(str(project / "scripted_writer.py"))
    asked: list[str] = []

    class Writer(names["Writer"]):  # type: ignore[misc,name-defined]  # a class of the example
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append(json.loads(body)["messages"][-1]["content"])
            self.rfile = _Again(body)
            super().do_POST()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Writer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    study = project / "study.toml"
    study.write_text(study.read_text().replace(":8766/", f":{server.server_address[1]}/"))
    yield asked
    server.shutdown()
    server.server_close()


class _Again:
    """A body that was read already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, _: int) -> bytes:
        return self._body

    def readline(self, *_: object) -> bytes:
        return b""

    def close(self) -> None:
        pass


def test_the_example_reaches_every_answer_and_keeps_each_text_once(project: Path, prompts: list[str]) -> None:
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "as reported by the edited script" not in done.stdout
    with History.open(project / ".tunesmith" / "history.db") as history:
        study = history.study("prompts").id
        trials, variants = history.trials(study), history.variants(study)
    values = [t.values["score"] for t in trials]
    assert values[0] == pytest.approx(0.12)
    assert max(values) == 1.0
    assert {t.params["prompt"] for t in trials} == {"prompt.md"}
    assert len({v.files["prompt.md"] for v in variants}) == len(variants)
    assert (project / "prompt.md").read_text() == (EXAMPLE / "prompt.md").read_text()
    assert all("{question}" in v.files["prompt.md"] for v in variants)
    # What was said of weak examples is in the question, fenced; nobody was asked for values of parameters.
    assert all("# Where it did badly" in prompt for prompt in prompts[:4])
    assert "| 1931 is a year, not a length" in prompts[0]
    shown = invoke("variants", cwd=project).stdout
    assert "edit-" in shown


def test_without_a_model_only_the_given_text_runs_and_the_run_says_so(project: Path) -> None:
    study = project / "study.toml"
    text = study.read_text()
    study.write_text(text[: text.index("[planner]")] + text[text.index("[budget]") :])
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "nobody rewrites prompt.md: only the given text runs" in done.stdout
    said = "very text was tried, and without a model nobody writes others"
    assert f"E{said}. For more, set [planner].model, or list further files in" in done.stdout.replace("\n", " ")
    assert f"ended: e{said}" in invoke("status", cwd=project).stdout
    with History.open(project / ".tunesmith" / "history.db") as history:
        assert len(history.trials(history.study("prompts").id)) == 1
    (project / "prompt.md").unlink()
    assert "the project has no file prompt.md" in invoke("run", cwd=project).stderr


def test_the_front_has_every_version_that_is_best_somewhere_and_none_that_another_covers() -> None:
    scores = {
        "": {"a": 1.0, "b": 0.0, "c": 0.0},
        "edit-1": {"a": 0.0, "b": 1.0, "c": 1.0},
        "edit-2": {"a": 0.0, "b": 1.0, "c": 0.0},
        "edit-3": {"a": 0.5, "b": 0.5, "c": 0.5},
    }
    assert front(scores) == {"": 1, "edit-1": 2}
    assert front({}) == {}


def test_weak_examples_come_first_and_those_that_another_version_answers_before_all() -> None:
    found = [
        ExampleText(id=name, input="", output="o", score=score)
        for name, score in (("good", 1.0), ("bad", 0.0), ("lost", 0.4))
    ]
    facts = example_facts(found, {"edit-1": {"lost": 1.0, "bad": 0.0}})
    assert [shown.heading.partition(":")[0] for shown in facts.weak] == ['example "lost"', 'example "bad"']
    assert [shown.heading.partition(":")[0] for shown in facts.good] == ['example "good"']
    assert "behind another version" in facts.weak[0].heading
    equal = example_facts([ExampleText(id=str(i), input="", output="o", score=0.5) for i in range(5)], {})
    assert (len(equal.weak), len(equal.good)) == (0, 5)


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ("Answer.\n{question}\n", "the placeholder {text} is gone"),
        ("{text} {question} {hint}\n", "{hint} is a new placeholder"),
        ("Be brief.\n{text}\n{question}\n", ""),
    ],
)
def test_a_text_keeps_its_placeholders(after: str, problem: str) -> None:
    spec = make_spec(run=RUN, space=TEXT)
    rules = GateRules(editable=["prompt.md"], space=spec.space, texts=["prompt.md"])
    before = Variant(id="root", files={"prompt.md": "{text}\n{question}\n"})
    edited = Variant(id="edit-1", parent="root", files={"prompt.md": after})
    problems = check(edited, before, rules).problems
    assert problems == () if not problem else problem in problems[0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "text"}, r"space.prompt.file +is missing"),
        ({"type": "text", "file": "../prompt.md"}, "expected the name of a file in the project"),
        ({"type": "text", "file": ["a.md", "a.md"]}, "lists a file twice"),
        ({"type": "text", "file": "a.md", "low": 1}, "unknown key for type text"),
        ({"type": "prompt", "file": "a.md"}, "did you mean text"),
    ],
)
def test_wrong_texts_say_what_to_write(entry: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_spec(run=RUN, space={"prompt": entry})


def test_a_file_of_which_every_version_would_be_refused_is_named() -> None:
    text = {"type": "text", "file": "a.md"}
    space = {"space": {"first": text, "second": text}}
    with pytest.raises(SpecError, match=r"space.second.file  .a.md. is a text of first already"):
        make_spec(**space)
    with pytest.raises(SpecError, match=r"space.first.file  .a.md. may not change"):
        make_spec(space={"first": text}, edits={"files": ["b.py"], "protect": ["*.md"]})
    with pytest.raises(SpecError, match=r"could not be rewritten: the path contains control"):
        make_spec(space={"first": {**text, "file": "a\u202e.md"}})


def test_what_a_text_cannot_be_combined_with_is_said_of_the_text() -> None:
    run = {"command": f"{RUN['command']} --fold {{instance}}"}
    with pytest.raises(SpecError, match=r"space.prompt +cannot be combined with \[instances\]"):
        make_spec(run=run, space=TEXT, instances={"values": [1, 2, 3]})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.unlink(), "the project has no file prompt.md"),
        (lambda path: path.write_bytes(b"Answer \xe9"), "byte 8 of prompt.md is not UTF-8; save it as UTF-8"),
        (lambda path: path.write_text("x" * 2**20 + "x"), "prompt.md is a link or larger than 1 MiB"),
        (lambda path: path.rename(path.with_name("p")).with_name("prompt.md").symlink_to("p"), "prompt.md is a link"),
    ],
)
def test_a_file_that_no_trial_could_change_is_named_with_its_parameter(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    (tmp_path / "prompt.md").write_text("Answer {question}\n")
    spec = make_spec(run=RUN, space=TEXT)
    check_texts(spec, tmp_path)
    make(tmp_path / "prompt.md")
    with pytest.raises(ProjectError) as caught:
        check_texts(spec, tmp_path)
    assert str(caught.value).startswith(f"[space].prompt: {said}")


def test_a_text_is_stored_with_the_study_as_it_was_written() -> None:
    spec = make_spec(run=RUN, space={**TEXT, "n": {"type": "int", "low": 1, "high": 3}})
    assert spec.stored_document["space"]["prompt"] == TEXT["prompt"]
    assert [text.files for text in spec.texts] == [("prompt.md",)]
    assert spec.edits is not None
    assert (spec.edits.files, spec.edits.strategy) == (["prompt.md"], "front")
