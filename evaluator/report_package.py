"""Writes the folder from which a trial can `import tunesmith` to report, whatever its environment.

The folder holds copies of the few modules that need only the standard library. Tunesmith's own folder would not do:
next to it lie all packages of Tunesmith's environment, which would come before those of the trial.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER = "reporting"
"""Name of the folder in a study's own one."""


def with_report_package(environment: Mapping[str, str], study_folder: Path) -> dict[str, str]:
    """Return an environment with the folder as the last one on PYTHONPATH; unchanged where it cannot be written."""
    try:
        folder = report_package(study_folder)
    except OSError:
        return dict(environment)
    before = environment.get("PYTHONPATH", "")
    return {**environment, "PYTHONPATH": os.pathsep.join([*([before] if before else []), str(folder)])}


def report_package(study_folder: Path) -> Path:
    """Return the folder to put on PYTHONPATH; written if it is missing.

    Raises:
        OSError: it cannot be written.
    """
    files = _files()
    digest = hashlib.sha256(b"\0".join(name.encode() + text for name, text in files.items())).hexdigest()[:12]
    folder = study_folder / FOLDER / digest
    if folder.is_dir():
        return folder
    building = folder.with_name(f"{digest}.{secrets.token_hex(4)}")
    try:
        for name, text in files.items():
            path = building / "tunesmith" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        building.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _files() -> dict[str, bytes]:
    here = Path(__file__).parent
    return {
        "__init__.py": (here / "report_only.py").read_bytes(),
        "evaluator/__init__.py": b"",
        "evaluator/reporting.py": (here / "reporting.py").read_bytes(),
        "hf.py": (here.parent / "hf.py").read_bytes(),
        "lightning.py": (here.parent / "lightning.py").read_bytes(),
        "schedules.py": (here.parent / "schedules.py").read_bytes(),
    }
