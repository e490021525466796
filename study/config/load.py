"""Reads study.toml into a StudySpec and reports every mistake in it at once. Reads one file; writes nothing."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tunesmith.study.config.checks.cross import cross_mistakes
from tunesmith.study.config.checks.partial_spec import other_mistakes
from tunesmith.study.config.instances_file import with_instances_from_file
from tunesmith.study.config.space_tables import as_json_values, not_valid, read_space
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.relations import (
    nothing_left_mistakes,
    relations_of,
    with_rules_at_top,
)
from tunesmith.study.config.tables.serve import with_server_as_command
from tunesmith.study.config.tables.texts import with_texts_as_files
from tunesmith.study.config.tables.timing import with_timed_command
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean, nearest_of_listed
from tunesmith.study.space.parameters import Bool
from tunesmith.study.space.space import SearchSpace


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
    except ValueError:  # Python reads no number of over 4,300 digits
        raise SpecError([Mistake("", "is not valid TOML: a number has too many digits")], where=str(file)) from None
    except RecursionError:
        message = "is not valid TOML: brackets are nested too deeply"
        raise SpecError([Mistake("", message)], where=str(file)) from None
    whole, mistakes = with_instances_from_file(document, file.parent)
    return parse_spec(whole, where=file.name, known=mistakes)


def parse_spec(document: Mapping[str, Any], *, where: str = "study.toml", known: Sequence[Mistake] = ()) -> StudySpec:
    """Return the study that a TOML document (or the same as JSON) describes.

    Args:
        document: the tables.
        where: the file's name.
        known: mistakes that were found before, in tables whose own keys may be valid.

    Raises:
        SpecError: with every mistake.
    """
    try:
        found = list(_endless_numbers(document))
    except RecursionError:
        raise SpecError([Mistake("", "is nested too deeply")], where=where) from None
    if found:
        raise SpecError(found, where=where)
    found += known
    whole = with_timed_command(with_server_as_command(with_rules_at_top(document)))
    document = with_texts_as_files(whole, found)
    space = read_space(document.get("space", {}), found, relations_of(document))
    tables = {key: value for key, value in document.items() if key != "space"}
    # [space] has its own reader; with a valid placeholder pydantic checks all other tables even if [space] is wrong.
    placeholder = space or SearchSpace({"unread": Bool()})
    values = {**tables, "space": placeholder, "document": as_json_values(whole)}
    try:
        spec = StudySpec(**values)
    except ValidationError as error:
        wrong = _spec_mistakes(error, document)
        paths = [*(path.split(".") for path in wrong), *(m.key.split(".") for m in known)]
        others = other_mistakes(values, space, paths)
        raise SpecError([*wrong.values(), *found, *others], where=where) from None
    except RecursionError:
        raise SpecError([Mistake("", "is nested too deeply")], where=where) from None
    except TypeError:
        raise SpecError([*found, Mistake("", "has a key that is not a text")], where=where) from None
    if known:
        found += other_mistakes(values, space, [m.key.split(".")[:1] for m in known])
    else:
        found += cross_mistakes(spec, space)
    found += nothing_left_mistakes(space) if space is not None and not found else ()
    if found:
        raise SpecError(found, where=where)
    return spec


def _endless_numbers(value: Any, key: str = "") -> Iterator[Mistake]:
    """Yield each whole number that no float can be: TOML and JSON can spell them, and nothing here can use them."""
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        yield Mistake(key, f"is a number of over {sys.float_info.max_10_exp} digits; write a smaller one")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _endless_numbers(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _endless_numbers(item, f"{key}.{index}")


def _spec_mistakes(error: ValidationError, document: Mapping[str, Any]) -> dict[str, Mistake]:
    """Return one mistake per key, by its key; what was expected is the description of the field in spec.py."""
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
            expected = str(field.description) if field else item["msg"]
            meant = nearest_of_listed(item["input"], expected)
            message = f"{not_valid(item['input'], expected)}{f'; did you mean {meant}?' if meant else ''}"
        found.setdefault(key, Mistake(key, message))
    return found


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
