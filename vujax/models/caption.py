"""Caption decoder: a prefix from an image embedding, a small causal transformer, and beam search.

The prefix is ClipCap's (Mokady et al. 2021, arXiv:2111.09734), with one dense layer; the language
model after it is small and trained from scratch. The embeddings are a frozen encoder's. Beam search
has a fixed length and compiles into one loop.
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

Tree = Any
Cache = dict[str, Any]
Step = Callable[[Tree, jax.Array, jax.Array], tuple[jax.Array, Tree]]
"""`(cache, tokens [n], position) -> (logits [n vocab] of the next token, cache)`."""

END = 0  # token that ends a caption


class CaptionDecoder(nn.Module):
    """Embeddings [b dim] and tokens int32 [b context] -> logits [b context vocab].

    Logits at position t are of token t, given the tokens before it. Input and output embeddings of
    tokens are tied (Press and Wolf 2017, arXiv:1608.05859).

    Attributes:
      encoder: name of the encoder of the embeddings, such as 'lite', for information.
      dim: of the embeddings.
      vocab: size of the vocabulary, see `vujax.models.tokenizers.words.ShortTokens`.
      context: maximum tokens of a caption, its end included.
      prefix: positions that stand for an embedding.
      width: of the residual stream.
      layers: depth.
      heads: of the attention; `width` must be a multiple.
      dropout: rate in training, for the embedding and the input of the blocks.
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
        """Compute logits and the blocks' streams; in training with the rng 'dropout'."""
        stem = [self._embed_prefix(vectors, train), self._embed_tokens(tokens[:, :-1])]
        stem = jnp.concatenate(stem, axis=1) + self.positions[: self.prefix + tokens.shape[1] - 1]
        x, streams = self.transformer(self.drop(stem, deterministic=not train))
        return self._logits(x[:, self.prefix - 1 :]), streams

    def start(self, vectors: jax.Array) -> jax.Array:
        """Compute logits `[b vocab]` of the first token; apply with a new, mutable 'cache'."""
        x, _ = self.transformer(
            self._embed_prefix(vectors, train=False) + self.positions[: self.prefix]
        )
        return self._logits(x[:, -1])

    def step(self, tokens: jax.Array, position: jax.Array) -> jax.Array:
        """Compute logits `[b vocab]` of the token after `tokens` `[b]` at `position`.

        Apply with the mutable 'cache' of all earlier positions.
        """
        offset = lax.dynamic_index_in_dim(jnp.asarray(self.positions), self.prefix + position)
        x, _ = self.transformer(self._embed_tokens(tokens)[:, None] + offset)
        return self._logits(x[:, 0])

    def search(
        self, variables: Any, vectors: jax.Array, *, beams: int = 4, power: float = 1.0
    ) -> tuple[jax.Array, jax.Array]:
        """Caption embeddings `[b dim]` by `beam_search`; call it on the module, not in `apply`.

        Returns:
          tokens int32 `[b beams context]`, best first, and their scores float32 `[b beams]`.
        """
        apply = functools.partial(self.apply, mutable=["cache"])

        def step(cache: Cache, tokens: jax.Array, position: jax.Array) -> tuple[jax.Array, Cache]:
            cached = variables | {"cache": cache}
            logits, updated = apply(cached, tokens, position, method="step")
            return logits, updated["cache"]

        cached = variables | {"cache": create_cache(self, len(vectors))}
        logits, state = apply(cached, vectors, method="start")
        options = dict(beams=beams, length=self.context, end=END, power=power)
        return beam_search(step, logits, state["cache"], **options)

    def _embed_prefix(self, vectors: jax.Array, train: bool) -> jax.Array:
        # Encoders differ in length by orders of magnitude; only the direction has meaning.
        x = self.drop(self.ln_vector(vectors), deterministic=not train)
        return self.project(x).reshape(len(vectors), self.prefix, self.width)

    def _embed_tokens(self, tokens: jax.Array) -> jax.Array:
        return jnp.take(self.token_embedding, tokens, axis=0)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.ln(x) @ self.token_embedding.T


def create_cache(model: CaptionDecoder, rows: int) -> Cache:
    """Create the 'cache' of `rows` captions before their first token, for `start` and `step`."""
    shape = (rows, model.prefix + model.context, model.heads, model.width // model.heads)
    block = dict(key=jnp.zeros(shape), value=jnp.zeros(shape), length=jnp.zeros((), jnp.int32))
    return {"transformer": {f"block{i:02d}": {"attn": dict(block)} for i in range(model.layers)}}


def build_caption_model(**options: Any) -> CaptionDecoder:
    """Build a caption decoder from plain values, the attributes of CaptionDecoder.

    Raises:
      ValueError: an option is unknown, or sizes do not fit.
    """
    known = [name for name in CaptionDecoder.__dataclass_fields__ if name not in ("parent", "name")]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(
            f"unknown option model.{unknown[0]} of a caption decoder; expected one of: "
            f"{', '.join(known)}"
        )
    model = CaptionDecoder(**options)
    for name in ("dim", "vocab", "context", "prefix", "width", "layers", "heads"):
        if getattr(model, name) < 1:
            raise ValueError(f"model.{name} must be at least 1, got {getattr(model, name)}")
    check_heads("model", model.width, model.heads)
    return model


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
    """Decode by beam search.

    A sequence's score is its log probability divided by (its number of tokens, `end` included) to
    the `power`; the beams are the sequences with the best scores so far. One beam is greedy
    decoding.

    Args:
      step: computes the logits of one more token; arrays of `cache` have rows first, or no axis.
      logits: of the first token, `[b vocab]`.
      cache: of the same b rows.
      beams: sequences per row.
      length: maximum tokens of a sequence; a longer one is cut, without `end`.
      end: token that ends a sequence.
      power: 0 for plain log probabilities, which favor short sequences.

    Returns:
      tokens int32 `[b beams length]`, best first, `end` after the end; scores float32 `[b beams]`.
      Missing sequences, where fewer than `beams` exist, have the score -inf.
    """
    rows, vocab = logits.shape
    flat = lambda x: x.reshape((rows * beams, *x.shape[2:]))  # noqa: E731
    cache = _take(cache, jnp.repeat(jnp.arange(rows), beams))
    logits = jnp.repeat(logits[:, None], beams, axis=1)
    # All beams start equal: only the first is live.
    sums = jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, -jnp.inf), (rows, beams))
    sequences = jnp.full((rows, beams, length), end, jnp.int32)
    lengths = jnp.zeros((rows, beams), jnp.int32)
    ended = jnp.zeros((rows, beams), bool)
    only_end = jnp.where(jnp.arange(vocab) == end, 0.0, -jnp.inf)

    def extend(state: Tree, position: jax.Array) -> tuple[Tree, None]:
        sequences, sums, lengths, ended, logits, cache = state
        log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
        log_probs = jnp.where(ended[..., None], only_end, log_probs)
        sums = sums[..., None] + log_probs
        lengths = lengths + ~ended
        scores = sums / lengths[..., None].astype(jnp.float32) ** power
        _, chosen = lax.top_k(scores.reshape(rows, -1), beams)
        parent, token = chosen // vocab, chosen % vocab
        from_parent = lambda x: jnp.take_along_axis(x, parent, axis=1)  # noqa: E731
        sums = jnp.take_along_axis(sums.reshape(rows, -1), chosen, axis=1)
        sequences = jnp.take_along_axis(sequences, parent[..., None], axis=1)
        sequences = sequences.at[:, :, position].set(token)
        cache = _take(cache, flat(parent + beams * jnp.arange(rows)[:, None]))
        logits, cache = step(cache, flat(token), position)
        logits = logits.reshape(rows, beams, vocab)
        ended = from_parent(ended) | (token == end)
        return (sequences, sums, from_parent(lengths), ended, logits, cache), None

    state = (sequences, sums, lengths, ended, logits, cache)
    (sequences, sums, lengths, *_), _ = lax.scan(extend, state, jnp.arange(length))
    return sequences, sums / lengths.astype(jnp.float32) ** power


def _take(cache: Tree, rows: jax.Array) -> Tree:
    return jax.tree.map(lambda x: x if x.ndim == 0 else jnp.take(x, rows, axis=0), cache)
