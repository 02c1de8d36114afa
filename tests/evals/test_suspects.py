"""Log probabilities of pairs by loops, duplicates, chunks, and the report against truth."""

import numpy as np
import pytest

from vujax.evals import suspects
from vujax.evals.retrieval import group_captions
from vujax.evals.suspects import evaluate_suspects, score_pairs

CAPTIONS = [("a cup", "tea"), ("a  CUP",), ("a boat",), ("a dog",), ("A boat",)]


def unit_rows(rows: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def log_probability(own: float, others: list[float]) -> float:
    return own - np.log(np.exp([own, *others]).sum())


@pytest.mark.parametrize("tile", [2**22, 8])
def test_scores_by_loops(monkeypatch, tile):
    monkeypatch.setattr(suspects, "TILE_ELEMENTS", tile)
    captions = group_captions(CAPTIONS)
    images, texts = unit_rows(5, 0), unit_rows(4, 1)
    assert captions.texts == ["a cup", "tea", "a boat", "a dog"]
    logits = 5 * images @ texts.T
    found = score_pairs(images, texts, captions, 5.0)
    holds = np.zeros((5, 4), bool)
    holds[captions.owner, captions.rows] = True
    for place, (i, t) in enumerate(zip(captions.owner, captions.rows, strict=True)):
        others = [k for k in range(4) if not holds[i, k]]
        best = max(others, key=lambda k: logits[i, k])
        given_image = log_probability(logits[i, t], logits[i, others])
        given_text = log_probability(
            logits[i, t], [logits[k, t] for k in range(5) if not holds[k, t]]
        )
        np.testing.assert_allclose(found.image_to_text[place], given_image, rtol=1e-4)
        np.testing.assert_allclose(found.text_to_image[place], given_text, rtol=1e-4)
        assert found.best[place] == best
        np.testing.assert_allclose(
            found.best_log_probability[place] - found.image_to_text[place],
            logits[i, best] - logits[i, t],
            rtol=1e-3,
            atol=1e-4,
        )
    np.testing.assert_allclose(
        found.suspicion, -(found.image_to_text + found.text_to_image) / 2, rtol=1e-6
    )


def test_a_wrong_caption_is_the_most_suspicious():
    images, captions = np.eye(6, dtype=np.float32), group_captions([(str(i),) for i in range(6)])
    texts = images.copy()
    texts[[2, 4]] = texts[[4, 2]]  # both images have the other's caption
    found = score_pairs(images, texts, captions, 10.0)
    assert set(np.argsort(-found.suspicion)[:2]) == {2, 4}
    assert found.best[2] == 4 and found.best[4] == 2


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="all 3 images have the same caption"):
        score_pairs(np.eye(3), np.eye(3)[:1], group_captions([("a",), ("A",), (" a",)]), 1.0)
    images = np.eye(3)
    images[1, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN or infinity"):
        score_pairs(images, np.eye(3), group_captions([("a",), ("b",), ("c",)]), 1.0)


def test_the_report_against_truth():
    wrong = np.arange(400) < 100
    found = evaluate_suspects(-np.arange(400.0), wrong)
    assert found == {"auc": 1.0, "precision@100": 1.0, "wrong": 0.25}
    assert evaluate_suspects(np.arange(400.0), wrong)["auc"] == 0
    assert evaluate_suspects(np.zeros(400), wrong)["auc"] == 0.5
    assert np.isnan(evaluate_suspects(np.zeros(4), np.zeros(4, bool))["auc"])
