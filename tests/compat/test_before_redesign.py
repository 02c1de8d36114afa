"""Artifacts of the commit before the redesign open, resume and serve; see fixtures/README.md."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.compat.operations import FIXTURE, OPERATIONS, copy
from vujax import cli

RECORDED = json.loads((FIXTURE / "recorded.json").read_text("utf-8"))
WEIGHTS = {
    "search_text": ("minilm",),
    "search_similar": ("minilm",),
    "scenes": ("efficientnet-lite0",),
    "scenes_by_release": ("efficientnet-lite0",),
}
"""Downloaded weights that an operation needs."""
TOLERANCE = {"resume": 1e-6}
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def assert_equal(found: Any, recorded: Any, tolerance: float, path: str) -> None:
    """Compare floats, and decimal numbers within texts, within a tolerance, all else exactly."""
    assert type(found) is type(recorded), f"{path}: {found!r} is not {recorded!r}"
    if isinstance(recorded, dict):
        assert found.keys() == recorded.keys(), path
        for key in recorded:
            assert_equal(found[key], recorded[key], tolerance, f"{path}.{key}")
    elif isinstance(recorded, list):
        assert len(found) == len(recorded), path
        for place, values in enumerate(zip(found, recorded, strict=True)):
            assert_equal(*values, tolerance, f"{path}[{place}]")
    elif isinstance(recorded, float):
        assert found == pytest.approx(recorded, rel=tolerance, abs=tolerance), path
    elif isinstance(recorded, str):
        assert NUMBER.sub("#", found) == NUMBER.sub("#", recorded), path
        numbers = [list(map(float, NUMBER.findall(text))) for text in (found, recorded)]
        assert numbers[0] == pytest.approx(numbers[1], rel=tolerance, abs=tolerance), path
    else:
        assert found == recorded, path


@pytest.fixture(scope="module")
def downloaded() -> dict[str, bool]:
    """Return which weights are in the cache, or could be fetched into it."""
    names = {name for needed in WEIGHTS.values() for name in needed}
    return {name: cli.main(["weights", "get", name]) == 0 for name in sorted(names)}


def test_every_operation_is_recorded() -> None:
    assert RECORDED.keys() == OPERATIONS.keys()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.multiprocess if name == "resume" else ())
        for name in OPERATIONS
    ],
)
def test_results_are_those_of_the_commit_that_made_the_artifacts(
    name: str, downloaded: dict[str, bool], tmp_path: Path
) -> None:
    for weights in WEIGHTS.get(name, ()):
        if not downloaded[weights]:
            pytest.skip(f"the weights {weights} could not be fetched")
    found = json.loads(json.dumps(OPERATIONS[name](copy(tmp_path))))
    assert_equal(found, RECORDED[name], TOLERANCE.get(name, 1e-5), name)


def test_artifacts_are_small_and_name_no_machine() -> None:
    sizes = {path: path.stat().st_size for path in FIXTURE.rglob("*") if path.is_file()}
    assert max(sizes.values()) < 500_000 and sum(sizes.values()) < 1_500_000
    for path in sizes:
        text = path.read_bytes().replace(b"orbax-checkpoint-tmp/", b"")
        assert not re.search(rb"/(?:home|root|tmp|work|Users)/", text), path
