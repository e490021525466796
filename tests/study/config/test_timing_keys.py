"""[evaluate] with kind = "time": what a study file must say, and what each mistake's message says to write."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.study.config.command import command_line
from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError

EVALUATE: dict[str, Any] = {
    "kind": "time",
    "candidate": "kernel.py:matmul",
    "inputs": "inputs.py:make",
    "cases": [{"n": 64}],
    "arguments": {"block": "{block}"},
}
RUN = {"command": "python train.py {block}"}
BLOCK = {"type": "int", "low": 1, "high": 9, "default": 4}


def document(evaluate: dict[str, Any] | None = None, **tables: Any) -> dict[str, Any]:
    study = {"name": "timed", "metric": "speedup", "direction": "maximize"}
    return {"study": study, "space": {"block": BLOCK}, "evaluate": {**EVALUATE, **(evaluate or {})}, **tables}


def without(*keys: str) -> dict[str, Any]:
    return {"evaluate": {key: value for key, value in EVALUATE.items() if key not in keys}}


def test_a_study_needs_no_command_and_runs_one_trial_at_a_time() -> None:
    spec = parse_spec(document())
    assert spec.run.parallel == 1
    assert spec.evaluate is not None
    assert set(used_placeholders(spec)) == {"block", "seed"}
    assert parse_spec(spec.document) == spec
    assert command_line(spec, {"block": 7}) == "kernel.py:matmul(block=7)"


def test_a_programs_command_line_is_shown_filled() -> None:
    evaluate = {"kind": "time", "candidate": "./sort --block {block}", "reference": "./sort_ref"}
    spec = parse_spec({**document(), "evaluate": evaluate})
    assert command_line(spec, {"block": 7}) == "./sort --block 7"


@pytest.mark.parametrize(
    ("tables", "key", "fix"),
    [
        (without("candidate"), "evaluate.candidate", "kernel.py:matmul"),
        (without("inputs"), "evaluate.inputs", "fresh inputs"),
        ({"evaluate": {**EVALUATE, "kind": "timing"}}, "evaluate.kind", '"command" or "time"'),
        ({"evaluate": {**EVALUATE, "command": "python x.py"}}, "evaluate.command", "remove it"),
        ({"evaluate": {**EVALUATE, "reference": "./ref --n 3"}}, "evaluate.reference", "both must be the same"),
        ({"evaluate": {**EVALUATE, "candidate": "kernel.py:mat mul"}}, "evaluate.candidate", "FILE.py:NAME"),
        ({"evaluate": {**EVALUATE, "inputs": "make"}}, "evaluate.inputs", "inputs.py:make"),
        ({"evaluate": {**EVALUATE, "inputs": "../inputs.py:make"}}, "evaluate.inputs", "inputs.py:make"),
        ({"evaluate": {**EVALUATE, "cases": [64]}}, "evaluate.cases.0", "a list of tables"),
        ({"evaluate": {**EVALUATE, "arguments": {"block": "{blok}"}}}, "space.blok", "did you mean block?"),
        ({"evaluate": {**EVALUATE, "tolerance": -1}}, "evaluate.tolerance", "float32 = 1e-4"),
        ({"evaluate": {**EVALUATE, "tolerance": {"int8": 0.1}}}, "evaluate.tolerance", "by type"),
        ({"evaluate": {**EVALUATE, "pairs": 2}}, "evaluate.pairs", "at least 4"),
        ({"evaluate": {**EVALUATE, "launches": 0}}, "evaluate.launches", "at least 1"),
        ({"evaluate": {**EVALUATE, "cache": "hot"}}, "evaluate.cache", '"warm" or "cold"'),
        ({"evaluate": {**EVALUATE, "flops": "2 * m**3"}}, "evaluate.flops", "not an argument of `cases`"),
        ({"evaluate": {**EVALUATE, "bytes": "open('x')"}}, "evaluate.bytes", "open"),
        ({"evaluate": {**EVALUATE, "flops": "n / (n - 64)"}}, "evaluate.flops", "for n:64: division by 0"),
        ({"evaluate": {**EVALUATE, "bytes": -1}}, "evaluate.bytes", "at least 0"),
        ({"evaluate": {**EVALUATE, "candidate": "/lib/kernel.py:matmul"}}, "evaluate.candidate", "of the project"),
        ({"evaluate": {**EVALUATE, "reference": "../kernel.py:matmul"}}, "evaluate.reference", "of the project"),
        ({"evaluate": {**EVALUATE, "checks": [{"seed": 3}]}}, "evaluate.checks", "remove it"),
        ({"study": {"name": "t", "metric": "difference", "direction": "maximize"}}, "study.direction", '"minimize"'),
        ({"study": {"name": "t", "metric": "speedup/n:64", "direction": "maximize"}}, "study.metric", "one case"),
        ({"evaluate": {**EVALUATE, "flop": "2"}}, "evaluate.flop", "did you mean flops?"),
        ({"study": {"name": "t", "metric": "speedup"}}, "study.direction", 'must be "maximize"'),
        ({"study": {"name": "t", "metric": "seconds", "direction": "maximize"}}, "study.direction", '"minimize"'),
        ({"study": {"name": "t", "metric": "loss"}}, "study.metric", "speedup"),
        ({"run": {"executor": "ray"}}, "evaluate.kind", "on this machine only"),
        ({"evaluate": {"candidate": "kernel.py:matmul"}}, "evaluate.candidate", 'add kind = "time"'),
        ({"run": RUN, "evaluate": {"command": "python e.py", "pairs": 9}}, "evaluate.pairs", 'add kind = "time"'),
        ({"run": RUN, "evaluate": {"data": ["x"]}}, "evaluate.command", "is missing"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(tables: dict[str, Any], key: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec({**document(), **tables})
    messages = {mistake.key: mistake.message for mistake in caught.value.mistakes}
    assert key in messages, messages
    assert fix in messages[key]


def test_a_case_is_named_by_its_entries_and_a_formula_once_in_its_mistake() -> None:
    two = {"cases": [{"n": 64, "m": 2}, {"n": 8, "m": 2}], "candidate": "./kernel.py:matmul"}
    study = {"name": "t", "metric": "speedup/n:8-m:2", "direction": "maximize"}
    spec = parse_spec(document(two, study=study))
    assert spec.evaluate is not None
    assert spec.evaluate.candidate == "kernel.py:matmul"
    with pytest.raises(SpecError) as caught:
        parse_spec(document({**two, "flops": "n**"}, study={**study, "metric": "speedup/n:9-m:2"}))
    messages = {mistake.key: mistake.message for mistake in caught.value.mistakes}
    assert messages["evaluate.flops"].count("n**") == 1
    assert "expected one of speedup/n:64-m:2, speedup/n:8-m:2" in messages["study.metric"]


def test_a_study_with_instances_takes_its_cases_from_them() -> None:
    spec = parse_spec(
        document({"cases": [{"n": "{instance}"}]}, instances={"values": [8, 16, 32, 64], "hold_out": 0.5}, confirm={})
    )
    assert "instance" in used_placeholders(spec)
