"""`tunesmith import`: adds trials that ran elsewhere to the history, as an earlier study that warm-starts this one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import history_file
from tunesmith.history.bulk import write_import
from tunesmith.study.config.load import load_spec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.tools.interop.importing.plan import ImportPlan, ImportRequest, plan_import
from tunesmith.tools.interop.study_export import counted


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
    request = ImportRequest(options.source, options.named, _column_map(options.columns))
    plan = plan_import(spec, request, name=options.name)
    if not options.dry_run:
        _write(plan, history_file(options.study, history))
    if as_json:
        show(json.dumps(_to_json(plan, is_dry=options.dry_run), indent=2))
        return
    for line in plan.lines(changed_by="--map"):
        show(line)
    if options.dry_run:
        show("Nothing was written because of --dry-run.")
        return
    show(f"Imported as study {plan.name}: {counted(plan.imported.trials)}.")
    show(f"{spec.study.name} uses them to warm-start; they are excluded from its statistics.")


def _write(plan: ImportPlan, history: Path) -> None:
    """Write the trials in one transaction."""
    history.parent.mkdir(parents=True, exist_ok=True)
    trials, source, learner = plan.imported.trials, plan.found.source, plan.learner.study.name
    write_import(history, plan.earlier_spec(), trials, found_in=source, learner=learner, now=time.time())


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


def _to_json(plan: ImportPlan, *, is_dry: bool) -> Mapping[str, object]:
    return {
        "from": plan.found.source,
        "study": plan.name,
        "written": not is_dry,
        "rows": plan.found.row_count,
        "imported": len(plan.imported.trials),
        "columns": {**plan.mapping.parameters, **plan.mapping.metrics},
        "instance_column": plan.mapping.instance or None,
        "unused_columns": list(plan.mapping.unused),
        "guessed": sorted(plan.mapping.guessed),
        "without_column": list(plan.mapping.missing),
        "left_out": dict(plan.imported.skipped),
    }
