"""Paired differences of runs from their controls."""

import numpy as np
import pytest

from vujax.evals.metrics.boundaries import FilmScores, compute_interval
from vujax.training.sweep.tables import build_paired_rows

SECONDS = np.stack([np.arange(11.0), np.arange(1.0, 12.0)], axis=1)


def runs_of(seeds: int, quality: float) -> list[list[FilmScores]]:
    """Build scores of four films, better than random by `quality`."""
    draw = np.random.default_rng(0)
    truth = [draw.permutation(10) < 3 for _ in range(4)]
    return [
        [
            FilmScores(f"film{i}", draw.random(10) + quality * starts, starts, None, SECONDS)
            for i, starts in enumerate(truth)
        ]
        for _ in range(seeds)
    ]


def test_each_run_is_compared_with_the_controls_before_it():
    runs = {
        "raw": runs_of(1, 0.0),
        "plain": runs_of(3, 0.2),
        "ours": runs_of(3, 0.6),
    }
    rows = build_paired_rows(runs, ("raw", "elsewhere", "plain"), column="vectors")
    assert [row["vectors"] for row in rows] == list(runs)
    less = [[key for key in row if key.startswith("less")] for row in rows]
    raw = ["less raw", "less raw low", "less raw high"]
    assert less == [[], raw, [*raw, "less plain", "less plain low", "less plain high"]]
    expected = compute_interval(runs["ours"], "ap", against=runs["plain"])
    ours = rows[2]
    assert (ours["less plain"], ours["less plain low"], ours["less plain high"]) == expected[:3]
    assert ours["better than plain"] == expected.signs and ours["n"] == expected.films
    assert ours["less plain"] == pytest.approx(ours["macro/ap"] - rows[1]["macro/ap"])
    own = compute_interval(runs["ours"], "ap")
    assert (ours["macro/ap"], ours["low"], ours["high"]) == own[:3]


def test_a_control_of_one_run_stands_beside_every_seed():
    runs = {"raw": runs_of(1, 0.0), "ours": runs_of(2, 0.6)}
    row = build_paired_rows(runs, ("raw",))[1]
    beside = compute_interval(runs["ours"], "ap", against=[*runs["raw"], *runs["raw"]])
    assert row["less raw"] == beside[0] and row["run"] == "ours"
