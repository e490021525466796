"""Optional packages: a missing one is an error with the command that installs it, and no check imports anything."""

from __future__ import annotations

import json
import sys

import pytest

from tunesmith.study import optional_packages
from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import install_command, is_installed, require


def test_a_missing_package_is_named_with_its_install_line() -> None:
    with pytest.raises(ProjectError) as caught:
        require("no_such_package", purpose="tunesmith watch", extra="watch")
    missing = "tunesmith watch needs the package no_such_package, which is not installed; run: pip install "
    assert str(caught.value).startswith(missing)
    assert str(caught.value).endswith("[watch]'")
    with pytest.raises(ProjectError, match="run: pip install no-such-package$"):
        require("no_such_package", purpose="an export")


def test_a_missing_parent_of_a_dotted_name_counts_as_missing() -> None:
    assert not is_installed("no_such_package.part")
    assert is_installed("json.decoder")


def test_a_check_does_not_import_the_package() -> None:
    sys.modules.pop("wave", None)
    require("wave", purpose="a test")
    assert "wave" not in sys.modules


def test_the_install_command_uses_the_name_on_the_package_index() -> None:
    assert install_command("langchain_anthropic") == "pip install langchain-anthropic"


@pytest.mark.parametrize(
    ("installed_from", "command"),
    [
        ({"url": "file:///usr/bin", "dir_info": {"editable": True}}, "pip install -e '/usr/bin[mcp]'"),
        ({"url": "file:///usr/bin", "dir_info": {}}, "pip install '/usr/bin[mcp]'"),
        ({"url": "file:///usr/b%69n/env", "archive_info": {}}, "pip install '/usr/bin/env[mcp]'"),
        ({"url": "file:///no/such/folder", "dir_info": {}}, "pip install 'tunesmith[mcp]'"),
        ({"url": "https://example.org/tunesmith.whl"}, "pip install 'tunesmith[mcp]'"),
        (None, "pip install 'tunesmith[mcp]'"),
    ],
)
def test_an_extra_is_installed_from_where_tunesmith_was(
    installed_from: object, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return json.dumps(installed_from) if installed_from and name == "direct_url.json" else None

    monkeypatch.setattr(optional_packages, "distribution", lambda name: Installed())
    assert install_command("mcp", "mcp") == command
