"""Growth of PSD's gain with data, and its height above the line of CLIP's models under shift."""

import math
import runpy
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.configs import ROOT

SCALING = runpy.run_path(str(ROOT / "experiments" / "psd_features_scaling.py"))
SHIFT = runpy.run_path(str(ROOT / "experiments" / "psd_features_shift.py"))
CONTROL = SCALING["CONTROL"]


def make_runs(**recalls):
    """Return runs by method from `{method: recall of each seed}`, in percent."""
    names = {"clip": CONTROL, "psd": "PSD", "oracle": "oracle filter"}
    return {
        names[name]: [{"seed": i, "recall": value / 100} for i, value in enumerate(values)]
        for name, values in recalls.items()
    }


def test_every_method_has_as_many_tries_and_both_series_share_a_setting():
    assert {len(tries) for tries in SCALING["TRIES"].values()} == {6}
    points = SCALING["points"]()
    assert [p["epochs"] for p in points if p["size"] == 3000] == [12, 36, 108]
    assert sorted(p["size"] for p in points if p["epochs"] == 36) == [1000, 3000, 10_000, 30_000]


def test_the_best_try_is_chosen_and_a_missing_one_is_named():
    point, tries = dict(size=1000, epochs=36), SCALING["TRIES"]["PSD"]
    lines = [
        dict(**point, method="PSD", numbers=numbers, recall=-abs(place - 4))
        for place, numbers in enumerate(tries)
    ]
    other = [dict(line, size=3000, recall=1.0) for line in lines[:1]]
    assert SCALING["choose"](point, "PSD", other + lines) == tries[4]
    with pytest.raises(ValueError, match="PSD has not been tuned at"):
        SCALING["choose"](point, "PSD", other + lines[1:])


def test_growth_is_the_slope_per_tenfold_over_seeds_that_all_have():
    groups = {
        100: make_runs(clip=[10, 11, 5], psd=[11, 13, 9], oracle=[14, 15, 9]),
        1000: make_runs(clip=[20, 21], psd=[24, 24], oracle=[24, 25]),
    }
    found = SCALING["compute_growth"](groups)
    assert found.n == 2 and found.mean == pytest.approx((3 + 1) / 2)
    relative = SCALING["compute_growth"](groups, relative=True)
    assert relative.mean == pytest.approx(((100 - 25) + (75 - 50)) / 2)


def test_each_concept_is_held_out_once_in_all_styles():
    names = [f"name {i}" for i in range(200)]
    held = np.array([SHIFT["find_held_out"](names, seed) for seed in SHIFT["SEEDS"]])
    assert (held.sum(axis=0) == 1).all() and held.sum(axis=1).min() > 20
    assert (SHIFT["find_held_out"](names[::-1], 3)[::-1] == held[3]).all()


def test_models_on_the_line_have_no_height_and_others_have_points():
    x = np.linspace(-2, 0, 5)
    places = np.stack([x, 0.5 * x - 1], axis=1)
    line, fit = SHIFT["fit_line"](places)
    assert line == pytest.approx((0.5, -1.0)) and fit == pytest.approx(1.0)
    np.testing.assert_allclose(SHIFT["compute_heights"](places, line), 0, atol=1e-9)
    above = SHIFT["compute_heights"](np.array([[0.0, 0.0]]), line)
    assert above[0] == pytest.approx(100 * (0.5 - 1 / (1 + math.e)))


def test_an_accuracy_of_zero_has_a_logit():
    assert SHIFT["to_logit"](0.0, 50) == pytest.approx(math.log(0.01 / 0.99))
    assert SHIFT["to_logit"](0.5, 50) == 0.0


def make_shift_runs():
    runs = []
    for seed in SHIFT["SEEDS"]:
        for size in (512, 1254):
            for rate in (0.0, 0.1, 0.3):
                base = 0.1 + 0.1 * rate + size / 10_000
                numbers = dict(dropout=rate)
                runs.append(make_shift_run(CONTROL, seed, size, base, 0.0, numbers))
            base = 0.1 + 0.01 + size / 10_000
            for method in SHIFT["OTHERS"]:
                runs.append(make_shift_run(method, seed, size, base + 0.02, 0.05, {}))
    return runs


def test_the_shift_table_compares_models_of_equal_size_and_epochs():
    row = SHIFT["summarize"](make_shift_runs(), "recall")[0]
    assert row["models"] == "PSD" and row["in, minus CLIP"].startswith("2.0")
    assert row["shifted, minus CLIP"].startswith("7.0")
    assert row["effective robustness"].startswith("5.0")
    assert row["R^2 of the lines"] == "1.00 to 1.00"


def test_the_plot_has_every_model_and_a_line_in_each_panel(tmp_path):
    runs = make_shift_runs()
    SHIFT["draw_plot"](tmp_path / "shift.svg", runs)
    tags = [
        element.tag.rpartition("}")[2]
        for element in ElementTree.parse(tmp_path / "shift.svg").iter()
    ]
    legend, panels = len(SHIFT["COLORS"]), len(SHIFT["METRICS"])
    assert tags.count("circle") == panels * len(runs) + legend and tags.count("path") == panels


def make_shift_run(method, seed, size, accuracy, above, numbers):
    run = dict(method=method, seed=seed, size=size, epochs=12, numbers=numbers, held=1000)
    for metric in SHIFT["METRICS"]:
        run |= {f"{metric} in": accuracy, f"{metric} shifted": accuracy + above}
    return run
