"""doctor warns about a history on a network disk, where SQLite can lose data."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.filled_study import write_study
from typer.testing import CliRunner

from tunesmith.cli.main import app


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", ""])
def test_doctor_warns_about_a_history_on_a_network_disk(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.cli.commands.setup.doctor.network_filesystem", lambda path: kind)
    study = write_study(tmp_path / "digits")
    result = CliRunner().invoke(app, ["doctor", str(study)])
    is_warned = f"is on a network disk ({kind}), where SQLite can lose data; put it on a local disk" in result.output
    assert is_warned == bool(kind)
