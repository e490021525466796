"""Reads study.toml into a StudySpec and reports every mistake in it at once. Reads one file; writes nothing."""

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

from tunesmith.study.config.instance_checks import instance_mistakes
from tunesmith.study.config.resource_checks import resource_mistakes
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import INSTANCE, with_instances_from_file
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.config.tables.relations import (
    RelationTables,
    nothing_left_mistakes,
    placed_mistake,
    relations_of,
    reserved_name_mistakes,
    with_rules_at_top,
)
from tunesmith.study.config.tables.run import EXECUTORS, GIVEN_PLACEHOLDERS, ExecutorTable
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_literal
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
        SpecError: the file is missing, is not valid TOML, or has mistakes; carries all of them.
    """
    file = path / "study.toml" if path.is_dir() else path
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        message = "does not exist; `tunesmith init SCRIPT` writes a study file for a training script"
        raise SpecError([Mistake("", message)], where=str(file)) from None
    except OSError as error:
        raise SpecError([Mistake("", f"cannot be read: {error.strerror}")], where=str(file)) from None
    except UnicodeDecodeError as error:
        message = f"cannot be read: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        raise SpecError([Mistake("", message)], where=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError([Mistake("", f"is not valid TOML: {error}")], where=str(file)) from None
    except RecursionError:
        message = "is not valid TOML: brackets are nested too deeply"
        raise SpecError([Mistake("", message)], where=str(file)) from None
    whole, mistakes = with_instances_from_file(document, file.parent)
    if mistakes:
        raise SpecError(mistakes, where=file.name)
    return parse_spec(whole, where=file.name)


def parse_spec(document: Mapping[str, Any], *, where: str = "study.toml") -> StudySpec:
    """Return the study that a TOML document (or the same as JSON) describes.

    Raises:
        SpecError: with every mistake.
    """
    found: list[Mistake] = []
    document = with_rules_at_top(document)
    space = _read_space(document.get("space", {}), found, relations_of(document))
    tables = {key: value for key, value in document.items() if key != "space"}
    # [space] has its own reader; with a valid placeholder pydantic checks all other tables even if [space] is wrong.
    placeholder = space or SearchSpace({"unread": Bool()})
    try:
        spec = StudySpec(**{**tables, "space": placeholder, "document": _as_json_values(document)})
    except ValidationError as error:
        raise SpecError([*_spec_mistakes(error, document), *found], where=where) from None
    except RecursionError:
        raise SpecError([Mistake("", "is nested too deeply")], where=where) from None
    except TypeError:
        raise SpecError([*found, Mistake("", "has a key that is not a text")], where=where) from None
    found += _cross_mistakes(spec, space)
    found += nothing_left_mistakes(space) if space is not None and not found else ()
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


def relations_document(space: SearchSpace) -> dict[str, Any]:
    """Return the table [derived] and the list `forbid` of a space, and its constants as [scale]; without empty ones."""
    relations = space.relations
    tables: dict[str, Any] = {
        "derived": {name: formula.text for name, formula in relations.derived.items()},
        "forbid": list(space.forbid),
        "scale": dict(relations.constants),
    }
    return {key: table for key, table in tables.items() if table}


def parameter_document(parameter: Parameter) -> dict[str, Any]:
    """Return the entry of [space] from which an equal parameter is read."""
    entry: dict[str, Any] = {"type": parameter.kind}
    for field in _fields_for_people(parameter):
        value = getattr(parameter, field.name)
        if value != field.default or field.default is dataclasses.MISSING:
            entry[field.name] = list(value) if isinstance(value, tuple) else value
    return entry


def _fields_for_people(parameter: Parameter | type[Parameter]) -> list[dataclasses.Field[Any]]:
    """Return the fields with `when` and `help` last, since a person looks for the range first."""
    return sorted(dataclasses.fields(parameter), key=lambda field: field.name in ("when", "help"))


def _as_json_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as JSON values; TOML's times become texts, which `parse_spec` accepts too."""
    values: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return values


def _read_space(table: Any, found: list[Mistake], relations: RelationTables | None = None) -> SearchSpace | None:
    if not isinstance(table, Mapping):
        found.append(
            Mistake(
                "space",
                f"expected a table, got {render_literal(table)}; write [space] and below it one line per parameter",
            )
        )
        return None
    before = len(found)
    parameters = {name: _read_parameter(name, entry, found) for name, entry in table.items()}
    if len(found) > before:
        return None
    try:
        given = relations or RelationTables()
        return SearchSpace(
            {name: parameter for name, parameter in parameters.items() if parameter},
            derived=given.derived,
            forbid=given.forbid,
            constants=given.constants,
        )
    except SpecError as error:
        found += [placed_mistake(mistake) for mistake in error.mistakes]
        return None


def _read_parameter(name: str, entry: Any, found: list[Mistake]) -> Parameter | None:
    key = f"space.{name}"
    if not isinstance(entry, Mapping):
        example = f'{name} = {{ type = "float", low = 0.0, high = 1.0 }}'
        found.append(Mistake(key, f"expected a parameter, got {render_literal(entry)}; write for example {example}"))
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
        return f"is missing; expected one of {', '.join(KINDS)}"
    if isinstance(kind, str) and kind.lower() in _OTHER_KINDS:
        return f"unknown type {render_literal(kind)}; did you mean {_OTHER_KINDS[kind.lower()]}?"
    return f"unknown type {render_literal(kind)}{did_you_mean(str(kind), KINDS)}"


def _field_mistakes(cls: type[Parameter], entry: Mapping[str, Any]) -> Iterable[Mistake]:
    fields = {field.name: field for field in _fields_for_people(cls)}
    for key, value in entry.items():
        if key != "type" and key not in fields:
            yield Mistake(key, f"unknown key for type {cls.kind}{did_you_mean(key, ['type', *fields])}")
        elif key in _FIELD_TYPES and not isinstance(value, _FIELD_TYPES[key][0]):
            yield Mistake(key, _not_valid(value, _FIELD_TYPES[key][1]))
        elif key == "choices" and any(isinstance(choice, list | dict) for choice in value):
            yield Mistake(key, "may only hold texts, numbers, true and false")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in entry:
            example = {"low": "low = 0.0", "high": "high = 1.0"}.get(name, 'choices = ["a", "b"]')
            yield Mistake(name, f"is missing; write for example {example}")


def _spec_mistakes(error: ValidationError, document: Mapping[str, Any]) -> list[Mistake]:
    """Return one mistake per key; what was expected is the description of the field in spec.py."""
    found: dict[str, Mistake] = {}
    for item in error.errors():
        path = _path_in_file(item["loc"], document)
        model, field = _model_and_field(item["loc"])
        key = ".".join(path)
        if item["type"] == "extra_forbidden":
            what = "table" if len(path) == 1 and isinstance(item["input"], Mapping | list) else "key"
            message = f"unknown {what}{did_you_mean(path[-1], [k for k in _keys(model) if k != 'document'])}"
        elif item["type"] == "missing":
            message = f"is missing; expected {field.description}" if field else "is missing"
        else:
            message = _not_valid(item["input"], str(field.description) if field else item["msg"])
        found.setdefault(key, Mistake(key, message))
    return list(found.values())


def _not_valid(value: object, expected: str) -> str:
    return f"{render_literal(value)} is not valid here; expected {expected}"


def _path_in_file(path: Sequence[str | int], document: Any) -> list[str]:
    """Return the keys that lead to a mistake in the file.

    Pydantic's path also contains the validator that failed inside a union, and the index in a list made from a single
    text; neither is in the file.
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


def _model_and_field(path: tuple[str | int, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the model of the table that holds the last key, and the key's field if the model has it."""
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
    """Return the fields by their keys in the file: `from` cannot be a Python name, so its field has an alias."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for arg in get_args(annotation) if (table := _table_of(arg))), None)


def _cross_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    metrics, directions = spec.study.metric, spec.study.direction
    if len(set(metrics)) < len(metrics):
        yield Mistake("study.metric", f"lists a metric twice: {render_literal(metrics)}; remove one")
    if len(directions) not in (1, len(metrics)):
        are = "is 1 metric" if len(metrics) == 1 else f"are {len(metrics)} metrics"
        yield Mistake("study.direction", f"has {len(directions)} entries, but there {are}; give one for each")
    if spec.planner.sampler not in SAMPLERS:
        name = spec.planner.sampler
        yield Mistake("planner.sampler", f"unknown sampler {render_literal(name)}{did_you_mean(name, SAMPLERS)}")
    for index, constraint in enumerate(spec.constraints):
        if constraint.min is None and constraint.max is None:
            yield Mistake(f"constraints.{index}", "has no bound; give min, max or both")
        elif None not in (constraint.min, constraint.max) and constraint.min > constraint.max:  # type: ignore[operator]  # neither is None
            yield Mistake(
                f"constraints.{index}.min",
                f"{constraint.min:g} is above max = {constraint.max:g}; no value can meet both",
            )
    yield from _metric_mistakes(spec)
    yield from resource_mistakes(spec)
    yield from _executor_mistakes(spec)
    yield from _pace_mistakes(spec)
    yield from _notify_mistakes(spec)
    yield from _population_mistakes(spec, space)
    if space is not None:
        yield from _name_mistakes(spec, space)
        yield from reserved_name_mistakes(space)
    yield from _command_mistakes(spec, space)
    yield from instance_mistakes(spec)


def _notify_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    table = spec.notify
    if table is None:
        return
    if table.command is None and table.url is None:
        yield Mistake("notify", "has no destination; give command, url or both")
    if table.url is not None and not table.url.startswith(("http://", "https://", "$")):
        yield Mistake(
            "notify.url",
            f"{render_literal(table.url)} is not a web address; begin it with http://, https:// or $VARIABLE",
        )
    if table.command is not None:
        try:
            shlex.split(table.command)
        except ValueError:
            yield Mistake("notify.command", f"{render_literal(table.command)} has a quote that is not closed")


def _executor_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    chosen = spec.run.executor
    if chosen not in EXECUTORS:
        yield Mistake("run.executor", f"unknown executor {render_literal(chosen)}{did_you_mean(chosen, EXECUTORS)}")
        return
    for key in spec.executor.model_fields_set:
        wanted = ExecutorTable.FOR[key]
        if chosen not in wanted:
            names = " or ".join(f'"{name}"' for name in wanted)
            message = f'only applies to executor = {names}, but [run].executor is "{chosen}"; remove it'
            yield Mistake(f"executor.{key}", message)
    if chosen != "local" and spec.run.sandbox:
        yield Mistake("run.sandbox", f'works on this machine only, but executor = "{chosen}"; remove one of the two')
    if chosen != "local" and spec.edits is not None:
        message = (
            f'needs the sandbox, which works on this machine only, but executor = "{chosen}"; remove one of the two'
        )
        yield Mistake("edits", message)
    if chosen == "slurm" and spec.run.parallel is None:
        message = 'is missing; executor = "slurm" needs how many jobs to queue at once, for example parallel = 8'
        yield Mistake("run.parallel", message)
    if chosen == "slurm" and 0 < spec.run.gpu_count < 1:
        yield Mistake(
            "run.gpus", f"{spec.run.gpu_count:g} is not valid here: Slurm allocates whole GPUs; write gpus = 1"
        )
    if chosen != "local" and spec.run.packs:
        yield Mistake("run.gpus", f'"auto" works on this machine only, but executor = "{chosen}"; give a number')


def _pace_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for index, rule in enumerate(spec.stop.rules):
        if rule.above is None and rule.below is None:
            yield Mistake(f"stop.rules.{index}", "has no bound; give above, below or both")
    if spec.fidelity is None and spec.schedule_kind in ("halving", "hyperband", "pbt"):
        yield Mistake(
            "schedule.kind", f'"{spec.schedule_kind}" needs a fidelity; add [fidelity] with name, min and max'
        )


def _population_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    if spec.schedule_kind != "pbt" or spec.schedule is None:
        return
    if spec.confirm is not None:
        message = (
            'cannot be combined with schedule kind "pbt", which changes parameters during a trial; remove [confirm]'
        )
        yield Mistake("confirm", message)
    for name in spec.schedule.movable:
        if space is not None and name not in space.names:
            yield Mistake(
                "schedule.movable", f"{render_literal(name)} is not a parameter{did_you_mean(name, space.names)}"
            )


def _name_mistakes(spec: StudySpec, space: SearchSpace) -> Iterable[Mistake]:
    for name in GIVEN_PLACEHOLDERS:
        if name in space.parameters:
            yield Mistake(f"space.{name}", f"Tunesmith itself sets {{{name}}} in the command; rename the parameter")
    for name in spec.scale:
        if name in space.parameters:
            yield Mistake(
                f"scale.{name}", "is also a parameter; remove it here, or from [space] if this study does not vary it"
            )
    if spec.fidelity is None:
        return
    name = spec.fidelity.name
    if name in GIVEN_PLACEHOLDERS:
        yield Mistake("fidelity.name", f"Tunesmith itself sets {{{name}}} in the command; choose another name")
    elif name in space.parameters:
        yield Mistake("fidelity.name", f"{render_literal(name)} is also a parameter; remove it from [space]")
    elif not name.isidentifier():
        yield Mistake("fidelity.name", f"{render_literal(name)} is not a valid name; use letters, digits and _")
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
                yield Mistake(key, "is empty; expected a command line")
        except ValueError:
            yield Mistake(key, f"{render_literal(command)} has a quote that is not closed")
        where = f"[{key.split('.')[0]}].command"
        yield from _unknown_placeholders(spec, space, command, where)
    for path, table in spec.run.files.items():
        for key, entry in table.items():
            yield from _unknown_placeholders(spec, space, str(entry), f'[run.files]."{path}"."{key}"')
    for name, text in spec.run.env.items():
        yield from _unknown_placeholders(spec, space, text, f"[run.env].{name}")


def _unknown_placeholders(spec: StudySpec, space: SearchSpace | None, text: str, where: str) -> Iterable[Mistake]:
    if space is None:
        return
    fidelity = [spec.fidelity.name] if spec.fidelity else []
    known = dict.fromkeys([*space.names, *space.relations.derived, *fidelity, *GIVEN_PLACEHOLDERS])
    if spec.instances is not None:
        known |= dict.fromkeys([INSTANCE, *(f"{INSTANCE}.{column}" for column in spec.instances.columns)])
    for name in placeholders(text):
        if name.split(".")[0] == INSTANCE and name not in known:
            yield _unknown_instance(spec, name, where)
            continue
        if name not in known:
            yield Mistake(f"space.{name}", f"is used in {where}, but not defined in [space]{did_you_mean(name, known)}")


def _unknown_instance(spec: StudySpec, name: str, where: str) -> Mistake:
    if spec.instances is None:
        return Mistake(
            "instances", f"is missing, but {{{name}}} is used in {where}; add [instances] with values or file"
        )
    columns = ", ".join(spec.instances.columns)
    if not columns:
        return Mistake("instances.values", f"are single values without columns, but {{{name}}} is used in {where}")
    return Mistake("instances", f"has no column {name.partition('.')[2]}, which {where} uses; columns: {columns}")


def _metric_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for name in spec.metric_tables:
        if name not in spec.metrics:
            message = f"is not a metric of this study{did_you_mean(name, spec.metrics)}"
            yield Mistake(f'metrics."{name}"', message)
