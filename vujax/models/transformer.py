"""The transformer that both towers share: pre-layer-norm blocks over a residual stream [b l d].

Dense layers that compute in bfloat16 and sum their parameters' gradients in float32.

A gradient that is rounded to bfloat16 before the devices' shares are added loses digits that no
later float32 can bring back. Flax's own layers cast the parameter first, so its gradient takes the
compute dtype; here the cast is inside the product, whose gradient is float32 from the start.

Two layouts of a transformer's parameters: a subtree per block, or one stacked for scan.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

Shard = Callable[[jax.Array], jax.Array]


def quick_gelu(x: jax.Array) -> jax.Array:
    """The sigmoid approximation of GELU with which OpenAI trained CLIP: x * sigmoid(1.702 x)."""
    return x * jax.nn.sigmoid(1.702 * x)


@jax.custom_jvp
def gelu(x: jax.Array) -> jax.Array:
    """The exact (erf) GELU of open_clip's weights."""
    return jax.nn.gelu(x, approximate=False)


@gelu.defjvp
def _gelu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """GELU'(x) = Phi(x) + x phi(x): jax 0.12 cannot differentiate erf in a checked shard_map."""
    (x,), (t,) = primals, tangents
    cdf = 0.5 * jax.lax.erfc(-x * math.sqrt(0.5))
    density = jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return gelu(x), t * (cdf + x * density)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """The tanh approximation of GELU with which SigLIP was trained."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "quick_gelu": quick_gelu,
    "gelu_tanh": gelu_tanh,
}

EPSILON = 1e-5  # of CLIP's layer norms

POOLS = ("token", "mean")  # what stands for all tokens: CLIP's one, or the mean

# What the backward pass finds stored: everything, or what a policy of jax.checkpoint_policies says.
REMAT = {
    "none": None,
    "full": "nothing_saveable",
    "dots_saveable": "dots_saveable",
    "dots_with_no_batch_dims_saveable": "dots_with_no_batch_dims_saveable",
}


def identity(x: jax.Array) -> jax.Array:
    """The activation constraint of a model that is not sharded: none."""
    return x


def rematerialized(block: type[nn.Module], remat: str, *, scan: bool = False) -> type[nn.Module]:
    """`block` whose backward pass recomputes what the word `remat`, a key of REMAT, says."""
    policy = REMAT[remat]
    if policy is None:
        return block
    # A scan needs no barrier against the compiler merging the recomputation with the original.
    return nn.remat(block, policy=getattr(jax.checkpoint_policies, policy), prevent_cse=not scan)


def layer_norm(dtype: DTypeLike, name: str, epsilon: float = EPSILON) -> nn.LayerNorm:
    """Layer norm with CLIP's epsilon; statistics in float32 whatever the compute dtype."""
    # The one-pass variance loses digits where a stream's mean is large, as in trained CLIPs.
    return nn.LayerNorm(epsilon=epsilon, dtype=dtype, use_fast_variance=False, name=name)


class Head(nn.Module):
    """Layer norm and projection of pooled vectors: [b d] -> ([b d], [b embed_dim]), both float32.

    In float32 because the embeddings decide the loss, and this costs nothing beside the blocks.
    """

    embed_dim: int
    epsilon: float = EPSILON
    bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        pooled = layer_norm(jnp.float32, "ln", self.epsilon)(x)
        init = nn.initializers.normal(x.shape[-1] ** -0.5)
        options = dict(use_bias=self.bias, kernel_init=init, name="projection")
        return pooled, nn.Dense(self.embed_dim, **options)(pooled)


def project_heads(x: jax.Array, heads: int, dtype: DTypeLike, name: str) -> jax.Array:
    """A dense layer [b l d] -> [b l h d/h], inside a compact method."""
    d = x.shape[-1]
    return Dense(d, d**-0.5, dtype, name=name)(x).reshape(*x.shape[:-1], heads, d // heads)


class Attention(nn.Module):
    """Multi-head self-attention [b l d] -> [b l d]; softmax in float32.

    `mask`, bool [b 1 l l] or None, says which position (third axis) sees which (last axis).

    Given a collection 'cache' (see `vujax.models.caption.empty_cache`), x holds the next positions
    of sequences whose earlier keys and values the cache has: they are seen too, and x's are added.

    Query, key and value have a projection each: a fused one must be taken apart by strided copies,
    which made it slower on CPU.
    """

    heads: int
    out_std: float
    causal: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        qkv = [project_heads(x, self.heads, self.dtype, name) for name in ("query", "key", "value")]
        if self.has_variable("cache", "key"):
            heads = self._after_cached(*qkv)
        else:
            heads = jax.nn.dot_product_attention(*qkv, mask=mask, is_causal=self.causal)
        return Dense(x.shape[-1], self.out_std, self.dtype, name="out")(heads.reshape(x.shape))

    def _after_cached(self, query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        """Attention of l new positions [b l h d], causal, to what came before and to themselves."""
        first, new = self.get_variable("cache", "length"), query.shape[1]
        for name, part in (("key", key), ("value", value)):
            kept = jax.lax.dynamic_update_slice_in_dim(
                self.get_variable("cache", name), part, first, axis=1
            )
            self.put_variable("cache", name, kept)
        self.put_variable("cache", "length", first + new)
        keys, values = self.get_variable("cache", "key"), self.get_variable("cache", "value")
        seen = jnp.arange(keys.shape[1]) <= first + jnp.arange(new)[:, None]
        return jax.nn.dot_product_attention(query, keys, values, mask=seen[None, None])


class MLP(nn.Module):
    """Two dense layers [b l d] -> [b l hidden] -> [b l d]; hidden is 4d where it is None."""

    out_std: float
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    hidden: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        d = x.shape[-1]
        first = Dense(self.hidden or 4 * d, (2 * d) ** -0.5, self.dtype, name="fc1")
        return Dense(d, self.out_std, self.dtype, name="fc2")(ACTIVATIONS[self.act](first(x)))


class Block(nn.Module):
    """One pre-layer-norm block; returns the stream [b l d] twice: to carry on, and as intermediate.

    `layers` is the depth of the whole stack: CLIP divides the initial standard deviation of what is
    added to the residual stream by sqrt(2 layers).
    """

    heads: int
    layers: int
    causal: bool = False
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    shard: Shard = identity
    hidden: int | None = None
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        std = (x.shape[-1] * 2 * self.layers) ** -0.5
        attention = Attention(self.heads, std, self.causal, self.dtype, name="attn")
        x = x + attention(layer_norm(self.dtype, "ln_1", self.epsilon)(x), mask)
        mlp = MLP(std, self.act, self.dtype, self.hidden, name="mlp")
        x = x + mlp(layer_norm(self.dtype, "ln_2", self.epsilon)(x))
        x = self.shard(x)
        return x, x


class Transformer(nn.Module):
    """A stack of blocks, [b l d] -> [b l d] and its intermediates.

    Called with a mask, bool [b 1 l l], position i sees position j only where mask[:, 0, i, j].

    A call gives the residual stream after the last block (no final layer norm), and the streams
    after each block: 'block00', ... [b l d], or 'blocks' [layers b l d] with scan.

    Attributes:
      layers: depth.
      heads: attention heads; d must be a multiple.
      causal: position i sees positions <= i only.
      act: a key of ACTIVATIONS.
      dtype: of the computation; parameters, layer-norm statistics and softmax stay float32.
      remat: a key of REMAT.
      scan: one compiled block looped over stacked parameters ('blocks', leading axis [layers]) in
        place of `layers` compiled blocks ('block00', 'block01', ...): quicker to compile.
        `vujax.models.transformer` turns one tree of parameters into the other.
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

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        block = rematerialized(Block, self.remat, scan=self.scan)
        options = (self.heads, self.layers, self.causal, self.act, self.dtype, self.shard)
        options += (self.hidden, self.epsilon)
        x = self.shard(x)
        if self.scan:
            axes = dict(variable_axes={"params": 0}, split_rngs={"params": True})
            stack = nn.scan(block, **axes, in_axes=nn.broadcast, length=self.layers)
            x, streams = stack(*options, name="blocks")(x, mask)
            return x, {"blocks": streams}
        out = {}
        for i in range(self.layers):
            x, out[f"block{i:02d}"] = block(*options, name=f"block{i:02d}")(x, mask)
        return x, out


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x[... d] times kernel [d e] in x's dtype; the kernel's gradient is in the kernel's."""
    return x @ kernel.astype(x.dtype)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(x, kernel), (x, kernel)


def _backward(saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows = tuple(range(x.ndim - 1))
    by_kernel = lax.dot_general(x, g, ((rows, rows), ((), ())), preferred_element_type=kernel.dtype)
    return g @ kernel.astype(g.dtype).T, by_kernel


product.defvjp(_forward, _backward)


def offset(x: jax.Array, by: jax.Array) -> jax.Array:
    """The sum x + by in x's dtype, added in `by`'s; so is the gradient of `by`."""
    return (x.astype(by.dtype) + by).astype(x.dtype)


class Dense(nn.Module):
    """x [... d] -> [... width] in `dtype`; float32 parameters: a normal kernel of `std`, bias 0."""

    width: int
    std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.normal(self.std)
        kernel = self.param("kernel", init, (x.shape[-1], self.width))
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        return offset(product(x.astype(self.dtype), kernel), bias)


Tree = dict[str, Any]

_BLOCK = re.compile(r"block\d+")


def stack_blocks(tree: Mapping[str, Any]) -> Tree:
    """Replaces 'block00', 'block01', ... by one 'blocks' subtree of leaves [layers ...].

    They are found anywhere in nested dicts of arrays: parameters, or anything of the same names.
    A tree that is stacked already comes back unchanged. Inverse: `unstack_blocks`.
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
    """Replaces every 'blocks' subtree by 'block00', 'block01', ...; inverse of `stack_blocks`."""
    result: Tree = {}
    for name, value in tree.items():
        if name == "blocks":
            layers = jax.tree.leaves(value)[0].shape[0]
            for i in range(layers):
                result[f"block{i:02d}"] = jax.tree.map(lambda leaf, i=i: leaf[i], value)
        else:
            result[name] = unstack_blocks(value) if isinstance(value, Mapping) else value
    return result
