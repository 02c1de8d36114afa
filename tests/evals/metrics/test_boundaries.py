"""Boundary metrics against plain loops, by hand at the edges, and on BBC and RAI."""

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from vujax.data.films import frames_to_seconds
from vujax.data.registry import open_films
from vujax.evals.metrics import boundaries
from vujax.evals.metrics.boundaries import (
    FilmScores,
    compute_baselines,
    compute_interval,
    compute_mean_iou,
    compute_recall_at_3s,
    duration_scores,
    evaluate,
    match_within_seconds,
    random_scores,
    score_film,
    score_films,
)


def film(rng: np.random.Generator, name: str = "film", n: int | None = None) -> FilmScores:
    """Make a film of random shots, some gaps between them, at 30 frames a second."""
    n = n or int(rng.integers(2, 40))
    length, gap = rng.integers(2, 90, n), rng.integers(0, 4, n)
    first = np.cumsum(length + gap) - length
    frames = np.stack([first, first + length - 1], axis=1)
    starts = rng.random(n - 1) < 0.3
    scores = np.clip(0.4 * starts + rng.random(n - 1) * 0.7, 0, 1)
    return FilmScores(name, scores, starts, frames, frames_to_seconds(frames, 30.0), 30.0)


def hand(scores: list[float], starts: list[int], name: str = "film") -> FilmScores:
    """Make a film of shots of 24 frames, a second each."""
    frames = np.array([[24 * i, 24 * i + 23] for i in range(len(scores) + 1)])
    seconds = frames_to_seconds(frames, 24.0)
    return FilmScores(name, np.array(scores), np.array(starts, bool), frames, seconds, 24.0)


def plain_runs(borders: np.ndarray, keep_last: bool) -> list[list[int]]:
    runs, run = [], []
    for shot in range(len(borders) + 1):
        run.append(shot)
        if shot < len(borders) and borders[shot]:
            runs.append(run)
            run = []
    return [*runs, run] if keep_last else runs


def plain_iou(f: FilmScores, called: np.ndarray, compatible: bool) -> float:
    """Compute mIoU by sets of moments."""
    if compatible:
        moments = [set(range(a, b)) for a, b in f.frames]
        inside = [set(range(a, f.frames[k + 1, 0])) for k, (a, _) in enumerate(f.frames[:-1])]
    else:
        moments = [set(range(a, b + 1)) for a, b in f.frames]
        inside = [set(range(a, f.frames[k + 1, 0])) for k, (a, _) in enumerate(f.frames[:-1])]

    def scene(run: list[int]) -> set[int]:
        return set().union(*(inside[k] for k in run[:-1]), moments[run[-1]])

    true, found = (
        [scene(run) for run in plain_runs(b, not compatible)] for b in (f.starts, called)
    )
    if not true:
        return math.nan
    if not found:
        return 0.0
    best = [max(len(a & b) / max(1, len(a | b)) for b in found) for a in true]
    back = [max(len(a & b) / max(1, len(a | b)) for a in true) for b in found]
    return (np.mean(best) + np.mean(back)) / 2


def plain_recall(f: FilmScores, called: np.ndarray, compatible: bool) -> float:
    hits, total = 0, 0
    for i in range(len(f.starts)):
        if f.starts[i]:
            total += 1
            for j in range(max(0, i - 5), min(len(called), i + 6)):
                apart = abs(int(f.frames[i, 1]) - int(f.frames[j, 1])) / (24 if compatible else 30)
                if called[j] and apart < 3:
                    hits += 1
                    break
    return hits / total if total else math.nan


@pytest.mark.parametrize("rows", [1, 3, 256])
@pytest.mark.parametrize("mode", ["corrected", "compatible"])
def test_miou_and_recall_equal_plain_loops(
    mode: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundaries, "ROWS", rows)
    rng = np.random.default_rng(0)
    for _ in range(60):
        f = film(rng)
        called = f.scores > 0.6
        compatible = mode == "compatible"
        for ours, plain in ((compute_mean_iou, plain_iou), (compute_recall_at_3s, plain_recall)):
            expected = pytest.approx(plain(f, called, compatible), abs=1e-9, nan_ok=True)
            assert ours(f, called, mode) == expected


def test_the_two_modes_by_hand() -> None:
    f = hand([0.1, 0.9, 0.1, 0.1], [0, 1, 0, 0])
    assert score_film(f)["miou"] == 1 == score_film(f, mode="compatible")["compatible/miou"]
    late = hand([0.1, 0.1, 0.9, 0.1], [0, 1, 0, 0])
    # Scenes of 2 and 3 shots, found as 3 and 2: 2/3 both, each way.
    assert score_film(late)["miou"] == pytest.approx(2 / 3)
    # The first scenes alone: frames 0-47 and 0-71, as 47 / 71.
    compatible = score_film(late, mode="compatible")
    assert compatible["compatible/miou"] == pytest.approx(47 / 71)
    assert "miou" not in compatible and "recall@3s" not in compatible
    assert score_film(late)["recall@3s"] == 1 and score_film(late)["recall"] == 0


def test_near_is_less_than_three_seconds_and_at_most_five_shots() -> None:
    true, called = [1] + 6 * [0], np.zeros(7, bool)
    for shot, seconds, near in ((2, 1.0, 1), (3, 1.0, 0), (5, 0.5, 1), (6, 0.4, 0)):
        f = hand([0.0] * 7, true)
        f = f._replace(seconds=f.seconds * seconds)
        called[:] = np.arange(7) == shot
        assert compute_recall_at_3s(f, called, "corrected") == near, (shot, seconds)
    # 3 shots of 0.8 s are 72 frames: 3 s at the fixed rate of 24, 2.4 s at the film's own 30.
    f = hand([0.0] * 7, true)._replace(fps=30.0)
    f = f._replace(seconds=frames_to_seconds(f.frames, 30.0))
    called[:] = np.arange(7) == 3
    assert [compute_recall_at_3s(f, called, m) for m in ("corrected", "compatible")] == [1, 0]


def test_micro_pools_and_macro_averages() -> None:
    films = [hand([0.9, 0.1, 0.2], [1, 0, 0], "a"), hand([0.8, 0.7, 0.95], [0, 1, 0], "b")]
    found = evaluate(films)
    assert found["macro/ap"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["micro/ap"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["macro/f1"] == pytest.approx((1 + 2 / 4) / 2)
    assert found["micro/f1"] == pytest.approx(2 * 2 / (4 + 2))
    assert found["micro/true_rate"] == pytest.approx(2 / 6)
    assert found["micro/predicted_rate"] == pytest.approx(4 / 6)
    assert found["films"] == 2 and found["macro/films_without_positives"] == 0
    both = found | evaluate(films, mode="compatible")
    assert {"macro/miou", "macro/compatible/miou", "macro/compatible/recall@3s"} <= set(both)


def test_a_score_equal_to_the_threshold_is_no_prediction() -> None:
    f = hand([0.5, 0.9, 0.5], [1, 1, 0])
    found, other = score_film(f, threshold=0.5), score_film(f, threshold=0.9)
    assert (found["precision"], found["recall"], found["f1"]) == (1, 1 / 2, pytest.approx(2 / 3))
    above = score_film(f._replace(scores=np.array([0.1, 0.9, 0.1])), threshold=0.5)
    names = ("f1", "precision", "recall", "recall@3s", "miou")
    assert [found[name] for name in names] == [above[name] for name in names]
    assert [other[name] for name in names] == [0, 0, 0, 0, pytest.approx((1 / 3 + 1 / 2) / 2)]
    # Recall@3s and mIoU read the prediction too: beside a boundary far from the true one.
    late = hand([0.9, *[0.1] * 6, 0.5], [1, *[0] * 6, 1])
    assert score_film(late, threshold=0.5)["recall@3s"] == 1 / 2
    assert score_film(late, threshold=0.5)["miou"] < score_film(late, threshold=0.4)["miou"] == 1
    rates = evaluate([f], threshold=0.5)
    assert rates["micro/predicted_rate"] == pytest.approx(1 / 3)
    assert rates["micro/recall"] == 1 / 2


def test_a_film_without_a_true_boundary() -> None:
    good, none = hand([0.9, 0.1], [1, 0], "good"), hand([0.9, 0.1], [0, 0], "none")
    row = score_films([good, none])["none"]
    for metric in ("ap", "auc", "f1", "precision", "recall", "recall@3s"):
        assert math.isnan(row[metric]), metric
    assert row["miou"] == pytest.approx((2 / 3 + (2 / 3 + 1 / 3) / 2) / 2)
    found = evaluate([good, none])
    assert found["macro/films_without_positives"] == 1
    assert found["macro/ap"] == found["macro/f1"] == found["macro/precision"] == 1
    assert found["micro/ap"] == 0.5
    assert math.isnan(evaluate([none])["macro/ap"]) and math.isnan(evaluate([none])["micro/f1"])
    with pytest.raises(ValueError, match="no film has ap"):
        compute_interval([[none]], "ap")


def test_no_prediction() -> None:
    f = hand([0.1, 0.1, 0.1], [0, 1, 0])
    row = score_film(f) | score_film(f, mode="compatible")
    assert row["f1"] == row["precision"] == row["recall"] == row["recall@3s"] == 0
    assert row["compatible/miou"] == 0
    assert row["miou"] == 0.5  # one scene of 4 shots, and two of 2


def test_a_film_of_one_shot() -> None:
    one = hand([], [])
    assert score_film(one)["miou"] == 1 and math.isnan(score_film(one)["ap"])
    assert math.isnan(score_film(one, mode="compatible")["compatible/miou"])
    assert evaluate([one])["macro/films_without_positives"] == 1


def test_twenty_thousand_shots_take_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    f = film(rng, n=20_000)
    every = f._replace(scores=np.ones(19_999), starts=np.ones(19_999, bool))
    tracemalloc.start()
    try:
        found = [score_film(f), score_film(every), score_film(every, mode="compatible")]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[1]["miou"] == found[1]["recall@3s"] == found[2]["compatible/recall@3s"] == 1
    assert 0 < found[0]["miou"] < 1
    assert peak < 64 << 20


def test_bad_input() -> None:
    f = hand([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match="the score of film after shot 1 is NaN"):
        evaluate([f._replace(scores=np.array([0, np.nan]))])
    with pytest.raises(
        ValueError, match=r"film has \[3\] labels for 3 shots; it needs one for each"
    ):
        evaluate([f._replace(starts=np.zeros(3, bool))])
    with pytest.raises(ValueError, match=r"film has \[1\] scores for 3 shots"):
        evaluate([f._replace(scores=np.zeros(1))])
    with pytest.raises(ValueError, match="film has no frame numbers; the compatible mode"):
        evaluate([f._replace(frames=None)], mode="compatible")
    with pytest.raises(ValueError, match="unknown mode 'other'"):
        score_film(f, mode="other")
    with pytest.raises(ValueError, match="a film is scored twice"):
        evaluate([f, f])
    with pytest.raises(ValueError, match="no film to score"):
        evaluate([])
    with pytest.raises(ValueError, match="different films, such as b"):
        compute_interval([[f]], "ap", against=[[f._replace(film="b")]])
    assert evaluate([f._replace(frames=None)])["macro/miou"] > 0


def test_intervals_over_films() -> None:
    rng = np.random.default_rng(1)
    ours = [film(rng, f"f{k}", 30) for k in range(12)]
    theirs = [f._replace(scores=rng.random(29)) for f in ours]
    theirs[0] = ours[0]
    aps = np.array([[evaluate([f])["macro/ap"] for f in films] for films in (ours, theirs)])
    found = compute_interval([ours], "ap")
    expected = scipy.stats.t.interval(0.95, 11, aps[0].mean(), scipy.stats.sem(aps[0]))
    assert found[:3] == pytest.approx((aps[0].mean(), *expected))
    assert (found.films, found.positive, found.signs) == (12, 12, "12 of 12")
    apart = compute_interval([ours] * 2, "ap", against=[theirs[::-1]] * 2)
    less = aps[0] - aps[1]
    expected = scipy.stats.t.interval(0.95, 11, less.mean(), scipy.stats.sem(less))
    assert apart[:3] == pytest.approx((less.mean(), *expected)) and apart.low > 0
    assert apart.positive == (less > 0).sum() == 11
    itself = compute_interval([ours], "ap", against=[ours[::-1]])
    assert itself == (0, 0, 0, 12, 0)  # film by film, in whatever order
    none = ours[0]._replace(film="none", starts=np.zeros(29, bool))
    assert compute_interval([[*ours, none]], "ap") == found
    assert compute_interval([ours[:1]], "ap").high == np.inf
    with pytest.raises(ValueError, match="2 runs need as many others, got 1"):
        compute_interval([ours] * 2, "ap", against=[theirs])


def test_a_film_is_the_mean_of_its_seeds() -> None:
    rng = np.random.default_rng(2)
    films = [film(rng, f"f{k}", 30) for k in range(4)]
    runs = [[f._replace(scores=rng.random(29)) for f in films] for _ in range(3)]
    aps = np.mean([[evaluate([f])["macro/ap"] for f in run] for run in runs], axis=0)
    found = compute_interval(runs, "ap", level=0.8)
    expected = scipy.stats.t.interval(0.8, 3, aps.mean(), scipy.stats.sem(aps))
    assert found[:3] == pytest.approx((aps.mean(), *expected))


def test_baselines_see_no_picture() -> None:
    seconds = np.array([[0, 2], [2, 3], [4, 9]], float)
    assert duration_scores(seconds).tolist() == [3, 6]
    assert duration_scores(seconds, "before").tolist() == [2, 1]
    assert duration_scores(seconds, "after").tolist() == [1, 5]
    with pytest.raises(ValueError, match="unknown kind of durations 'x'"):
        duration_scores(seconds, "x")
    assert (random_scores("a", 3) == random_scores("a", 3)).all()
    assert (random_scores("a", 3) != random_scores("b", 3)).any()
    found = compute_baselines(
        [
            hand([0.0] * 4, [0, 1, 0, 0])._replace(
                seconds=np.array([[0, 1], [1, 2], [2, 9], [9, 10], [10, 11]], float)
            )
        ]
    )
    assert found["duration after"] == dict.fromkeys(found["random"], 1.0)
    assert set(found) == {"random", "duration before", "duration after", "duration sum"}


def test_boundaries_within_seconds() -> None:
    assert match_within_seconds([10.0, 50.0], [12.0, 80.0, 90.0], 2.0) == (
        0.5,
        pytest.approx(1 / 3),
    )
    assert match_within_seconds([9.0, 10.0, 11.0], [10.0], 2.0) == (pytest.approx(1 / 3), 1.0)
    assert match_within_seconds([10.0, 12.0], [8.5, 10.5], 2.0) == (1.0, 1.0)
    assert match_within_seconds([], [1.0], 2.0) == (1.0, 0.0) and match_within_seconds(
        [], [], 2.0
    ) == (1, 1)


def gap_scores(vectors: np.ndarray, reach: int = 4) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    return np.array(
        [1 - cosines[max(0, i - reach) : i, i : i + reach].max() for i in range(1, len(vectors))]
    )


@pytest.mark.real_data
@pytest.mark.parametrize("pattern, gap, chance", [("bbc_*", 0.338, 0.127), ("rai_*", 0.426, 0.200)])
def test_raw_features_and_chance(data_root: Path, pattern: str, gap: float, chance: float) -> None:
    films = open_films("features", path=str(data_root / "boundaries"), pattern=pattern)
    runs = [
        FilmScores(f.film, gap_scores(f.vectors.astype(np.float32)), f.starts, f.frames, f.seconds)
        for f in films
    ]
    assert evaluate(runs)["macro/ap"] == pytest.approx(gap, abs=1e-3)
    at_random = [
        evaluate([r._replace(scores=random_scores(r.film, len(r.starts), s)) for r in runs])
        for s in range(20)
    ]
    assert np.mean([r["macro/ap"] for r in at_random]) == pytest.approx(chance, abs=5e-3)
    beside = compute_baselines(runs)
    assert beside["random"]["macro/ap"] < beside["duration sum"]["macro/ap"] < gap
