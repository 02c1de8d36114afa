"""Pre-layer-norm transformer over a residual stream `[b l d]`, shared by all towers.

Parameters come in two layouts: a subtree per block ('block00', 'block01', ...), or one stacked
subtree 'blocks' for `scan`; `stack_blocks` and `unstack_blocks` convert between them.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from vujax.models.dropout import Dropout, drop_units
from vujax.models.layers import ACTIVATIONS, EPSILON, Dense, Shard, identity, layer_norm

Tree = dict[str, Any]

POOLS = ("token", "mean")  # representation of all tokens: CLIP's single one, or the mean

# Rematerialization: what the backward pass finds stored, by policies of jax.checkpoint_policies.
REMAT_POLICIES = {
    "none": None,
    "full": "nothing_saveable",
    "dots_saveable": "dots_saveable",
    "dots_with_no_batch_dims_saveable": "dots_with_no_batch_dims_saveable",
}


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Settings of a stack of blocks.

    Attributes:
      layers: depth.
      heads: attention heads; the stream's width must be a multiple.
      causal: True lets position i see positions <= i only.
      act: a key of ACTIVATIONS.
      dtype: compute dtype; parameters, layer-norm statistics and softmax stay float32.
      remat: a key of REMAT_POLICIES.
      scan: True loops one compiled block over stacked parameters ('blocks', leading axis [layers])
        in place of `layers` compiled blocks ('block00', 'block01', ...): quicker to compile.
      shard: applied to the residual stream before and after every block; a sharding constraint
        under FSDP.
      hidden: width inside the MLPs; None: 4d.
      epsilon: of the layer norms.
    """

    layers: int
    heads: int
    causal: bool = False
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    scan: bool = False
    shard: Shard = identity
    hidden: int | None = None
    epsilon: float = EPSILON

    @classmethod
    def from_module(cls, module: nn.Module, **overrides: Any) -> Self:
        """Build a config from a module's attributes of the same names; `overrides` win."""
        names = (field.name for field in dataclasses.fields(cls))
        settings = {name: getattr(module, name) for name in names if hasattr(module, name)}
        return cls(**settings | overrides)


def rematerialize(block: type[nn.Module], remat: str, *, scan: bool = False) -> type[nn.Module]:
    """Return `block` with a backward pass that recomputes by policy `remat` of REMAT_POLICIES."""
    policy = REMAT_POLICIES[remat]
    if policy is None:
        return block
    # A scan needs no barrier against the compiler merging the recomputation with the original.
    return nn.remat(block, policy=getattr(jax.checkpoint_policies, policy), prevent_cse=not scan)


def project_heads(x: jax.Array, heads: int, dtype: DTypeLike, name: str) -> jax.Array:
    """Apply a dense layer `[b l d]` -> `[b l h d/h]`, inside a compact method."""
    d = x.shape[-1]
    return Dense(d, d**-0.5, dtype, name=name)(x).reshape((*x.shape[:-1], heads, d // heads))


class Attention(nn.Module):
    """Multi-head self-attention `[b l d]` -> `[b l d]`; softmax in float32.

    `mask`, bool `[b 1 l l]` or None, tells which positions (last axis) each position (third axis)
    sees.

    Given a collection 'cache' (see `vujax.models.caption.create_cache`), x holds the next positions
    of sequences whose earlier keys and values are cached: they are seen too, and x's are added.

    Query, key and value have a projection each: a fused one must be split by strided copies, which
    is slower on CPU.

    Attributes:
      heads: attention heads.
      out_std: initial standard deviation of the output projection.
      causal: True lets position i see positions <= i only.
      dtype: compute dtype.
    """

    heads: int
    out_std: float
    causal: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        query, key, value = (
            project_heads(x, self.heads, self.dtype, name) for name in ("query", "key", "value")
        )
        if self.has_variable("cache", "key"):
            heads = self._attend_with_cache(query, key, value)
        else:
            heads = jax.nn.dot_product_attention(
                query, key, value, mask=mask, is_causal=self.causal
            )
        return Dense(x.shape[-1], self.out_std, self.dtype, name="out")(heads.reshape(x.shape))

    def _attend_with_cache(self, query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        """Attend causally from l new positions `[b l h d]` to the cached ones and themselves."""
        first, new = self.get_variable("cache", "length"), query.shape[1]
        for name, part in (("key", key), ("value", value)):
            updated = lax.dynamic_update_slice_in_dim(
                self.get_variable("cache", name), part, first, axis=1
            )
            self.put_variable("cache", name, updated)
        self.put_variable("cache", "length", first + new)
        keys, values = self.get_variable("cache", "key"), self.get_variable("cache", "value")
        seen = jnp.arange(keys.shape[1]) <= first + jnp.arange(new)[:, None]
        return jax.nn.dot_product_attention(query, keys, values, mask=seen[None, None])


class MLP(nn.Module):
    """Two dense layers `[b l d]` -> `[b l hidden]` -> `[b l d]`; hidden is 4d where it is None."""

    out_std: float
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    hidden: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        d = x.shape[-1]
        activation = ACTIVATIONS[self.act]
        first = Dense(self.hidden or 4 * d, (2 * d) ** -0.5, self.dtype, name="fc1")
        return Dense(d, self.out_std, self.dtype, name="fc2")(activation(first(x)))


class Block(nn.Module):
    """Pre-layer-norm block; returns the stream `[b l d]` twice, as carry and as intermediate.

    As in CLIP, the initial standard deviation of what is added to the residual stream is divided by
    sqrt(2 layers), of the whole stack. Dropout falls on what is added.
    """

    config: TransformerConfig

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, dropout: Dropout | None = None
    ) -> tuple[jax.Array, jax.Array]:
        config = self.config
        std = (x.shape[-1] * 2 * config.layers) ** -0.5
        attention = Attention(config.heads, std, config.causal, config.dtype, name="attn")
        attended = attention(layer_norm(config.dtype, "ln_1", config.epsilon)(x), mask)
        x = x + drop_units(attended, dropout, 0)
        mlp = MLP(std, config.act, config.dtype, config.hidden, name="mlp")
        x = x + drop_units(mlp(layer_norm(config.dtype, "ln_2", config.epsilon)(x)), dropout, 1)
        x = config.shard(x)
        return x, x


class Transformer(nn.Module):
    """Stack of blocks, `[b l d]` -> (`[b l d]`, intermediates).

    Called with a mask, bool `[b 1 l l]`, position i sees position j only where mask[:, 0, i, j];
    with dropout, every block drops entries of its own.

    A call returns the residual stream after the last block (no final layer norm), and the streams
    after each block: 'block00', ... `[b l d]`, or 'blocks' `[layers b l d]` with scan.
    """

    config: TransformerConfig

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, dropout: Dropout | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        config = self.config
        block = rematerialize(Block, config.remat, scan=config.scan)
        x = config.shard(x)
        places = None if dropout is None else dropout.split(config.layers)
        if config.scan:
            axes = dict(variable_axes={"params": 0}, split_rngs={"params": True})
            stack = nn.scan(block, **axes, in_axes=(nn.broadcast, 0), length=config.layers)
            x, streams = stack(config, name="blocks")(x, mask, places)
            return x, {"blocks": streams}
        out = {}
        for i in range(config.layers):
            own = jax.tree.map(lambda keys, i=i: keys[i], places)
            x, out[f"block{i:02d}"] = block(config, name=f"block{i:02d}")(x, mask, own)
        return x, out


_BLOCK = re.compile(r"block\d+")


def stack_blocks(tree: Mapping[str, Any]) -> Tree:
    """Replace 'block00', 'block01', ... by one 'blocks' subtree of leaves `[layers ...]`.

    They are found anywhere in nested dicts of arrays: parameters, or anything of the same names.
    A tree that is stacked already is returned unchanged. Inverse: `unstack_blocks`.
    """
    names = sorted(
        (name for name in tree if _BLOCK.fullmatch(name)), key=lambda name: int(name[5:])
    )
    rest = {
        name: stack_blocks(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if name not in names
    }
    if not names:
        return rest
    blocks = [tree[name] for name in names]
    return rest | {"blocks": jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)}


def unstack_blocks(tree: Mapping[str, Any]) -> Tree:
    """Replace every 'blocks' subtree by 'block00', 'block01', ...; inverse of `stack_blocks`."""
    result: Tree = {}
    for name, value in tree.items():
        if name == "blocks":
            layers = jax.tree.leaves(value)[0].shape[0]
            for i in range(layers):
                result[f"block{i:02d}"] = jax.tree.map(lambda leaf, i=i: leaf[i], value)
        else:
            result[name] = unstack_blocks(value) if isinstance(value, Mapping) else value
    return result
