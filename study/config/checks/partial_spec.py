"""What a study file with wrong tables says besides: the checks that need several tables run on what is valid.

Each wrong value is replaced by its default, or by one that is only valid, until the tables can be read. Mistakes that
such a replacement may have caused are left out.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tunesmith.study.config.checks.cross import cross_mistakes
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.serve import UNREAD
from tunesmith.study.errors import Mistake
from tunesmith.study.names import nearest_name
from tunesmith.study.space.space import SearchSpace

_REMOVED = object()
_REPLACEMENTS: tuple[Any, ...] = (_REMOVED, UNREAD, 1, 2, [UNREAD], {})
"""What a wrong value is replaced by, in this order: nothing, for its default, or any value that is valid."""
_NAMING = frozenset({"derived", "fidelity", "serve", "space"})
"""Tables that define placeholders, [serve] as a whole only."""


def other_mistakes(
    values: Mapping[str, Any], space: SearchSpace | None, wrong: Sequence[Sequence[str]]
) -> Iterator[Mistake]:
    """Yield what several tables together show in a file with wrong tables; none where too little of it can be read.

    Args:
        values: the tables, with a valid [space].
        space: the search space; None where it cannot be read.
        wrong: the path of each wrong value in the file, such as ("serve", "port"); a table's has one name.
    """
    spec = _readable(values, wrong)
    if spec is None:
        return
    known = {name for name in StudySpec.model_fields if name != "document"}
    tables = {path[0] for path in wrong}
    meant: set[str] = set()
    for name in tables - known:
        nearest = nearest_name(name, known)
        # A table that is like no other may be any of those that define placeholders.
        meant |= {nearest} if nearest else {*_NAMING, "instances"}
    replaced = {(path[0], path[1] if len(path) > 1 else "") for path in wrong}
    for mistake in cross_mistakes(spec, space):
        if not _may_follow(mistake, tables | meant, replaced | {(name, "") for name in meant}):
            yield mistake


def _may_follow(mistake: Mistake, tables: set[str], replaced: set[tuple[str, str]]) -> bool:
    """Return whether a mistake may be there only because a wrong value was replaced."""
    if mistake.key.split(".")[0].split('"')[0] in tables:
        return True
    if any(f"{verb} [{name}]" in mistake.message for verb in ("add", "give") for name in tables):
        return True
    if any(f"[{name}].{key}" in mistake.message for name, key in replaced if key):
        return True
    if replaced & {("study", "metric"), ("study", "")} and "metric" in mistake.message:
        return True
    lost = {name for name, key in replaced if name in _NAMING and (name != "serve" or not key)}
    return bool(lost) and "not defined in [space]" in mistake.message


def _readable(values: Mapping[str, Any], wrong: Sequence[Sequence[str]]) -> StudySpec | None:
    """Return the study with its wrong values replaced; None where no replacement is valid."""
    document = {name: copy.deepcopy(value) if name != "space" else value for name, value in values.items()}
    paths, tried = [tuple(path) for path in wrong], Counter[tuple[str, ...]]()
    while all(tried[path] < len(_REPLACEMENTS) for path in paths):
        for path in dict.fromkeys(paths):
            _replace(document, path, _REPLACEMENTS[tried[path]])
            tried[path] += 1
        try:
            return StudySpec(**document)
        except ValidationError as error:
            found = [tuple(str(part) for part in item["loc"]) for item in error.errors()]
            # A path may hold the name of a validator; what is replaced is the value that was named before. Where that
            # had every replacement, the last of which is an empty table, the table's own keys are filled.
            left = [path for path, count in tried.items() if count < len(_REPLACEMENTS)]
            paths = [next((p for p in left if p[: len(loc)] == loc or loc[: len(p)] == p), loc) for loc in found]
    return None


def _replace(document: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path, or take away what is there; a path that leads nowhere ends at its last table."""
    at: Any = document
    *above, last = path
    for part in above:
        inner = at[int(part)] if isinstance(at, list) and part.isdigit() and int(part) < len(at) else None
        inner = at.setdefault(part, {}) if isinstance(at, dict) else inner
        if not isinstance(inner, dict | list):
            return
        at = inner
    if isinstance(at, dict):
        if value is _REMOVED:
            at.pop(last, None)
        else:
            at[last] = value
    elif isinstance(at, list) and last.isdigit() and int(last) < len(at) and value is not _REMOVED:
        at[int(last)] = value
