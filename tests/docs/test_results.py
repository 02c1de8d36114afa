"""Pages of results: their parts, the files that they name, and copies of the experiments' plots."""

import re
from pathlib import Path

import pytest

from tests.configs import ROOT

PAGES = ROOT / "docs" / "results"
CLAIMS = [path for path in sorted(PAGES.glob("*.md")) if path.stem not in ("index", "limits")]
PLOTS = sorted((ROOT / "docs" / "assets" / "results").glob("*.svg"))
RESULTS = ROOT / "experiments" / "results"


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_claims_have_a_question_a_command_and_what_they_do_not_show(path: Path) -> None:
    text = path.read_text()
    assert "**Question.**" in text
    assert re.search(r"```sh\n|`(python|pytest) ", text)
    assert "\n## What it does not show\n" in text
    assert f"]({path.name})" in (PAGES / "index.md").read_text()


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_named_tables_exist(path: Path) -> None:
    for name in re.findall(r"`(experiments/[\w/.-]+)`", path.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_plots_are_those_of_the_experiments(path: Path) -> None:
    originals = {
        f"{'-'.join((found.parent.name, found.stem)).replace('_', '-')}": found
        for found in RESULTS.rglob("*.svg")
    }
    original = originals.get(path.stem) or originals[f"{path.stem}-plot"]
    assert path.read_bytes() == original.read_bytes(), f"copy {original} again"
    shown = "\n".join(page.read_text() for page in PAGES.glob("*.md"))
    assert f"../assets/results/{path.name}" in shown
