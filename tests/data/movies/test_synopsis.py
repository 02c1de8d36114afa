"""Synopses: removal of names, TF-IDF, cached sentence embeddings."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.data.movie_cases import made
from vujax.data.movies import synopsis as movie_text
from vujax.data.movies.records import Movies
from vujax.data.movies.synopsis import compute_tf_idf, find_names, remove_words, synopsis_channel

TEXTS = (
    "Walter and the Dude bungle a call. Suddenly Walter's car burns.",
    "Will they call Will Turner? The car will burn. Suddenly, the dog.",
    'A dog sings "One Day More". Turner listens. One day the dog sleeps.',
)


def movies(texts: tuple[str, ...]) -> Movies:
    ids = tuple(f"m{k}" for k in range(len(texts)))
    return Movies(ids, ids, (frozenset(),) * len(ids), texts)


def test_names_are_told_by_how_they_are_written() -> None:
    names = find_names(TEXTS)
    assert {"walter", "dude", "turner"} <= names
    assert not names & {"the", "a", "will", "day", "they", "car"}
    assert "suddenly" in names  # only ever with a capital: the rule's price
    assert remove_words(TEXTS[0], names) == "and the bungle a call. car burns."
    assert remove_words("walter Walter", names) == "walter"
    assert find_names(["", "no names here", "東京 ночь"]) == frozenset()


def test_two_synopses_are_not_alike_for_a_name() -> None:
    alike = movies(("Walter lost the map. Then Walter", "Walter ate an egg. And Walter", "the map"))
    assert synopsis_channel(alike, max_df=1.0).scores(slice(0, 1))[0].round(3).tolist()[1] == 0
    assert synopsis_channel(alike, max_df=1.0, names=True).scores(slice(0, 1))[0, 1] > 0.1


def test_tf_idf_is_the_formula() -> None:
    texts = [*made().synopses, "a I ship ship"]
    matrix, terms = compute_tf_idf(texts)
    counts = [Counter(word for word in text.split() if len(word) > 1) for text in texts]
    table = np.array([[found[term] for term in terms] for found in counts], float)
    there = sum(map(bool, counts))
    rows = table * (np.log((1 + there) / (1 + (table > 0).sum(axis=0))) + 1)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(matrix.toarray(), rows, atol=1e-6)
    assert "" in texts and there < len(texts) and terms == tuple(sorted(terms))


def test_common_and_single_words_are_left_out() -> None:
    texts = ["red ship", "blue ship", "red ship sinks", "old ship"]
    assert compute_tf_idf(texts, max_df=0.5, min_df=2)[1] == ("red",)
    for options in (dict(max_df=0), dict(max_df=1.5), dict(min_df=0)):
        with pytest.raises(ValueError, match="max_df must be"):
            compute_tf_idf(texts, **options)


def test_movies_without_a_word_are_not_known() -> None:
    channel = synopsis_channel(movies(("a heist ship", "", "... !", "the heist ship")), max_df=1.0)
    assert channel.known.tolist() == [True, False, False, True]
    assert channel.explain(0, 3) == "heist, ship"
    assert not synopsis_channel(movies(("", ""))).known.any()


def test_another_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="no encoder 'bert'"):
        synopsis_channel(movies(TEXTS), encoder="bert")


def test_sentence_vectors_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path))
    made_of = []

    def encode(texts: list[str]) -> np.ndarray:
        made_of.append(list(texts))
        vectors = np.array([[1, 0], [0.6, -0.8], [0, 0], [-1, 0]], np.float32)
        return vectors[: len(texts)]

    monkeypatch.setattr(movie_text, "_encode", encode)
    table = movies(("heist", "ship", "", "dog"))
    for _ in range(2):
        channel = synopsis_channel(table, encoder="minilm")
        np.testing.assert_allclose(
            channel.scores(slice(0, 1)), np.array([[1, 0.6, 0, 0]]), atol=1e-6
        )  # a negative cosine counts as 0
    assert made_of == [["heist", "ship", "", "dog"]]
    assert channel.known.tolist() == [True, True, False, True]
    synopsis_channel(movies(("heist", "dog")), encoder="minilm")
    assert len(made_of) == 2


@pytest.mark.parity
def test_tf_idf_and_its_cosine_equal_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.choice([*TEXTS[0].split(), "x", "Éponine", "l'été", "R2-D2"], 6))
        for _ in range(60)
    ]
    for options in (dict(), dict(max_df=0.3, min_df=2)):
        wanted = TfidfVectorizer(**options)
        rows = wanted.fit_transform(texts)
        matrix, terms = compute_tf_idf(texts, **options)
        assert terms == tuple(wanted.get_feature_names_out())
        np.testing.assert_allclose(matrix.toarray(), rows.toarray(), atol=1e-6)
        channel = synopsis_channel(
            movies(tuple(texts)), names=True, **(dict(max_df=1.0, min_df=1) | options)
        )
        np.testing.assert_allclose(channel.scores(slice(None)), cosine_similarity(rows), atol=1e-5)
