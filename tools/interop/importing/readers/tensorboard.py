"""Reads TensorBoard logs with hyperparameters: a folder per run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import VALUE, ImportedRow, ImportedTable, SkippedRow, make_table


def read_tensorboard(folder: Path, named: str | None) -> ImportedTable:
    """Return the runs that recorded their hyperparameters. `named` is a subfolder.

    Raises:
        ProjectError: tensorboard is not installed, or no run can be read.
    """
    require("tensorboard", purpose=f"reading the TensorBoard logs in {folder}")
    root = folder
    if named is not None:
        folders = {path.name: path for path in sorted(folder.rglob("*")) if path.is_dir()}
        root = folders[select_study(list(folders), named, where=f"the TensorBoard folder {folder}")]
    runs = sorted({path.parent for path in root.rglob("events.out.tfevents.*")})
    source = f"TensorBoard results in {root}"
    try:
        return make_table(source, root.absolute().name, _rows(runs))
    except ProjectError as error:
        raise ProjectError(f"{error}; only runs that were logged with add_hparams can be imported") from None


def _rows(runs: list[Path]) -> Iterator[ImportedRow | SkippedRow]:
    for run in runs:
        row = _run(run)
        # PyTorch's add_hparams writes the hyperparameters of a run to a subfolder.
        if row is not None:
            yield row
        elif not any(run in other.parents for other in runs):
            yield SkippedRow("it has no hyperparameters")


def _run(run: Path) -> ImportedRow | SkippedRow | None:
    """Return the row of a run; None for one without hyperparameters."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # 1 s

    try:
        events = EventAccumulator(str(run))
        events.Reload()
        params = _hyperparameters(events)
        scalars = {f"{VALUE}{tag}": events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    except Exception:  # noqa: BLE001  # a damaged event file may raise anything from DataLossError to DecodeError
        return SkippedRow("its event file is damaged")
    if not params:
        return (
            None if any(path.stat().st_size for path in run.glob("events.*")) else SkippedRow("its event file is empty")
        )
    return ImportedRow({**params, **scalars})


def _hyperparameters(events: Any) -> dict[str, Any]:
    from tensorboard.plugins.hparams import plugin_data_pb2

    try:
        contents: Mapping[str, bytes] = events.PluginTagToContent("hparams")
    except KeyError:
        return {}
    found: dict[str, Any] = {}
    for tag, content in contents.items():
        if tag.endswith("session_start_info"):
            data = plugin_data_pb2.HParamsPluginData.FromString(content)
            found |= {n: getattr(v, v.WhichOneof("kind")) for n, v in data.session_start_info.hparams.items()}
    return found
