"""A small caption decoder: a picture's vector as the first positions of a causal transformer.

The prefix is ClipCap's (Mokady et al. 2021, arXiv:2111.09734), with one dense layer; the language
model after it is small and learned from scratch. The vectors are an encoder's that stays as it is.

Beam search of a fixed length, all of it one compiled loop.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from vujax.models.layers import layer_norm
from vujax.models.transformer import Transformer, TransformerConfig
from vujax.utils.validation import check_heads

Cache = dict[str, Any]

END = 0

"""The token that ends a caption."""


class CaptionDecoder(nn.Module):
    """Vectors [b dim] and captions as tokens int32 [b context] -> logits [b context vocab].

    Logits at position t are of token t, given the tokens before it. A token's logits are products
    with its embedding (Press and Wolf 2017, arXiv:1608.05859).

    Attributes:
      encoder: whose vectors these are, such as 'lite'; words for those who use the model.
      dim: numbers of a vector.
      vocab: of `vujax.models.tokenizers.words.ShortTokens`, whose tokens these are.
      context: tokens of the longest caption, its end counted.
      prefix: positions that a vector becomes.
      width: of the residual stream.
      layers: depth.
      heads: of the attention; `width` must be a multiple.
      dropout: share dropped in training, of the vector's numbers and of what the blocks read.
    """

    encoder: str = "lite"
    dim: int = 1280
    vocab: int = 4096
    context: int = 32
    prefix: int = 4
    width: int = 192
    layers: int = 3
    heads: int = 3
    dropout: float = 0.2

    def setup(self) -> None:
        normal = nn.initializers.normal
        self.ln_vector = layer_norm(jnp.float32, None)
        self.project = nn.Dense(self.prefix * self.width, kernel_init=normal(self.dim**-0.5))
        self.token_embedding = self.param("token_embedding", normal(0.02), (self.vocab, self.width))
        length = self.prefix + self.context
        self.positions = self.param("positions", normal(0.01), (length, self.width))
        self.transformer = Transformer(TransformerConfig(self.layers, self.heads, causal=True))
        self.ln = layer_norm(jnp.float32, None)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, vectors: jax.Array, tokens: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See the class; in training with the rng 'dropout'. Also the blocks' streams."""
        stem = [self._begin(vectors, train), self._embed(tokens[:, :-1])]
        stem = jnp.concatenate(stem, axis=1) + self.positions[: self.prefix + tokens.shape[1] - 1]
        x, streams = self.transformer(self.drop(stem, deterministic=not train))
        return self._logits(x[:, self.prefix - 1 :]), streams

    def start(self, vectors: jax.Array) -> jax.Array:
        """Logits `[b vocab]` of the first token; apply with a fresh, mutable 'cache'."""
        x, _ = self.transformer(self._begin(vectors, train=False) + self.positions[: self.prefix])
        return self._logits(x[:, -1])

    def step(self, tokens: jax.Array, place: jax.Array) -> jax.Array:
        """Logits `[b vocab]` of the token after `tokens` `[b]`, the caption's number `place`.

        Apply with the mutable 'cache' of all that came before.
        """
        position = jax.lax.dynamic_index_in_dim(self.positions, self.prefix + place)
        x, _ = self.transformer(self._embed(tokens)[:, None] + position)
        return self._logits(x[:, 0])

    def search(
        self, variables: Any, vectors: jax.Array, *, beams: int = 4, power: float = 1.0
    ) -> tuple[jax.Array, jax.Array]:
        """Captions of vectors `[b dim]`, see `beam_search`; of the module itself, not in `apply`.

        Returns:
          tokens int32 `[b beams context]`, best first, and their scores float32 `[b beams]`.
        """
        apply = functools.partial(self.apply, mutable=["cache"])

        def step(cache: Cache, tokens: jax.Array, place: jax.Array) -> tuple[jax.Array, Cache]:
            seen = variables | {"cache": cache}
            logits, changed = apply(seen, tokens, place, method="step")
            return logits, changed["cache"]

        seen = variables | {"cache": create_cache(self, len(vectors))}
        logits, state = apply(seen, vectors, method="start")
        options = dict(beams=beams, length=self.context, end=END, power=power)
        return beam_search(step, logits, state["cache"], **options)

    def _begin(self, vectors: jax.Array, train: bool) -> jax.Array:
        # Encoders differ in length by orders of magnitude; the direction is what is said.
        x = self.drop(self.ln_vector(vectors), deterministic=not train)
        return self.project(x).reshape(len(vectors), self.prefix, self.width)

    def _embed(self, tokens: jax.Array) -> jax.Array:
        return jnp.take(self.token_embedding, tokens, axis=0)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.ln(x) @ self.token_embedding.T


def create_cache(model: CaptionDecoder, rows: int) -> Cache:
    """The 'cache' of `rows` captions before their first token, for `start` and `step`."""
    shape = (rows, model.prefix + model.context, model.heads, model.width // model.heads)
    block = dict(key=jnp.zeros(shape), value=jnp.zeros(shape), length=jnp.zeros((), jnp.int32))
    return {"transformer": {f"block{i:02d}": {"attn": dict(block)} for i in range(model.layers)}}


def build_caption_model(**options: Any) -> CaptionDecoder:
    """A caption decoder from plain values, the attributes of CaptionDecoder.

    Raises:
      ValueError: an unknown option, or sizes that do not fit.
    """
    known = [name for name in CaptionDecoder.__dataclass_fields__ if name not in ("parent", "name")]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(
            f"Unknown option model.{unknown[0]}: the options of a caption decoder are "
            f"{', '.join(known)}."
        )
    model = CaptionDecoder(**options)
    for name in ("dim", "vocab", "context", "prefix", "width", "layers", "heads"):
        if getattr(model, name) < 1:
            raise ValueError(f"model.{name} must be at least 1, not {getattr(model, name)}.")
    check_heads("model", model.width, model.heads)
    return model


Tree = Any

Step = Callable[[Tree, jax.Array, jax.Array], tuple[jax.Array, Tree]]

"""`(cache, tokens [n], place) -> (logits [n vocab] of the next token, cache)`."""


def beam_search(
    step: Step,
    logits: jax.Array,
    cache: Tree,
    *,
    beams: int,
    length: int,
    end: int,
    power: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """The best sequences that were found.

    A sequence's score is its log probability, divided by the number of its tokens, `end` counted,
    to `power`; the beams that are kept are those of the best scores so far. With one beam that is
    greedy decoding.

    Args:
      step: one more token; every array of `cache` with an axis has rows first.
      logits: of the first token, `[b vocab]`.
      cache: beside them, of b rows.
      beams: sequences kept for each row.
      length: most tokens of a sequence; one that has no `end` by then stays without.
      end: token that ends a sequence.
      power: 0 for plain log probabilities, which favour short sequences.

    Returns:
      tokens int32 `[b beams length]`, best first, `end` after the end; scores float32 `[b beams]`.
      Where there are fewer sequences than beams, the score is -inf.
    """
    rows, vocab = logits.shape
    flat = lambda x: x.reshape(rows * beams, *x.shape[2:])  # noqa: E731
    cache = _take(cache, jnp.repeat(jnp.arange(rows), beams))
    logits = jnp.repeat(logits[:, None], beams, axis=1)
    # All beams begin alike: only the first one counts.
    sums = jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, -jnp.inf), (rows, beams))
    sequences = jnp.full((rows, beams, length), end, jnp.int32)
    lengths = jnp.zeros((rows, beams), jnp.int32)
    ended = jnp.zeros((rows, beams), bool)
    only_end = jnp.where(jnp.arange(vocab) == end, 0.0, -jnp.inf)

    def grow(state: Tree, place: jax.Array) -> tuple[Tree, None]:
        sequences, sums, lengths, ended, logits, cache = state
        chances = jax.nn.log_softmax(logits.astype(jnp.float32))
        chances = jnp.where(ended[..., None], only_end, chances)
        sums = sums[..., None] + chances
        lengths = lengths + ~ended
        scores = sums / lengths[..., None].astype(jnp.float32) ** power
        _, chosen = lax.top_k(scores.reshape(rows, -1), beams)
        parent, token = chosen // vocab, chosen % vocab
        of_parent = lambda x: jnp.take_along_axis(x, parent, axis=1)  # noqa: E731
        sums = jnp.take_along_axis(sums.reshape(rows, -1), chosen, axis=1)
        sequences = jnp.take_along_axis(sequences, parent[..., None], axis=1)
        sequences = sequences.at[:, :, place].set(token)
        cache = _take(cache, flat(parent + beams * jnp.arange(rows)[:, None]))
        logits, cache = step(cache, flat(token), place)
        logits = logits.reshape(rows, beams, vocab)
        ended = of_parent(ended) | (token == end)
        return (sequences, sums, of_parent(lengths), ended, logits, cache), None

    state = (sequences, sums, lengths, ended, logits, cache)
    (sequences, sums, lengths, *_), _ = lax.scan(grow, state, jnp.arange(length))
    return sequences, sums / lengths.astype(jnp.float32) ** power


def _take(cache: Tree, rows: jax.Array) -> Tree:
    return jax.tree.map(lambda x: x if x.ndim == 0 else jnp.take(x, rows, axis=0), cache)
