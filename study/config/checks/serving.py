"""Mistakes in a study of a server that only several tables together show."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.serve import PORT, RESULT, SERVE_PLACEHOLDERS, ServeTable
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake
from tunesmith.study.space.space import SearchSpace


def serve_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    """Yield what is wrong with [serve]; `space` is None where it cannot be read."""
    serve = spec.serve
    if serve is None:
        return
    if spec.run.command != serve.command:
        yield Mistake("run.command", "is not used: [serve].command is what runs; remove it here")
    if spec.evaluate is not None:
        yield Mistake("evaluate", "does not go with [serve], whose benchmark measures; remove one of the two")
    yield from _port_mistakes(spec, serve)
    if RESULT in placeholders(serve.command):
        yield Mistake("serve.command", "has {result}, which is the file that the benchmark writes; remove it here")
    for path, table in spec.run.files.items():
        if any(name in SERVE_PLACEHOLDERS for entry in table.values() for name in placeholders(str(entry))):
            yield Mistake(f'run.files."{path}"', "has {port} or {result}, known only once a trial has started")
    for name in SERVE_PLACEHOLDERS:
        if space is not None and name in (*space.names, *space.relations.derived):
            yield Mistake(f"space.{name}", f"Tunesmith itself sets {{{name}}} in the commands of [serve]; rename it")


def _port_mistakes(spec: StudySpec, serve: ServeTable) -> Iterable[Mistake]:
    at_once = spec.run.parallel
    if serve.port is not None and at_once != 1:
        many = f"{at_once} run at once; remove it and write {{port}}" if at_once else "several may run at once; "
        many += "" if at_once else "write parallel = 1 in [run], or remove it and write {port}"
        yield Mistake("serve.port", f"is {serve.port} for every trial, but {many}")
    for key, command in (("serve.command", serve.command), ("serve.bench", serve.bench)):
        if serve.port is None and PORT not in placeholders(command):
            yield Mistake(key, "has no {port}; write it where the port belongs, for example --port {port}")
