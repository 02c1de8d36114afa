"""Where compiled programs are kept, and when they are not."""

import os
from pathlib import Path

import pytest

from vujax.commands.compiled import VARIABLE, keep_compiled


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No folder is set, and none stays set after the test."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    return monkeypatch


def test_in_the_users_cache(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    unset.setenv("VUJAX_CACHE", str(tmp_path))
    keep_compiled()
    folder = Path(os.environ[VARIABLE])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "compiled"
    keep_compiled()
    assert Path(os.environ[VARIABLE]) == folder


def test_a_folder_that_is_set_stays(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    unset.setenv("VUJAX_CACHE", str(tmp_path))
    unset.setenv(VARIABLE, "elsewhere")
    keep_compiled()
    assert os.environ[VARIABLE] == "elsewhere"
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_kept(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    unset.setenv("VUJAX_CACHE", str(tmp_path / "file"))
    keep_compiled()
    assert VARIABLE not in os.environ
