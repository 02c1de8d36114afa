import json
import math
from pathlib import Path

import pytest

from vujax.training.sweep.plan import Plan, Run
from vujax.training.sweep.results import Result, compute_estimate, read_metrics, summarize


def results_of(*cells: tuple[dict, dict | str]) -> list[Result]:
    """Build results from (overrides, metrics or error)."""
    found = []
    for i, (overrides, outcome) in enumerate(cells):
        run = Run(f"run{i}", overrides, Path("out"))
        failed = isinstance(outcome, str)
        found.append(Result(run, {} if failed else outcome, outcome if failed else ""))
    return found


def summary_of(results: list[Result], metrics=None, control=None):
    return summarize(Plan("c.py", tuple(r.run for r in results), metrics, control), results)


def test_the_interval_is_students():
    # t(0.975, 2 degrees of freedom) = 4.302653, s = 1.
    assert compute_estimate([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 4.302653 / math.sqrt(3), 3), abs=1e-6
    )


def test_one_value_has_no_interval_and_none_no_estimate():
    assert compute_estimate([0.5]) == (0.5, None, 1)
    assert compute_estimate([]) is None


def test_groups_are_the_overrides_but_the_seed():
    summary = summary_of(
        results_of(
            ({"width": 1, "seed": 0}, {"r/r1": 0.1}),
            ({"width": 2, "seed": 0}, {"r/r1": 0.5}),
            ({"seed": 1, "width": 1}, {"r/r1": 0.3}),
            ({"width": 1, "seed": 2}, "ValueError: no"),
        )
    )
    assert summary.keys == ("width",)
    assert summary.metrics == ("r/r1",)
    assert [row.group.overrides for row in summary.rows] == [{"width": 1}, {"width": 2}]
    assert summary.rows[0].own[0][:1] == (0.2,)
    assert summary.rows[0].own[0].n == 2
    assert [r.error for r in summary.rows[0].group.failed] == ["ValueError: no"]
    assert summary.rows[1].own == ((0.5, None, 1),)
    assert summary.rows[0].difference == ()


def test_differences_pair_the_seeds_that_both_have():
    # Each seed has luck of its own, far larger than the difference.
    luck = {0: 0.0, 1: 10.0, 2: 20.0, 3: 99.0}
    results = results_of(
        *(({"t": "clip", "seed": s}, {"r/r1": luck[s]}) for s in (2, 1, 0)),
        *(({"t": "psd", "seed": s}, {"r/r1": luck[s] + 1 + s}) for s in (0, 1, 2, 3)),
    )
    clip, psd = summary_of(results, control={"t": "clip"}).rows
    assert clip.difference == (None,)
    assert psd.difference[0] == pytest.approx((2.0, 4.302653 / math.sqrt(3), 3), abs=1e-6)
    assert psd.own[0].half_width > 10


def test_a_control_serves_the_groups_that_share_its_other_overrides():
    results = results_of(
        ({"t": "clip", "noise": 0.0}, {"m": 1.0}),
        ({"t": "clip", "noise": 0.4}, {"m": 2.0}),
        ({"t": "ema", "decay": 0.9, "noise": 0.4}, {"m": 5.0}),
        ({"t": "ema", "noise": 0.7}, {"m": 5.0}),
    )
    differences = [row.difference[0] for row in summary_of(results, control={"t": "clip"}).rows]
    assert differences == [None, None, (3.0, None, 1), None]


def test_of_several_controls_the_one_that_shares_most_is_taken():
    results = results_of(
        ({"t": "clip"}, {"m": 1.0}),
        ({"t": "clip", "noise": 0.4}, {"m": 2.0}),
        ({"t": "psd", "noise": 0.4}, {"m": 5.0}),
    )
    assert summary_of(results, control={"t": "clip"}).rows[2].difference == ((3.0, None, 1),)


def test_a_metric_that_the_sweep_names_is_a_column_even_where_runs_lack_it():
    summary = summary_of(results_of(({}, {"a/x": 1.0, "a/y": 2.0})), metrics=("a/y", "b/z"))
    assert summary.metrics == ("a/y", "b/z")
    assert summary.rows[0].own == ((2.0, None, 1), None)


def test_metrics_are_those_of_the_last_step_of_each_evaluation(tmp_path):
    for name, step, value in [("r-2", 9, 0.1), ("r-2", 10, 0.2), ("z", 5, 0.3)]:
        text = json.dumps({"step": step, "name": name, "metrics": {"r1": value, "gone": None}})
        (tmp_path / f"{name}-{step}.json").write_text(text)
    assert read_metrics(tmp_path) == {"r-2/r1": 0.2, "z/r1": 0.3}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"metrics": {"r1": "high"}}'])
def test_a_damaged_evaluation_is_named(tmp_path, text):
    (tmp_path / "r-1.json").write_text(text)
    with pytest.raises(ValueError, match=r"r-1\.json is not an evaluation"):
        read_metrics(tmp_path)
