"""CLIP's text tower: a causal transformer read at the end token (Radford et al., 2021)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.transformer import Head, Shard, Transformer, identity


class TextTransformer(nn.Module):
    """Tokens int32 [b context] -> (features [b embed_dim] float32, out).

    A text ends at the first occurrence of its largest token, which in CLIP's vocabulary is the end
    token; what follows it changes nothing. `pool` says what is pooled: 'token', the end token
    (CLIP), or 'mean', all tokens up to it. `out` holds 'stem' [b l width], the blocks' streams as
    `Transformer` names them, 'pooled' (after the last layer norm, [b width]) and 'projected' (the
    features). `act` to `shard` are `Transformer`'s.
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

    @nn.compact
    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        stem = self._stem(tokens)
        options = (self.act, self.dtype, self.remat, self.scan, self.shard)
        stack = Transformer(self.layers, self.heads, True, *options, name="transformer")
        x, streams = stack(stem)
        pooled, projected = Head(self.embed_dim, name="head")(self._pool(x, tokens))
        return projected, dict(stem=stem, **streams, pooled=pooled, projected=projected)

    def _pool(self, x: jax.Array, tokens: jax.Array) -> jax.Array:
        end = jnp.argmax(tokens, axis=1)[:, None]
        if self.pool == "token":
            return jnp.take_along_axis(x, end[..., None], axis=1)[:, 0]
        inside = jnp.arange(x.shape[1]) <= end
        return x.mean(axis=1, where=inside[..., None])

    def _stem(self, tokens: jax.Array) -> jax.Array:
        init = nn.initializers.normal
        table = self.param("token_embedding", init(0.02), (self.vocab, self.width))
        positions = self.param("positions", init(0.01), (self.context, self.width))
        # Rows are taken before the cast: the gradient of a repeated token adds up in float32.
        return (jnp.take(table, tokens, axis=0) + positions).astype(self.dtype)
