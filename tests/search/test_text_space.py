"""Text spaces of `lite` without its weights, and of released models."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.encoders.test_text_head import head
from tests.models.pretrained import wheels
from vujax.encoders.text_head import SHAPES, TextHead
from vujax.search import text_space
from vujax.search.text_space import CHUNK, LITE_SPACES, LiteSpace, mix_mappings, open_text_space


class Words:
    """A text encoder that knows no language."""

    digest, dim = "ab", 384

    def __call__(self, texts):
        rows = [np.random.default_rng(len(text)).normal(size=384) for text in texts]
        return np.float32([row / np.linalg.norm(row) for row in rows])


def space(
    tensors: dict | None = None, settings: dict | None = None, words: str = "ab"
) -> LiteSpace:
    sentences, one = Words(), head()
    sentences.digest = words
    parts = dict(tensors=tensors or one.tensors, settings=settings or {"top": 1})
    return LiteSpace("lite-head", sentences, one, **parts)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 3])
def test_vectors_are_mapped_in_chunks(count: int) -> None:
    vectors = np.random.default_rng(0).random((count, 1280), np.float32)
    found = space().map_embeddings(vectors)
    assert found.shape == (count, 384) and found.dtype == np.float32
    np.testing.assert_allclose(found, head()(vectors), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_vectors_of_another_encoder_are_refused() -> None:
    for shape in ((3, 512), (1280,)):
        with pytest.raises(ValueError, match="do not match the encoder 'lite'"):
            space().map_embeddings(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="not finite"):
        space().map_embeddings(np.full((1, 1280), np.nan, np.float32))


def test_a_digest_tells_spaces_apart() -> None:
    same = [space().digest, space().digest]
    others = [space(head(1).tensors), space(settings={"top": 2}), space(words="ac")]
    assert same[0] == same[1] and len({same[0], *(other.digest for other in others)}) == 4


def test_a_mixture_lies_between() -> None:
    features = np.random.default_rng(0).random((4, 1280), np.float32)
    one, two = head(0), head(1)
    for share in (0.0, 0.25, 1.0):
        mixed = mix_mappings(TextHead(one.kernel, one.bias, {"share": share}), two)
        expected = share * np.asarray(one(features)) + (1 - share) * np.asarray(two(features))
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(mixed(features), expected, atol=1e-5)


def test_a_released_models_vectors_are_in_its_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SimpleNamespace(name="mine", digest="cd", dim=3, encode=lambda texts: texts)
    texts = ModuleType("vujax.encoders.texts")
    texts.open_text_encoder = {str(tmp_path): encoder}.get
    monkeypatch.setitem(sys.modules, "vujax.encoders.texts", texts)
    found = open_text_space(str(tmp_path))
    assert (found.name, found.digest, found.dim) == ("mine", "cd", 3)
    assert found.encode_texts(["a"]) == ["a"]
    means = np.float32([[3, 4, 0], [0, 0, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(found.map_embeddings(means), [[0.6, 0.8, 0], [0, 0, 1], [0, 0, 0]])
    with pytest.raises(ValueError, match="do not match the encoder 'mine'"):
        found.map_embeddings(np.zeros((1, 4), np.float32))


def test_what_is_no_space_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown text space 'clip'; expected one of: lite"):
        open_text_space("clip")


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Pooled features are means of numbers in [0, 6], most of them near 0."""
    return np.random.default_rng(0).gamma(0.5, 0.8, (6, 1280)).clip(0, 6).astype(np.float32)


@pytest.mark.parity
def test_conse_is_the_classifier_and_the_names(features: np.ndarray) -> None:
    tensors = wheels.load("efficientnet-lite0")
    with wheels.skipped_offline():
        found = open_text_space("lite-conse")
    logits = features @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    p = np.exp(logits.astype(np.float64) / text_space.CONSE["temperature"])
    p /= p.sum(axis=1, keepdims=True)
    p[p < np.sort(p, axis=1)[:, -text_space.CONSE["top"], None]] = 0
    expected = p @ found.encode_texts([entry.name for entry in text_space.read_class_names()])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.map_embeddings(features), expected, atol=1e-4)


@pytest.mark.parity
def test_the_spaces_of_lite(features: np.ndarray) -> None:
    with wheels.skipped_offline():
        spaces = [open_text_space(name) for name in LITE_SPACES]
    assert [one.name for one in spaces] == list(LITE_SPACES)
    assert len({one.digest for one in spaces}) == 3
    assert all(int(one.digest, 16) and one.dim == SHAPES["bias"][0] for one in spaces)
    texts = [
        one.encode_texts(["a dog", "", "un perro", "a dog on a long " + "very " * 50 + "long road"])
        for one in spaces
    ]
    np.testing.assert_array_equal(texts[0], texts[1])
    np.testing.assert_allclose(np.linalg.norm(texts[0], axis=1), 1, atol=1e-5)
    for one in spaces:
        np.testing.assert_allclose(
            np.linalg.norm(one.map_embeddings(features), axis=1), 1, atol=1e-5
        )
        with pytest.raises(TypeError, match="sequence of strings"):
            one.encode_texts("a dog")
