"""`tunesmith import`: adds trials that ran elsewhere to the history, as an earlier study that warm-starts this one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import history_file
from tunesmith.history.bulk import write_import
from tunesmith.study.config.load import load_spec, parse_spec, relations_document, space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.tools.interop.importing.fit import ImportedTrials, fit
from tunesmith.tools.interop.importing.imported_table import ImportedTable
from tunesmith.tools.interop.importing.mapping import ColumnMapping, map_columns
from tunesmith.tools.interop.importing.source import read_source
from tunesmith.tools.interop.study_export import counted

SHOWN_REASONS = 6
"""Number of reasons for skipped rows that are printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of `import`.

    Attributes:
        named: the study to import if the source holds several.
        columns: COLUMN=NAME pairs.
        name: of the imported study in the history; None for the default name.
    """

    source: str
    study: Path
    named: str | None
    columns: Sequence[str]
    name: str | None
    dry_run: bool


def import_trials(options: ImportOptions, *, history: Path | None, as_json: bool) -> None:
    """Read the source, map its columns, fit its rows to the study, write them in one transaction, and print the result.

    Raises:
        InputError: the source cannot be read, does not fit the study, or the history cannot be written.
    """
    spec = load_spec(options.study)
    mapped_by_hand = _column_map(options.columns)
    found = read_source(options.source, options.named)
    mapping = map_columns(found.columns, spec, mapped_by_hand)
    imported = fit(found, mapping, spec)
    path = history_file(options.study, history)
    name = options.name or _name(spec, found)
    if not options.dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier = _earlier_spec(spec, imported, name)
        write_import(path, earlier, imported.trials, found_in=found.source, learner=spec.study.name, now=time.time())
    if as_json:
        show(json.dumps(_to_json(found, mapping, imported, name, is_dry=options.dry_run), indent=2))
        return
    for line in _lines(found, mapping, imported):
        show(line)
    if options.dry_run:
        show("Nothing was written because of --dry-run.")
        return
    show(f"Imported as study {name}: {counted(imported.trials)}.")
    show(f"{spec.study.name} uses them to warm-start; they are excluded from its statistics.")


def _column_map(columns: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    mistakes = []
    for text in columns:
        column, _, name = text.rpartition("=")
        if not column or not name:
            mistakes.append(
                Mistake(f"--map {text}", "is not valid; expected COLUMN=NAME, for example --map learning_rate=lr")
            )
        elif name in found.values() or column in found:
            mistakes.append(Mistake(f"--map {text}", f"maps {column} or {name} a second time; remove one"))
        else:
            found[column] = name
    if mistakes:
        raise SpecError(mistakes, where="the command line")
    return found


def _name(spec: StudySpec, found: ImportedTable) -> str:
    plain = re.sub(r"[^\w.-]+", "-", found.name).strip("-.") or "elsewhere"
    return f"{spec.study.name}-from-{plain}"[:80]


def _earlier_spec(spec: StudySpec, imported: ImportedTrials, name: str) -> StudySpec:
    """Return a study with the same objectives over the imported part of the space."""
    table = {"name": name, "metric": spec.study.metric, "direction": [d.value for d in spec.study.direction]}
    document = {
        "study": {**table, "description": spec.study.description},
        "run": {"command": "(imported)"},
        "space": space_document(imported.space),
        **relations_document(imported.space),
        **({"constraints": spec.document["constraints"]} if "constraints" in spec.document else {}),
    }
    return parse_spec(document, where="the imported study")


def _lines(found: ImportedTable, mapping: ColumnMapping, imported: ImportedTrials) -> list[str]:
    pairs = {**mapping.parameters, **mapping.metrics}
    width = max(len(name) for name in pairs)
    lines = [f"{found.source}: {found.row_count} rows"]
    for name, column in pairs.items():
        guess = "   (guessed; --map changes it)" if name in mapping.guessed else ""
        lines.append(f"  {name:<{width}} <- {column}{guess}")
    lines += [f"  {name:<{width}} has no column; its default is assumed" for name in mapping.missing]
    reasons = list(imported.skipped.items())
    lines += [f"  {count} left out: {reason}" for reason, count in reasons[:SHOWN_REASONS]]
    if len(reasons) > SHOWN_REASONS:
        lines.append(f"  {sum(count for _, count in reasons[SHOWN_REASONS:])} left out for other reasons")
    return lines


def _to_json(
    found: ImportedTable, mapping: ColumnMapping, imported: ImportedTrials, name: str, *, is_dry: bool
) -> Mapping[str, object]:
    return {
        "from": found.source,
        "study": name,
        "written": not is_dry,
        "rows": found.row_count,
        "imported": len(imported.trials),
        "columns": {**mapping.parameters, **mapping.metrics},
        "guessed": sorted(mapping.guessed),
        "without_column": list(mapping.missing),
        "left_out": dict(imported.skipped),
    }
