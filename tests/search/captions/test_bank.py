"""Caption banks: dense cosines, correctness, and limits on repeats."""

from pathlib import Path

import numpy as np
import pytest

from tests.encoders.test_pairs import table
from tests.search.letters import Letters, picture_of
from vujax.data.captions import EmbeddingPairs, write_embedding_pairs
from vujax.encoders.pairs import source_options
from vujax.search.captions.bank import (
    BankMatches,
    CaptionBank,
    ImageBank,
    build_bank,
    deduplicate,
    evaluate_bank,
    fit_calibration,
    limit_repeats,
    read_bank,
)

CAPTIONS = ["A boat", "a  BOAT", "", "two dogs", "zebra"]


def test_the_best_are_those_of_greatest_cosine():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(50)]
    bank = CaptionBank(words, Letters())
    vectors = rng.random((30, 26)).astype(np.float32)
    best = bank.best(vectors, 3)
    cosines = Letters().map_embeddings(vectors) @ Letters().encode_texts(bank.captions).T
    np.testing.assert_allclose(best.scores, np.sort(cosines, axis=1)[:, :-4:-1], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(cosines, best.indices, 1), best.scores, rtol=1e-5)
    assert bank.best(vectors, 99).indices.shape == (30, len(bank.captions))
    assert bank.best(vectors[:0]).scores.shape == (0, 1)


def test_equal_captions_are_one():
    assert CaptionBank(CAPTIONS, Letters()).captions == ["A boat", "two dogs", "zebra"]
    assert deduplicate(["ＡＢ ", "ab"]) == ["ＡＢ"]
    with pytest.raises(ValueError, match="the caption bank is empty"):
        CaptionBank([" "], Letters())


def test_the_nearest_picture_says_its_first_caption():
    rng = np.random.default_rng(0)
    pictures, vectors = rng.normal(size=(40, 6)), rng.normal(size=(30, 6))
    said = [f"of {i % 20}" for i in range(40)]  # two pictures of each caption
    captions = [(text, "another") for text in said]
    captions[3] = (" ",)  # nothing is said of this one, however near it is
    pairs = EmbeddingPairs(np.float32(pictures), tuple(captions), tuple(map(str, range(40))))
    bank = ImageBank(pairs)
    assert sorted(bank.captions) == sorted(set(said))
    best = bank.best(np.float32(9 * vectors), 5)
    norms = np.linalg.norm(vectors, axis=1)[:, None] * np.linalg.norm(pictures, axis=1)
    cosines = vectors @ pictures.T / norms
    cosines[:, 3] = -np.inf
    order = np.argsort(-cosines, axis=1)[:, :5]
    assert [[bank.captions[i] for i in row] for row in best.indices] == [
        [said[i] for i in row] for row in order
    ]
    np.testing.assert_allclose(best.scores, np.take_along_axis(cosines, order, 1), atol=1e-6)
    assert bank.best(np.float32(vectors[:0])).scores.shape == (0, 1)
    assert bank.best(np.float32(vectors), 99).indices.shape == (30, 39)


def test_bad_banks_of_pictures():
    pairs = EmbeddingPairs(np.ones((2, 3), np.float32), ((), (" ",)), ("x", "y"))
    with pytest.raises(ValueError, match="no image of the pairs has a caption"):
        ImageBank(pairs)
    pairs = EmbeddingPairs(np.ones((1, 3), np.float32), (("a",),), ("x",))
    with pytest.raises(ValueError, match="embeddings of dim 3, the catalog of dim 4"):
        ImageBank(pairs).best(np.ones((1, 4), np.float32))


def test_right_is_one_of_the_pictures_own_captions():
    vectors = picture_of("boat", "dog", "dog", "cat")
    captions = (("x", "BOAT"), ("dog",), ("god", "dog "), ("zzz",))
    pairs = EmbeddingPairs(vectors, captions, tuple("abcd"))
    scores, right = evaluate_bank(build_bank(pairs, Letters()), pairs)
    assert right.tolist() == [True, True, True, False]
    np.testing.assert_allclose(scores[:3], 1, rtol=1e-5)
    assert scores[3] < 0.9


def test_calibrated():
    texts = [f"{a}{b}" for a in "abcdef" for b in "ghijkl"]
    wrong = [f"{a}xyz" for a in "abcdef"]
    pairs = EmbeddingPairs(
        picture_of(*texts, *wrong),
        tuple((text,) for text in [*texts, *"qqqqqq"]),
        tuple(map(str, range(42))),
    )
    found = fit_calibration(build_bank(pairs, Letters()), pairs)
    assert found(np.array([1.0]))[0] == 1 and found(np.array([0.2]))[0] == 0 and found.pairs == 42


def test_repeats_give_the_caption_to_the_best():
    best = BankMatches(
        np.array([[0, 1, 2], [0, 1, 2], [0, 2, 1], [1, 0, 2]]),
        np.array([[0.8, 0.7, 0.1], [0.9, 0.2, 0.1], [0.5, 0.4, 0.3], [0.6, 0.5, 0.4]]),
    )
    assert limit_repeats(best, 1).tolist() == [1, 0, -1, 2]
    assert limit_repeats(best, 2).tolist() == [0, 0, 1, 0]
    assert limit_repeats(best, 4).tolist() == [0, 0, 0, 0]


def test_banks_of_files(tmp_path: Path):
    (tmp_path / "lines.txt").write_text("\ufeffa boat\n\n  a dog \n", encoding="utf-8")
    assert deduplicate(read_bank(tmp_path / "lines.txt")) == ["a boat", "a dog"]
    made = table(tmp_path / "in", count=2)
    assert read_bank(Path(made["path"])) == ["picture 0", "picture 1"]
    pairs = EmbeddingPairs(np.ones((2, 3), np.float32), (("a", "b"), ()), ("x", "y"))
    assert read_bank(write_embedding_pairs(pairs, tmp_path / "v.parquet")) == ["a", "b"]


def test_bad_banks(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none.txt does not exist"):
        read_bank(tmp_path / "none.txt")
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"blank.txt holds no caption"):
        read_bank(tmp_path / "blank.txt")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.txt is not UTF-8 text"):
        read_bank(tmp_path / "latin.txt")
    with pytest.raises(
        ValueError, match=r"x.zip is not a file of pairs; expected one of: .parquet, .tar"
    ):
        source_options(Path("x.zip"))
