"""The tool `source` shows no file that is named like one with keys, and no value that is shaped like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.script.files import SOURCE

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    "name",
    [
        "secrets.toml",
        "credentials.json",
        "Credentials.JSON",
        "secrets.py",
        "my_secrets.yaml",
        "aws-credentials.ini",
        "passwords.txt",
        "db_password.txt",
        "service-account.json",
        "google_service_account.json",
        "auth.json",
        "token.json",
        "keys.toml",
        "private_key.txt",
        "conf/secrets.yaml",
        "credentials.json/x.json",
        "kubeconfig.yaml",
    ],
)
def test_a_file_with_keys_is_not_shown(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x = 1\n")
    with pytest.raises(ToolRefused, match="may hold keys"):
        SOURCE.call(ToolContext(project=tmp_path), {"path": name})
    with pytest.raises(ToolRefused) as listed:
        SOURCE.call(ToolContext(project=tmp_path), {"path": "absent.py"})
    assert Path(name).parts[0] not in str(listed.value)


@pytest.mark.parametrize("name", ["train.py", "tokenizer.py", "secret_sauce.py", "settings.ini", "keyboard.json"])
def test_other_files_are_shown(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("width = 64\n")
    assert "width = 64" in SOURCE.call(ToolContext(project=tmp_path), {"path": name})


@pytest.mark.parametrize(
    "line",
    [
        f"aws_secret_access_key = {KEY}",
        f"x = {KEY}",
        f'{{"anything": "{KEY}"}}',
        f"anything: {KEY}",
        f"export THING={KEY}",
    ],
)
def test_a_value_with_the_shape_of_a_key_is_hidden(line: str, tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text(f"{line}\n")
    assert KEY not in SOURCE.call(ToolContext(project=tmp_path), {"path": "settings.ini"})


@pytest.mark.parametrize(
    "text", ["/data/imagenet/train/resized256x256/images1", "a" * 40, "da39a3ee5e6b4b0d3255bfef95601890afd80709"]
)
def test_paths_and_hashes_are_shown(text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text(f"x = {text}\n")
    assert text in SOURCE.call(ToolContext(project=tmp_path), {"path": "settings.ini"})
