"""The keys of [evaluate] with kind = "time": what is timed against what, on which inputs, and how exactly."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from tunesmith.study.config.tables.field_types import Count, Positive, Table, Text, file_entry, no_bool
from tunesmith.study.space.condition import Value

TIMED = "(timed by [evaluate])"
"""Beginning of the command of a study whose candidate needs no command before it is timed; its file follows."""
SPEEDUP, SECONDS, DIFFERENCE = "speedup", "seconds", "difference"
TIMING_METRICS = (SPEEDUP, "speedup_low", "speedup_high", SECONDS, "reference_seconds", DIFFERENCE)
"""Metrics that the judge of time measures; with several cases also `speedup/n:256` for each."""
NUMBER_TYPES = ("float64", "float32", "float16", "bfloat16")
_FUNCTION = re.compile(r"[\w./-]+\.py:[A-Za-z_]\w*")


def is_function(text: str) -> bool:
    """Return whether a text names a function, FILE.py:NAME; anything else is a command line."""
    return _FUNCTION.fullmatch(text) is not None


def needs_no_command(command: str) -> bool:
    """Return whether nothing runs before the candidate is timed."""
    return command.startswith(TIMED)


def function_name(text: str) -> str:
    """Return the name of a function, with its file's path in the shortest form.

    Raises:
        ValueError: it is none.
    """
    if not is_function(text) or text.startswith("/") or ".." in text:
        raise ValueError("not a function of the project")
    file, _, name = text.rpartition(":")
    return f"{os.path.normpath(file)}:{name}"


def program(text: str) -> str:
    """Return what is timed: a function of the project, FILE.py:NAME, or a command line as it is.

    Raises:
        ValueError: it is a function that lies elsewhere.
    """
    return function_name(text) if is_function(text) else text


def case_label(values: Mapping[str, Any]) -> str:
    """Return the name of a case in the metric of its speed-up, such as n:256."""
    return "-".join(f"{name}:{value}" for name, value in values.items()) or "all"


def case(value: Any) -> dict[str, Value]:
    """Return a case: the keyword arguments of the function that makes the inputs.

    Raises:
        ValueError: it is not a table of numbers, texts and switches.
    """
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name.isidentifier() and isinstance(item, str | int | float)
        for name, item in value.items()
    ):
        raise ValueError("not a table of values")
    return value


def tolerances(value: Any) -> dict[str, float]:
    """Return tolerances by type; one number is that of all types.

    Raises:
        ValueError: one is negative, or not a number, or its type is unknown.
    """
    found = value if isinstance(value, dict) else dict.fromkeys(NUMBER_TYPES, value)
    for name, limit in found.items():
        if (
            name not in NUMBER_TYPES
            or isinstance(limit, bool)
            or not isinstance(limit, int | float)
            or not 0 <= limit < 1
        ):
            raise ValueError("not a tolerance")
    return {name: float(limit) for name, limit in found.items()}


def formula(value: Any) -> str:
    """Return a formula as text.

    Raises:
        ValueError: it is neither a text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise ValueError("not a formula")
    return value if isinstance(value, str) else f"{value:.15g}"


Cases = list[Annotated[dict[str, Value], PlainValidator(case)]]
Function = Annotated[Text, AfterValidator(function_name)]
Program = Annotated[Text, AfterValidator(program)]


class TimingKeys(Table):
    """The keys of the judge of time."""

    candidate: Program | None = Field(
        None,
        description='a function of the project, such as "kernel.py:matmul", or a command line, such as '
        '"./sort --threads {n}"',
    )
    reference: Program | None = Field(
        None,
        description='a function of the project, such as "reference.py:matmul", or a command line; the candidate when '
        "left out",
    )
    inputs: Function | None = Field(
        None, description='a function that makes inputs from a seed, such as "inputs.py:make"'
    )
    cases: Cases = Field(
        default_factory=list,
        description="a list of tables of the inputs' arguments, such as [{ n = 256 }, { n = 512 }]",
    )
    checks: Cases = Field(
        default_factory=list, description="a list of tables like those of `cases`, such as [{ n = 1 }, { n = 257 }]"
    )
    arguments: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Annotated[str | float, PlainValidator(file_entry)]
    ] = Field(
        default_factory=dict,
        description='a table of further arguments of the candidate, for example { block = "{block}" }',
    )
    tolerance: Annotated[dict[str, float], PlainValidator(tolerances)] = Field(
        default_factory=dict,
        description="a number from 0 to 1, or a table of them by type (float64, float32, float16, bfloat16), such as "
        "{ float32 = 1e-4 }",
    )
    pairs: Annotated[int, BeforeValidator(no_bool), Field(ge=4)] = Field(
        40, description="a whole number of at least 4: pairs of calls of each case"
    )
    launches: Count = Field(4, description="a whole number of at least 1: how often both sides are started anew")
    warmup: Annotated[int, BeforeValidator(no_bool), Field(ge=0)] = Field(
        2, description="a whole number of at least 0: calls of each side before the clock counts, in each launch"
    )
    cache: Literal["warm", "cold"] = Field("warm", description='"warm" or "cold"')
    flops: Annotated[str, PlainValidator(formula)] = Field(
        "", description='a formula of the operations of one call, such as "2 * n**3"'
    )
    bytes: Annotated[str, PlainValidator(formula)] = Field(
        "", description='a formula of the bytes that one call must move, such as "12 * n**2"'
    )
    peak_flops: Positive | None = Field(None, description="a number of operations per second above 0, such as 1e12")
    peak_bytes: Positive | None = Field(None, description="a number of bytes per second above 0, such as 5e10")

    @property
    def texts(self) -> dict[str, str]:
        """The texts that may have placeholders, by their key."""
        named: dict[str, object] = {"candidate": self.candidate or "", "reference": self.reference or ""}
        named |= {f"arguments.{name}": entry for name, entry in self.arguments.items()}
        for key, cases in {"cases": self.cases, "checks": self.checks}.items():
            named |= {f"{key}.{index}.{name}": item for index, row in enumerate(cases) for name, item in row.items()}
        return {key: text for key, text in named.items() if isinstance(text, str) and text}


def with_timed_command(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document of a study with the judge of time, with [run] as it must be: one trial at a time."""
    evaluate, run = document.get("evaluate"), document.get("run", {})
    if not isinstance(evaluate, Mapping) or not isinstance(run, Mapping):
        return document
    if evaluate.get("kind") != "time" and "candidate" not in evaluate:  # with it, kind is what is missing
        return document
    candidate = evaluate.get("candidate")
    file = candidate.rpartition(":")[0] if isinstance(candidate, str) and is_function(candidate) else ""
    return {**document, "run": {"command": f"{TIMED} {file}".strip(), "parallel": 1, **run}}


def timed_text(table: TimingKeys, command: str) -> str:
    """Return in words what is timed, for a model that proposes changes of it."""
    first = "" if needs_no_command(command) else f"first runs: {command}; then "
    arguments = ", ".join(f"{name}={entry}" for name, entry in table.arguments.items())
    call = f"{table.candidate}({arguments})" if table.arguments else str(table.candidate)
    cases = "; ".join(", ".join(f"{name} = {value}" for name, value in case.items()) for case in table.cases)
    inputs = f" on fresh inputs of {table.inputs}" if table.inputs else ""
    reference = table.reference or "the same in the user's own code, with the default parameters"
    return (
        f"{first}{call} is timed against {reference}{inputs}{f' for {cases}' if cases else ''}; results must equal "
        "those of the reference, also at other shapes"
    )
