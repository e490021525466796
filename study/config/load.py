"""Reads study.toml and collects every mistake in it. Reads one file; writes nothing."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tunesmith.study.config.spec import EXECUTORS, GIVEN_PLACEHOLDERS, SAMPLERS, ExecutorTable, StudySpec
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.parameters import KINDS, Bool, Parameter
from tunesmith.study.space.space import SearchSpace

_OTHER_KINDS = {
    "categorical": "choice", "categories": "choice", "ordinal": "choice", "enum": "choice", "string": "choice",
    "uniform": "float", "loguniform": "float", "real": "float", "double": "float", "number": "float",
    "integer": "int", "randint": "int", "boolean": "bool", "flag": "bool",
}  # fmt: skip
_FIELD_TYPES: Mapping[str, tuple[type, str]] = {
    "log": (bool, "true or false"),
    "ordered": (bool, "true or false"),
    "choices": (list, 'a list, for example ["adam", "sgd"]'),
    "when": (str, "a condition in quotes, for example \"optimizer == 'sgd'\""),
    "help": (str, "a text in quotes"),
}


def load_spec(path: Path) -> StudySpec:
    """Return the study that the file describes.

    Raises:
        SpecError: the file is missing, is no TOML, or has mistakes; carries all of them.
    """
    file = path / "study.toml" if path.is_dir() else path
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        hint = "write one, or let `tunesmith init SCRIPT` write it"
        raise SpecError([Mistake("", f"there is no such file; {hint}")], where=str(file)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Mistake("", f"cannot be read: {error}")], where=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError([Mistake("", f"is no TOML: {error}")], where=str(file)) from None
    except RecursionError:
        raise SpecError(
            [Mistake("", "is no TOML that can be read: it is nested too deeply")], where=str(file)
        ) from None
    return parse_spec(document, where=file.name)


def parse_spec(document: Mapping[str, Any], *, where: str = "study.toml") -> StudySpec:
    """Return the study that a TOML document (or the same as JSON) describes.

    Raises:
        SpecError: with every mistake.
    """
    found: list[Mistake] = []
    space = _read_space(document.get("space", {}), found)
    tables = {key: value for key, value in document.items() if key != "space"}
    # The space has its own reader, so a sound stand-in lets pydantic check everything else in one pass.
    stand_in = space or SearchSpace({"unread": Bool()})
    try:
        spec = StudySpec(**{**tables, "space": stand_in, "document": _plain(document)})
    except ValidationError as error:
        raise SpecError([*_translated(error, document), *found], where=where) from None
    except RecursionError:
        raise SpecError([Mistake("", "is nested too deeply")], where=where) from None
    except TypeError:
        raise SpecError([*found, Mistake("", "has a key that is no text")], where=where) from None
    found += _cross_mistakes(spec, space)
    if found:
        raise SpecError(found, where=where)
    return spec


def parse_space(tables: Mapping[str, Any]) -> SearchSpace:
    """Return the parameters that tables like those of [space] describe.

    Raises:
        SpecError: carries every mistake.
    """
    found: list[Mistake] = []
    space = _read_space(dict(tables), found)
    if space is None or found:
        raise SpecError(found)
    return space


def space_document(space: SearchSpace) -> dict[str, Any]:
    """Return the [space] table from which `parse_spec` reads an equal space."""
    return {name: parameter_document(parameter) for name, parameter in space.parameters.items()}


def parameter_document(parameter: Parameter) -> dict[str, Any]:
    """Return the entry of [space] from which an equal parameter is read."""
    entry: dict[str, Any] = {"type": parameter.kind}
    # What every kind has comes last: a person looks for the range first.
    for field in sorted(dataclasses.fields(parameter), key=lambda field: field.name in ("when", "help")):
        value = getattr(parameter, field.name)
        if value != field.default or field.default is dataclasses.MISSING:
            entry[field.name] = list(value) if isinstance(value, tuple) else value
    return entry


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as JSON values; TOML's times become texts, which the reader takes as well."""
    plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return plain


def _read_space(table: Any, found: list[Mistake]) -> SearchSpace | None:
    if not isinstance(table, Mapping):
        found.append(Mistake("space", f"{table!r} is no table; write [space]"))
        return None
    before = len(found)
    parameters = {name: _read_parameter(name, entry, found) for name, entry in table.items()}
    if len(found) > before:
        return None
    try:
        return SearchSpace({name: parameter for name, parameter in parameters.items() if parameter})
    except SpecError as error:
        found += [mistake.under("space") for mistake in error.mistakes]
        return None


def _read_parameter(name: str, entry: Any, found: list[Mistake]) -> Parameter | None:
    key = f"space.{name}"
    if not isinstance(entry, Mapping):
        example = '{ type = "float", low = 0.0, high = 1.0 }'
        found.append(Mistake(key, f"{entry!r} is no parameter; write {name} = {example}"))
        return None
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        found.append(Mistake(f"{key}.type", _kind_message(kind)))
        return None
    mistakes = list(_field_mistakes(KINDS[kind], entry))
    found += [mistake.under(key) for mistake in mistakes]
    if mistakes:
        return None
    try:
        return KINDS[kind](**{k: v for k, v in entry.items() if k != "type"})
    except SpecError as error:
        found += [mistake.under(key) for mistake in error.mistakes]
        return None


def _kind_message(kind: Any) -> str:
    if kind is None:
        return f"is missing; give one of {', '.join(KINDS)}"
    if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
        return f"{kind!r} is unknown; did you mean {_OTHER_KINDS[kind.lower()]}?"
    return f"{kind!r} is unknown{did_you_mean(str(kind), KINDS)}"


def _field_mistakes(cls: type[Parameter], entry: Mapping[str, Any]) -> Iterable[Mistake]:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key, value in entry.items():
        if key != "type" and key not in fields:
            yield Mistake(key, f"unknown key for type {cls.kind}{did_you_mean(key, fields)}")
        elif key in _FIELD_TYPES and not isinstance(value, _FIELD_TYPES[key][0]):
            yield Mistake(key, f"{value!r} cannot stand here; give {_FIELD_TYPES[key][1]}")
        elif key == "choices" and any(isinstance(choice, list | dict) for choice in value):
            yield Mistake(key, "may hold texts, numbers, true and false only")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in entry:
            example = {"low": "low = 0.0", "high": "high = 1.0"}.get(name, 'choices = ["a", "b"]')
            yield Mistake(name, f"is missing; give it, for example {example}")


def _translated(error: ValidationError, document: Mapping[str, Any]) -> list[Mistake]:
    """Return one mistake per key, in the words of the field's own description."""
    found: dict[str, Mistake] = {}
    for item in error.errors():
        path = _as_written(item["loc"], document)
        model, field = _place(item["loc"])
        key = ".".join(path)
        if item["type"] == "extra_forbidden":
            message = f"unknown key{did_you_mean(path[-1], set(_keys(model)) - {'document'})}"
        elif item["type"] == "missing":
            message = f"is missing; give {field.description if field else 'it'}"
        else:
            message = f"{item['input']!r} cannot stand here; give {field.description if field else item['msg']}"
        found.setdefault(key, Mistake(key, message))
    return list(found.values())


def _as_written(path: Sequence[str | int], document: Any) -> list[str]:
    """Return the keys down to where the mistake stands, as they stand in the file.

    Pydantic's path also names the validator that failed inside a union, and the index in a list that the reader made of
    a single text; neither is in the file.
    """
    written: list[str] = []
    for part in path:
        is_known = isinstance(document, Mapping) and part in document
        if isinstance(part, int) and not isinstance(document, list):
            break
        if isinstance(part, str) and not is_known and ("[" in part or "(" in part):
            continue
        written.append(str(part))
        if is_known or isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            document = None
    return written


def _place(path: tuple[str | int, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the model in which the last key stands, and its field when there is such a one."""
    model: type[BaseModel] = StudySpec
    field: FieldInfo | None = None
    for part in path:
        if not isinstance(part, str) or part not in _keys(model):
            continue
        field = _keys(model)[part]
        inner = _table_of(field.annotation)
        if inner is not None and part != path[-1]:
            model, field = inner, None
    return model, field


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields by the keys that stand in the file: `from` is no name in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for arg in get_args(annotation) if (table := _table_of(arg))), None)


def _cross_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    metrics, directions = spec.study.metric, spec.study.direction
    if len(set(metrics)) < len(metrics):
        yield Mistake("study.metric", f"names a metric twice: {metrics}; leave one out")
    if len(directions) not in (1, len(metrics)):
        yield Mistake("study.direction", f"has {len(directions)} entries for {len(metrics)} metrics; give one for each")
    if spec.planner.sampler not in SAMPLERS:
        yield Mistake(
            "planner.sampler", f"{spec.planner.sampler!r} is unknown{did_you_mean(spec.planner.sampler, SAMPLERS)}"
        )
    for index, constraint in enumerate(spec.constraints):
        if constraint.min is None and constraint.max is None:
            yield Mistake(f"constraints.{index}", "bounds nothing; give min, max or both")
        elif None not in (constraint.min, constraint.max) and constraint.min > constraint.max:  # type: ignore[operator]  # neither is None
            yield Mistake(
                f"constraints.{index}.min", f"{constraint.min} is above max = {constraint.max}; nothing could meet both"
            )
    yield from _executor_mistakes(spec)
    yield from _pace_mistakes(spec)
    yield from _notify_mistakes(spec)
    yield from _population_mistakes(spec, space)
    if space is not None:
        yield from _name_mistakes(spec, space)
    yield from _command_mistakes(spec, space)


def _notify_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    table = spec.notify
    if table is None:
        return
    if table.command is None and table.url is None:
        yield Mistake("notify", "tells nobody; give command, url or both")
    if table.url is not None and not table.url.startswith(("http://", "https://", "$")):
        yield Mistake("notify.url", f"{table.url!r} is no web address; write it with http:// or https://")
    if table.command is not None:
        try:
            shlex.split(table.command)
        except ValueError:
            yield Mistake("notify.command", f"{table.command!r} has a quote that is not closed")


def _executor_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    chosen = spec.run.executor
    if chosen not in EXECUTORS:
        yield Mistake("run.executor", f"{chosen!r} is unknown{did_you_mean(chosen, EXECUTORS)}")
        return
    for key in spec.executor.model_fields_set:
        wanted = ExecutorTable.FOR[key]
        if chosen not in wanted:
            names = " or ".join(f'"{name}"' for name in wanted)
            yield Mistake(
                f"executor.{key}", f"is for executor = {names}, and [run].executor is {chosen!r}; take it out"
            )
    if chosen != "local" and spec.run.sandbox:
        yield Mistake("run.sandbox", f"works on this machine only, not with executor = {chosen!r}; set one of the two")
    if chosen != "local" and spec.edits is not None:
        yield Mistake("edits", f"edited code runs in a sandbox, on this machine only, not with executor = {chosen!r}")
    if chosen == "slurm" and spec.run.parallel is None:
        yield Mistake("run.parallel", 'is missing; with executor = "slurm" give how many jobs may be queued at once')
    if chosen == "slurm" and 0 < spec.run.gpu_count < 1:
        yield Mistake("run.gpus", f"{spec.run.gpu_count:g} cannot stand here: Slurm gives whole GPUs; set gpus = 1")
    if chosen != "local" and spec.run.packs:
        yield Mistake("run.gpus", f'"auto" works on this machine only, not with executor = {chosen!r}; give a number')


def _pace_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for index, rule in enumerate(spec.stop.rules):
        if rule.above is None and rule.below is None:
            yield Mistake(f"stop.rules.{index}", "bounds nothing; give above, below or both")
    if spec.fidelity is None and spec.pace in ("halving", "hyperband", "pbt"):
        yield Mistake(
            "schedule.kind", f"{spec.pace!r} needs a fidelity to raise; add [fidelity] with name, min and max"
        )


def _population_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    if spec.pace != "pbt" or spec.schedule is None:
        return
    if spec.confirm is not None:
        yield Mistake("confirm", "cannot repeat what 'pbt' found, as parameters change on the way; take [confirm] out")
    for name in spec.schedule.movable:
        if space is not None and name not in space.names:
            yield Mistake("schedule.movable", f"{name!r} is no parameter{did_you_mean(name, space.names)}")


def _name_mistakes(spec: StudySpec, space: SearchSpace) -> Iterable[Mistake]:
    for name in GIVEN_PLACEHOLDERS:
        if name in space.parameters:
            yield Mistake(f"space.{name}", f"{{{name}}} is given to each trial by Tunesmith; rename the parameter")
    for name in spec.scale:
        if name in space.parameters:
            yield Mistake(f"scale.{name}", "is a parameter too; what varies within the study belongs in [space] alone")
    if spec.fidelity is None:
        return
    name = spec.fidelity.name
    if name in space.parameters or name in GIVEN_PLACEHOLDERS:
        yield Mistake("fidelity.name", f"{name!r} is the name of a parameter too; take it out of [space]")
    if not name.isidentifier():
        yield Mistake("fidelity.name", f"{name!r} is no name; use letters, digits and _")
    if spec.fidelity.min >= spec.fidelity.max:
        yield Mistake("fidelity.min", f"{spec.fidelity.min:g} is not below max = {spec.fidelity.max:g}")


def _command_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    commands = {"run.command": spec.run.command}
    if spec.evaluate:
        commands["evaluate.command"] = spec.evaluate.command
    if spec.test:
        commands["test.command"] = spec.test.command
    for key, command in commands.items():
        try:
            if not shlex.split(command):
                yield Mistake(key, "is empty; give a command line")
        except ValueError:
            yield Mistake(key, f"{command!r} has a quote that is not closed")
        if space is None:
            continue
        known = [*space.names, *GIVEN_PLACEHOLDERS, *([spec.fidelity.name] if spec.fidelity else [])]
        for name in placeholders(command):
            if name not in known:
                yield Mistake(
                    f"space.{name}",
                    f"is used in [{key.split('.')[0]}].command but not defined{did_you_mean(name, known)}",
                )
