"""Caption metrics against figures of the COCO caption evaluation, and by hand."""

import math

import numpy as np
import pytest

from vujax.evals.metrics.captions import bleu, cider, rouge, score_captions, split_words

# One picture a line; the figures below are what pycocoevalcap 1.2 gives for the words of these.
REFERENCES = [
    ["A red boat on the lake.", "a boat, at night", "the red boat"],
    ["a man with an umbrella", "someone under an umbrella in the rain"],
    ["close-up: a dog beside a tree"],
    ["a dog", "the dog runs on the beach at sunset", "a dog runs"],
]
CANDIDATES = [
    "a red boat on a lake at night",
    "a man with an umbrella",
    "a dog beside a tree",
    "the dog runs on the beach",
]
CIDER = [2.7877285366843196, 5.722376281170778, 7.0854873804442855, 3.581121604449018]
ROUGE = [0.8026315789473684, 1.0, 0.8090185676392573, 0.8356164383561644]
BLEU = 0.734996336192742


def test_figures_of_the_coco_evaluation():
    np.testing.assert_allclose(cider(CANDIDATES, REFERENCES), CIDER, rtol=1e-9)
    np.testing.assert_allclose(rouge(CANDIDATES, REFERENCES), ROUGE, rtol=1e-9)
    assert bleu(CANDIDATES, REFERENCES) == pytest.approx(BLEU, abs=1e-8)
    found = score_captions(CANDIDATES, REFERENCES)
    assert found == {
        "CIDEr": pytest.approx(np.mean(CIDER)),
        "BLEU-4": pytest.approx(BLEU, abs=1e-8),
        "ROUGE-L": pytest.approx(np.mean(ROUGE)),
    }


def test_a_perfect_caption_scores_all():
    texts = ["one two three four five", "six seven eight nine"]
    found = score_captions(texts, [[text.upper() + "!"] for text in texts])
    assert found == pytest.approx({"CIDEr": 10.0, "BLEU-4": 1.0, "ROUGE-L": 1.0})


def test_bleu_punishes_short_captions():
    found = bleu(["a b c d"], [["a b c d e f", "a b c d e f g h i"]])
    assert found == pytest.approx(math.exp(1 - 6 / 4))
    assert bleu(["a b c d e"], [["a b c d e f", "w x y z"]]) == 1.0  # of two, the shorter counts


def test_cider_by_hand():
    # 'a' is in both pictures and weighs nothing; 'b' and 'c' weigh log 2; no longer runs.
    found = cider(["b b", "c"], [["a b"], ["a c"]])
    unigrams = np.array([1.0, 1.0]) * np.array([1 / 2, 1])  # clipped: min(2, 1) * 1 / (2 * 1)
    bigrams = 0.0  # 'b b' is in no reference
    penalty = np.exp(-np.array([0, 1]) / (2 * 36))
    np.testing.assert_allclose(found, 10 * (unigrams + bigrams) / 4 * penalty)


def test_empty_and_strange_captions_score_nothing():
    found = score_captions(["", "!!!", "x"], [["a boat"], ["..."], ["日本 42"]])
    assert found == {"CIDEr": 0.0, "BLEU-4": 0.0, "ROUGE-L": 0.0}


def test_words():
    assert split_words("A close-up: the Man's 2 MP3s, 2004!") == (
        *("a", "close", "up", "the", "man", "s", "2", "mp", "3", "s", "2004"),
    )
    assert split_words("ＣＡＦÉ_bar") == ("café", "bar")


def test_errors():
    with pytest.raises(ValueError, match="2 captions and references of 1 images"):
        score_captions(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="at least one image"):
        bleu([], [])
    with pytest.raises(ValueError, match="image 1 has no reference"):
        cider(["a", "b"], [["a"], []])
