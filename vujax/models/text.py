"""CLIP's text tower, a causal transformer read at the end token (Radford et al., 2021)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.dropout import Dropout
from vujax.models.layers import EPSILON, ProjectionHead, Shard, identity
from vujax.models.transformer import POOLS, Transformer, TransformerConfig

TEXT_POOLS = (*POOLS, "last")


class TextTransformer(nn.Module):
    """Text tower, tokens int32 [b context] -> (features [b embed_dim] float32, out).

    `out` holds 'stem' [b l width], the blocks' streams as `Transformer` names them, 'pooled' (after
    the last layer norm, [b width]) and 'projected' (the features).

    Attributes:
      embed_dim: dimension of the features.
      width: of the residual stream.
      context: tokens per text.
      vocab: size of the vocabulary.
      pool: 'token', the end token (CLIP); 'mean', all tokens up to it; or 'last', the last of the
        context, padding or not (SigLIP, whose tokens see each other: `causal=False`).
      bias: True adds a bias to the projection.
      end: end token; a text ends at its first occurrence, and later tokens have no effect. None:
        the text's largest token, which in CLIP's vocabulary is the end token.
      layers, heads, causal, act, dtype, remat, scan, shard, hidden, epsilon: see
        `TransformerConfig`.
    """

    embed_dim: int
    width: int = 512
    layers: int = 12
    heads: int = 8
    context: int = 77
    vocab: int = 49408
    pool: str = "token"
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    scan: bool = False
    shard: Shard = identity
    hidden: int | None = None
    epsilon: float = EPSILON
    causal: bool = True
    bias: bool = False
    end: int | None = None

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del train, axis_name  # of batch statistics: nothing here depends on the batch
        stem = self._stem(tokens)
        transformer = Transformer(TransformerConfig.from_module(self), name="transformer")
        x, streams = transformer(stem, dropout=dropout)
        head = ProjectionHead(self.embed_dim, self.epsilon, self.bias, name="head")
        pooled, projected = head(self._pool(x, tokens), dropout)
        return projected, dict(stem=stem, **streams, pooled=pooled, projected=projected)

    def _pool(self, x: jax.Array, tokens: jax.Array) -> jax.Array:
        if self.pool == "last":
            return x[:, -1]
        end = jnp.argmax(tokens if self.end is None else tokens == self.end, axis=1)[:, None]
        if self.pool == "token":
            return jnp.take_along_axis(x, end[..., None], axis=1)[:, 0]
        inside = jnp.arange(x.shape[1]) <= end
        return x.mean(axis=1, where=inside[..., None])

    def _stem(self, tokens: jax.Array) -> jax.Array:
        init = nn.initializers.normal
        table = self.param("token_embedding", init(0.02), (self.vocab, self.width))
        positions = self.param("positions", init(0.01), (self.context, self.width))
        # Rows are looked up before the cast: gradients of a repeated token are summed in float32.
        return (jnp.take(table, tokens, axis=0) + positions).astype(self.dtype)
