"""Modules and objects that explanation, reference, project and results pages name exist."""

import importlib
import re
from pathlib import Path

import pytest

from tests.configs import ROOT

FOLDERS = ("explanation", "reference", "project", "results")
PAGES = [path for name in FOLDERS for path in sorted((ROOT / "docs" / name).glob("*.md"))]
NAME = re.compile(r"`(vujax(?:\.[A-Za-z_]\w*){2,})")
"""Within a room; the public API has its own test."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_named_objects_exist(path: Path) -> None:
    for name in dict.fromkeys(NAME.findall(path.read_text())):
        find(name)


def find(name: str) -> object:
    """Return the object of a dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return found
    raise ModuleNotFoundError(name)
