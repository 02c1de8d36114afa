"""The page of dependencies names every package and every extra of setup.cfg."""

import configparser
import re

from tests.configs import ROOT

PAGE = (ROOT / "docs" / "project" / "dependencies.md").read_text()


def test_every_requirement_has_a_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = dict(setup["options.extras_require"])
    required = [setup["options"]["install_requires"], *extras.values()]
    lines = [line.strip() for text in required for line in text.splitlines()]
    named = {re.split(r"[<>=\[;]", line)[0] for line in lines if line and not line.startswith("#")}
    assert not {package for package in named if package not in PAGE}
    assert not {extra for extra in extras if f"`[{extra}]`" not in PAGE}
