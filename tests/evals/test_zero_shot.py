"""Zero-shot classification: ranks by hand, prompts, competing classes, baselines."""

import chex
import numpy as np
import pytest

from tests.evals.fakes import Memory, Oracle, knowing, unit_rows
from vujax.evals import reader
from vujax.evals.zero_shot import ZeroShot, average_prompts, compute_accuracies, rank_classes

NAMES = ("cat", "dog", "red_fox", "cow", "hen", "owl", "bee")
WORDINGS = ("a photo of a {}.", "{}")
KNOWN = knowing({w.format(n.replace("_", " ")): i for i, n in enumerate(NAMES) for w in WORDINGS})


def test_ensemble_is_the_mean_of_unit_vectors_renormalised():
    rows = np.array([[3.0, 0], [0, 1], [0, 2], [0, 5]])
    chex.assert_trees_all_close(average_prompts(rows, 2), np.array([[0.5**0.5, 0.5**0.5], [0, 1]]))
    np.testing.assert_array_equal(average_prompts(np.zeros((2, 3)), 1), np.zeros((1, 3)))


def test_accuracies_equal_a_dense_argmax(mesh1, mesh8):
    rng = np.random.default_rng(0)
    images, classes, labels = unit_rows(rng, 101, 5), unit_rows(rng, 9, 5), rng.integers(0, 9, 101)
    order = np.argsort(-(images @ classes.T), axis=1)
    top1, top5 = order[:, 0] == labels, (order[:, :5] == labels[:, None]).any(1)
    expected = {
        "top1": top1.mean(),
        "top5": top5.mean(),
        "mean_class": np.mean([top1[labels == c].mean() for c in range(9)]),
    }
    for mesh in (mesh1, mesh8):
        found = compute_accuracies(rank_classes(images, classes, labels, mesh=mesh), labels)
        chex.assert_trees_all_close(found, expected)


@pytest.mark.parametrize("batch_size", [4, 256])
def test_evaluator_end_to_end(mesh1, mesh8, batch_size):
    labels = [0, 1, 2, 3, 4, 5, 6, 6, 6]
    for mesh in (mesh1, mesh8):
        source = Memory(labels, classes=NAMES)
        evaluator = ZeroShot(
            Oracle(7), mesh, source=source, templates=WORDINGS, batch_size=batch_size
        )
        scores = evaluator(KNOWN)
        assert scores == {
            "top1": 1.0,
            "top5": 1.0,
            "mean_class": 1.0,
            "classes": 7,
            "examples": 9,
        }
        assert evaluator.baselines["constant"]["top1"] == pytest.approx(3 / 9)


def test_classes_that_the_model_confuses(mesh8):
    known = knowing({"cat": 0, "dog": 1, "red fox": 0})  # a fox looks like a cat
    source = Memory([0, 0, 1, 2], classes=NAMES[:3])
    evaluator = ZeroShot(Oracle(3), mesh8, source=source, templates="name")
    scores = evaluator(known)
    # Cat and fox tie for the cats; nothing looks like the fox, so all tie.
    np.testing.assert_allclose(evaluator.hits, [1 / 2, 1 / 2, 1, 1 / 3])
    assert scores["top1"] == pytest.approx(7 / 3 / 4)
    assert scores["mean_class"] == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)


def test_a_model_that_knows_nothing_scores_chance(mesh8):
    evaluator = ZeroShot(Oracle(7), mesh8, source=Memory(range(7), classes=NAMES))
    scores = evaluator(knowing({}))
    assert {k: scores[k] for k in ("top1", "top5")} == pytest.approx({"top1": 1 / 7, "top5": 5 / 7})
    assert scores["top1"] == pytest.approx(evaluator.baselines["chance"]["top1"])


def test_only_present_classes_compete(mesh1):
    known = knowing({"cat": 0, "dog": 1, "red fox": 0})
    source = Memory([0, 1, 0], classes=NAMES[:3])
    scores = [
        ZeroShot(Oracle(3), mesh1, source=source, templates="name", only_present=present)(known)
        for present in (True, False)
    ]
    assert [s["classes"] for s in scores] == [2, 3]
    assert [s["top1"] for s in scores] == pytest.approx([1.0, (0.5 + 1 + 0.5) / 3])


def test_names_may_be_given(mesh1):
    source = Memory([0, 1])
    with pytest.raises(ValueError, match="label 1 but 0 class names"):
        ZeroShot(Oracle(2), mesh1, source=source)(KNOWN)
    given = ZeroShot(Oracle(2), mesh1, source=source, classes=["cat", "dog"], templates="name")
    assert given(knowing({"cat": 0, "dog": 1}))["top1"] == 1.0


def test_unlabelled_examples_are_named(mesh1):
    with pytest.raises(ValueError, match=r"1 examples .* number 2, key 'r2'"):
        ZeroShot(Oracle(2), mesh1, source=Memory([0, 1, None], classes=NAMES))(KNOWN)


def test_an_empty_source(mesh1):
    with pytest.raises(ValueError, match="source is empty"):
        ZeroShot(Oracle(2), mesh1, source=Memory([], classes=NAMES))(KNOWN)


def test_histogram_row(mesh8):
    train = Memory([0, 1, 2] * 12, classes=NAMES[:3])
    source = Memory([0, 1, 2, 2], classes=NAMES[:3])
    evaluator = ZeroShot(Oracle(3), mesh8, source=source, histogram=train)
    evaluator(knowing({}))
    assert evaluator.baselines["histogram"]["top1"] == 1.0


class Counting(Memory):
    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("kept", [0, 2**27])
def test_small_sources_are_decoded_once(mesh1, monkeypatch, kept):
    monkeypatch.setattr(reader, "MAX_CACHED_BYTES", kept)
    source = Counting([0, 1, 2], classes=NAMES[:3])
    evaluator = ZeroShot(Oracle(3), mesh1, source=source, templates="name")
    assert evaluator(KNOWN) == evaluator(KNOWN)
    assert source.reads == (3 if kept else 6)
