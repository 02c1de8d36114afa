"""Beam search of a fixed length, all of it one compiled loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

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
