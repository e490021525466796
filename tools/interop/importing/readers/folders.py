"""Recognizes the folders of trackers and tuners: Ray Tune results, an MLflow file store, TensorBoard logs."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.imported_table import ImportedTable
from tunesmith.tools.interop.importing.readers.mlflow_files import read_mlflow_files
from tunesmith.tools.interop.importing.readers.ray import read_ray
from tunesmith.tools.interop.importing.readers.tensorboard import read_tensorboard

_CONTENTS = {
    "result.json": read_ray,
    "params.json": read_ray,
    "meta.yaml": read_mlflow_files,
    "events.out.tfevents.*": read_tensorboard,
}


def read_folder(folder: Path, named: str | None) -> ImportedTable:
    """Return the trials of a folder, with those of its subfolders.

    Raises:
        ProjectError: no trial can be read, or the folder has several studies and none was named.
    """
    for pattern, read in _CONTENTS.items():
        if next(folder.rglob(pattern), None) is not None:
            return read(folder, named)
    raise ProjectError(
        f"{folder} has no trials: it has neither params.json and result.json of Ray Tune, nor runs of MLflow, "
        "nor event files of TensorBoard"
    )
