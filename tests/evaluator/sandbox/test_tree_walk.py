"""Removing the folders of a trial."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from tunesmith.evaluator.files.tree_walk import remove


def test_a_folder_is_removed_while_its_owner_removes_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    for number in range(600):
        (folder / f"{number}" / "deep").mkdir(parents=True)
        (folder / f"{number}" / "file").touch()
    owned = sorted(folder.iterdir(), reverse=True)
    owner = threading.Thread(target=lambda: [shutil.rmtree(path, ignore_errors=True) for path in owned])
    owner.start()
    remove(folder)
    owner.join()
    assert not folder.exists()
