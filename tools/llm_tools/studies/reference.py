"""The reference of study.toml, made from the models that read it: every table, every key, what it expects.

So an agent that writes a study file needs no copy of the documentation, and no key can be missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunesmith.study.config.space_tables import KINDS
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import json_values, render_literal

_HEAD = """\
# study.toml

Every table and key. "expected" is what the file's reader accepts; it names every mistake at once. Placeholders in
commands: `{name}` of a parameter or derived value, `{seed}`, `{artifacts}`, `{instance}`; `{flag?--yes:--no}` for a
switch. A trial is one run of the command; the metric is read from lines such as `val_loss=0.41`.

```toml
[study]
name = "digits"
metric = "val_loss"

[run]
command = "python train.py --lr {lr} --opt {opt} --momentum {momentum} --seed {seed}"

[space]
lr = { type = "float", low = 1e-5, high = 1.0, log = true, default = 1e-3 }
opt = { type = "choice", choices = ["adam", "sgd"], default = "adam" }
momentum = { type = "float", low = 0.0, high = 0.99, when = "opt == 'sgd'" }

[budget]
trials = 40

[confirm]
seeds = 5
```
"""


def study_reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join([_HEAD, *_space(), *_tables()]) + "\n"


def _space() -> Iterator[str]:
    yield "## [space]"
    yield ""
    yield "One line per parameter, `name = { type = ..., ... }`. Every type takes `help`, and `when`: a condition on"
    yield "other parameters."
    yield ""
    for name, kind in KINDS.items():
        keys = [field for field in dataclasses.fields(kind) if field.name not in ("when", "help") and field.init]
        about = " ".join((kind.__doc__ or "").partition("Raises:")[0].split())
        yield f"- `{name}`: {about} Keys: {', '.join(f'`{field.name}`{_optional(field)}' for field in keys)}."
    yield ""


def _optional(field: dataclasses.Field[Any]) -> str:
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return " (optional)" if has_default else ""


def _tables() -> Iterator[str]:
    for name, field in StudySpec.model_fields.items():
        key = field.alias or name
        if key in ("space", "document"):
            continue
        table, is_list = _table_of(field.annotation), "list" in str(field.annotation)
        if table is None:
            yield f"## {key}"
            yield ""
            yield f"expected {field.description}"
            yield ""
            continue
        yield f"## [[{key}]]" if is_list else f"## [{key}]" if "metric_tables" not in name else "## [metrics.NAME]"
        yield ""
        yield f"{' '.join((table.__doc__ or '').split())}"
        yield ""
        yield "| key | expected | default |"
        yield "|---|---|---|"
        yield from (_row(k, f) for k, f in table.model_fields.items())
        yield ""


def _row(name: str, field: FieldInfo) -> str:
    expected = str(field.description or "").replace("|", "\\|")
    return f"| `{field.alias or name}` | {expected} | {_default(field)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, BaseModel):
        return "see its keys"
    if isinstance(value, int) and str(field.description).startswith("a size"):
        return f'`"{value / 2**20:g}M"`'
    return f"`{render_literal(json_values(value))}`"


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for arg in get_args(annotation) if (table := _table_of(arg))), None)
