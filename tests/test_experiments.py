"""Every experiment's sweep fits the config that it overrides."""

import runpy

import pytest
from flax.traverse_util import flatten_dict

from tests.configs import ROOT, load

SCRIPTS = (ROOT / "experiments").glob("*.py")
EXPERIMENTS = sorted(path.stem for path in SCRIPTS if "def sweep(" in path.read_text())


def test_there_are_experiments():
    assert {"psd_fashion", "psd_transfer"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_point_of_a_sweep_is_a_valid_override(name: str, monkeypatch):
    monkeypatch.setenv("VUJAX_DATA", "nowhere")
    monkeypatch.chdir(ROOT)
    module = runpy.run_path(f"experiments/{name}.py")
    points = module["sweep"]()
    assert len({repr(point) for point in points}) == len(points) > 1
    control = module["CONTROL"].items()
    assert any(control <= point.items() for point in points)
    for point in points:
        config = module["get_config"]() if "get_config" in module else load("distill")
        assert set(point) <= set(flatten_dict(config.to_dict(), sep="."))
        config.update_from_flattened_dict(point)
    metrics = {metric.partition("/")[0] for metric in module["METRICS"]}
    assert metrics <= set(config.evals)


def test_real_data_needs_its_folder(monkeypatch):
    monkeypatch.delenv("VUJAX_DATA", raising=False)
    monkeypatch.chdir(ROOT)
    module = runpy.run_path("experiments/psd_fashion.py")
    with pytest.raises(ValueError, match="set VUJAX_DATA to the folder"):
        module["get_config"]()
