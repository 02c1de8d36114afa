"""The pinned versions of tools/constraints cover every extra of setup.cfg, on both Pythons."""

import configparser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
WITHOUT = {
    "3.11": set(),
    "3.12": {"parity"},  # torch's CPU build is pinned for 3.11 only; tests skip with that reason
}
"""Extras without pins of their own."""


def requirements() -> dict[str, list[Requirement]]:
    """Return the requirements of the package ('') and of each extra."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    texts = {"": settings["options"]["install_requires"]} | dict(
        settings["options.extras_require"].items()
    )
    return {
        extra: [Requirement(line) for line in text.splitlines() if line.strip()]
        for extra, text in texts.items()
    }


def pins(python: str) -> dict[str, str]:
    """Return the pinned version of each package."""
    lines = (ROOT / "tools" / "constraints" / f"python{python}.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    names = [canonicalize_name(name) for name, _ in pairs]
    assert len(set(names)) == len(names), "a package is pinned twice"
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("python", WITHOUT)
def test_every_requirement_has_a_pin_in_its_range(python: str) -> None:
    pinned = pins(python)
    for extra, needed in requirements().items():
        if extra in WITHOUT[python]:
            continue
        for requirement in needed:
            name = canonicalize_name(requirement.name)
            assert name in pinned, f"{name} of [{extra}] has no pin for Python {python}"
            assert requirement.specifier.contains(pinned[name]), (extra, name, pinned[name])


def test_exceptions_are_extras() -> None:
    assert set().union(*WITHOUT.values()) <= requirements().keys()
