"""A catalogue that tests may change."""

import shutil
from pathlib import Path

import pytest

from tests.search.fakes import catalogue


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return catalogue(tmp_path_factory.mktemp("search"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))
