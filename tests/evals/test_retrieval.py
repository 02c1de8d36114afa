"""Retrieval: ranks and recalls by loops, duplicates, baselines and examples."""

import itertools

import chex
import numpy as np
import pytest

from tests.evals.fakes import SIZE, STEP, Memory, Oracle, knowing, unit_rows
from vujax.data.captions import normalize_caption
from vujax.evals.metrics.ranking import TIE
from vujax.evals.retrieval import (
    Retrieval,
    compute_recalls,
    group_captions,
    rank_both_directions,
    rank_oracle,
)

CAPTIONS = [
    ["a red cup", "A  Red CUP", "cup"],
    ["a blue cup"],
    ["cup", "tea"],
    ["a red cup"],
    ["tea"],
]


def by_hand(images, texts, captions):
    """Recall at 1 and expected rank of every direction from whole, loop-made matrices."""
    rows = [(i, text) for i, own in enumerate(captions) for text in own]
    scores = np.array([[image @ texts[t] for _, t in rows] for image in images])
    equal = np.array([[t in captions[i] for _, t in rows] for i in range(len(images))])
    own = np.array([[i == owner for owner, _ in rows] for i in range(len(images))])
    return {
        "image_to_text": _expected(scores, equal),
        "text_to_image": _expected(scores.T, equal.T),
        "image_to_text/exact": _expected(scores, own),
        "text_to_image/exact": _expected(scores.T, own.T),
    }


def _expected(scores, right):
    result = []
    for row, good in zip(scores, right, strict=True):
        best = row[good].max()
        above = (row[~good] > best + TIE).sum()
        b, p = (abs(row[~good] - best) <= TIE).sum(), (abs(row[good] - best) <= TIE).sum()
        result.append((above == 0) * p / (b + p))
    return np.mean(result)


def test_normalise():
    assert (
        normalize_caption("  Caf\u0065\u0301\tÉTÉ ") == normalize_caption("café été") == "café été"
    )
    assert normalize_caption("a cup") != normalize_caption("a cup.")


def test_group():
    found = group_captions(CAPTIONS)
    assert found.texts == ["a red cup", "cup", "a blue cup", "tea"]
    np.testing.assert_array_equal(
        found.of_image, [[0, 0, 1], [2, -1, -1], [1, 3, -1], [0, -1, -1], [3, -1, -1]]
    )
    np.testing.assert_array_equal(found.rows, [0, 0, 1, 2, 1, 3, 0, 3])
    np.testing.assert_array_equal(found.owner, [0, 0, 0, 1, 2, 2, 3, 4])
    np.testing.assert_array_equal(found.copies, [3, 2, 1, 2])


def random_problem(n=60, words=25, d=8, seed=0):
    rng = np.random.default_rng(seed)
    captions = [[f"c{w}" for w in rng.integers(0, words, rng.integers(1, 4))] for _ in range(n)]
    grouped = group_captions(captions)
    return unit_rows(rng, n, d), unit_rows(rng, len(grouped.texts), d), grouped


def test_recall_equals_whole_matrices_for_any_devices(mesh1, mesh8):
    images, texts, grouped = random_problem()
    captions = [
        [int(t) for t, o in zip(grouped.rows, grouped.owner, strict=True) if o == i]
        for i in range(60)
    ]
    expected = by_hand(images, texts, captions)
    for mesh in (mesh1, mesh8):
        ranks = rank_both_directions(images, texts, grouped, mesh=mesh)
        for name, value in expected.items():
            assert ranks[name].hits_at(1).mean() == pytest.approx(value)


def test_duplicates_count_and_exact_pairs_do_not(mesh1):
    captions = group_captions([["same"], ["same"], ["other"]])
    eye = np.eye(2, dtype=np.float32)
    images, texts = eye[[0, 0, 1]], eye
    found = compute_recalls(rank_both_directions(images, texts, captions, mesh=mesh1))
    for direction in ("image_to_text", "text_to_image"):
        assert found[f"{direction}/R@1"] == 1.0
        assert found[f"{direction}/exact/R@1"] == pytest.approx(2 / 3)  # 1/2, 1/2 and 1
        assert found[f"{direction}/exact/R@5"] == 1.0


def test_the_ceiling_is_what_an_oracle_of_captions_scores(mesh8):
    grouped = group_captions(CAPTIONS)
    members = (grouped.of_image[:, :, None] == np.arange(4)).any(1).astype(np.float32)
    # Not unit vectors, so that a picture of several captions scores 1 with each of them.
    ranks = rank_both_directions(members, np.eye(4, dtype=np.float32), grouped, mesh=mesh8)
    chex.assert_trees_all_equal(rank_oracle(grouped), ranks)
    scores = compute_recalls(ranks)
    assert scores["mean_recall"] == 1.0
    assert scores["text_to_image/exact/R@1"] == pytest.approx((5 * 1 / 2 + 1 + 2 * 1 / 2) / 8)


def test_chance_by_simulation(mesh1):
    _, _, grouped = random_problem(n=20, words=9)
    rng = np.random.default_rng(0)
    ranks = rank_both_directions(*random_problem(n=20, words=9)[:2], grouped, mesh=mesh1)
    chance = compute_recalls({name: counts.random_baseline() for name, counts in ranks.items()})
    right = np.array([np.isin(grouped.rows, own) for own in grouped.of_image])
    hits = [
        np.take_along_axis(right, rng.random(right.shape).argsort(1)[:, :5], 1).any(1).mean()
        for _ in range(3000)
    ]
    assert chance["image_to_text/R@5"] == pytest.approx(np.mean(hits), abs=0.006)


def evaluator(mesh, **options):
    labels = [0, 1, 2, 3, 0]
    captions = [["black"], ["grey"], ["silver"], ["white", "pale"], ["Black "]]
    return Retrieval(Oracle(4), mesh, source=Memory(labels, captions), **options)


KNOWN = knowing({"black": 0, "grey": 1, "silver": 2, "white": 3, "pale": 3})


@pytest.mark.parametrize("batch_size", [4, 256])
def test_evaluator_end_to_end(mesh1, mesh8, batch_size):
    for mesh in (mesh1, mesh8):
        retrieval = evaluator(mesh, batch_size=batch_size)
        scores = retrieval(KNOWN)
        assert scores["mean_recall"] == 1.0
        assert scores["text_to_image/exact/R@1"] == pytest.approx((4 + 2 * 0.5) / 6)
        assert (scores["images"], scores["captions"]) == (5, 6)
        ceilings = retrieval.baselines["ceiling"]
        assert {k: scores[k] for k in ceilings} == pytest.approx(ceilings)
        chance = retrieval.baselines["chance"]["image_to_text/R@1"]
        assert chance == pytest.approx(np.mean([2, 1, 1, 2, 2]) / 6)
        assert retrieval.hits["text_to_image"].shape == (6,)


def test_examples_show_what_was_found(mesh8):
    retrieval = evaluator(mesh8)
    with pytest.raises(RuntimeError, match="call it on a model's variables first"):
        retrieval.examples(2)
    retrieval(KNOWN)
    shown = retrieval.examples(3, shown=2)
    assert [example.caption for example in shown] == ["black", "silver", "pale"]
    first = shown[0]
    assert first.images.shape == (2, SIZE, SIZE, 3)
    assert first.images.dtype == np.uint8
    np.testing.assert_array_equal(first.correct, [True, True])
    np.testing.assert_array_equal(shown[1].correct, [True, False])
    np.testing.assert_array_equal(shown[1].images[0], 2 * STEP)
    np.testing.assert_array_equal(first.scores, [1, 1])
    assert len(retrieval.examples(50)) == 5


def test_histogram_row(mesh8):
    train = Memory([0, 1, 2, 3] * 12, [["black"], ["grey"], ["silver"], ["white"]] * 12)
    retrieval = evaluator(mesh8, histogram=train)
    scores = retrieval(knowing({}))
    row = retrieval.baselines["histogram"]
    assert row["image_to_text/R@1"] == 1.0
    chance = retrieval.baselines["chance"]
    assert {k: scores[k] for k in chance} == pytest.approx(chance)


def test_all_directions_are_reported(mesh1):
    names = set(evaluator(mesh1)(KNOWN))
    every = itertools.product(
        ("image_to_text", "text_to_image", "image_to_text/exact", "text_to_image/exact"),
        ("R@1", "R@5", "R@10", "median_rank"),
    )
    assert names == {"/".join(pair) for pair in every} | {"mean_recall", "images", "captions"}


def test_a_picture_without_a_caption_is_named(mesh1):
    source = Memory([0, 1, None, 1], [["a"], ["b"], [" "], []])
    with pytest.raises(ValueError, match=r"2 of 4 have none or an empty one, the first 'r2'"):
        Retrieval(Oracle(2), mesh1, source=source)(KNOWN)
