"""One browser and one catalog for the tests of the labeling page."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.annotate.app.browser import Browser, chromium
from tests.annotate.app.large_catalog import large_catalog


@pytest.fixture(scope="package")
def start() -> Iterator[Callable[[], Browser]]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def browser(start: Callable[[], Browser]) -> Browser:
    return start()


@pytest.fixture(scope="package")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return large_catalog(tmp_path_factory.mktemp("browser") / "colors", films=8, shots=100)


@pytest.fixture
def root(colors: Path) -> Path:
    for name in ("labels", "exports"):
        shutil.rmtree(colors / name, ignore_errors=True)
    return colors
