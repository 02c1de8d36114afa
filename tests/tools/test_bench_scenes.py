"""The tool that times `vujax scenes`, on small films and given times."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.video import clips


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script, which imports its neighbor."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    return importlib.import_module("bench_scenes")


def test_a_side_is_timed_against_the_films_length(bench: ModuleType, tmp_path: Path) -> None:
    film = clips.make(tmp_path / "a.mp4")
    result = bench.measure("decode", film)
    assert (result["side"], result["frames"]) == ("decode", 48)
    assert result["x_real_time"] == pytest.approx(2 / result["wall_s"])


def test_shares_of_the_wall_time(bench: ModuleType) -> None:
    run = dict(wall_s=100.0, x_real_time=6.0, shots_s=70.0, encoder_s=10.0, rest_s=5.0)
    found = bench.shares([run, run | dict(wall_s=900.0), run | dict(wall_s=1.0)], 60.0)
    expected = {"decode": 0.6, "shots without decode": 0.1, "encoder": 0.1, "rest": 0.05}
    expected |= {"start": 0.15, "after shots": 0.15, "not decode": 0.4}
    assert found == pytest.approx(expected | {"wall_s": 100.0, "x_real_time": 6.0})
    alone = bench.shares([run], 80.0)  # longer than within the command, when others disturb it
    assert (alone["decode"], alone["shots without decode"]) == (0.7, 0.0)
